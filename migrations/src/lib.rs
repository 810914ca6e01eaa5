//! The SQL schemas of both engines, embedded.
