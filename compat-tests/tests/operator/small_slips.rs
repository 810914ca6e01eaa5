//! Settings, commands and directories that are a little wrong.
