//! What a rule applies to.

use serde::{Deserialize, Serialize};

use crate::domain::object::Tags;

/// All conditions must hold; none is set by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Whether the rule was given with a bare `Prefix`, as before filters existed; to read back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub legacy: bool,
    /// What keys begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Tags that objects have, others beside.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Objects are larger than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub larger_than: Option<u64>,
    /// Objects are smaller than this, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smaller_than: Option<u64>,
}

impl Filter {
    /// The prefix; empty for every key.
    pub fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default()
    }

    /// Whether a key may be concerned.
    pub fn covers(&self, key: &str) -> bool {
        key.starts_with(self.prefix())
    }

    /// Whether it asks for more than a prefix.
    pub fn asks_tags_or_size(&self) -> bool {
        !self.tags.is_empty() || self.asks_size()
    }

    /// Whether it asks for a size.
    pub fn asks_size(&self) -> bool {
        self.larger_than.is_some() || self.smaller_than.is_some()
    }

    /// Whether an object of this key, size and tags is concerned.
    pub fn fits(&self, key: &str, size: u64, tags: &Tags) -> bool {
        self.covers(key)
            && self.larger_than.is_none_or(|bound| size > bound)
            && self.smaller_than.is_none_or(|bound| size < bound)
            && self.tags.iter().all(|(name, value)| tags.get(name) == Some(value))
    }
}
