//! An item of background work that always fails.
