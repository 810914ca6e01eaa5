//! A store that finds another directory, database or copy than its own.
