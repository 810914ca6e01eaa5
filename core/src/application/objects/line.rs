//! What listings are made of.

use crate::domain::object::{Listed, Object};

/// What a listing is made of.
pub trait Line {
    /// Its key; empty for an object without key.
    fn key(&self) -> &str;
}

impl Line for Box<Object> {
    fn key(&self) -> &str {
        self.key.as_ref().map_or("", |key| key.as_str())
    }
}

impl Line for Listed {
    fn key(&self) -> &str {
        self.key.as_str()
    }
}
