//! A segment that answers EIO.
