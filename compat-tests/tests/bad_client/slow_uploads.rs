//! Uploads of a byte now and then.
