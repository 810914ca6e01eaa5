//! The world behind the ports.

pub mod metadata;
