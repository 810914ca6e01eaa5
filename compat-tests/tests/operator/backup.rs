//! A live backup, restored.
