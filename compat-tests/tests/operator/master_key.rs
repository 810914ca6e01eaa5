//! A master key that is wrong or lost.
