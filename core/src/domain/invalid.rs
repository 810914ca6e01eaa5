//! The one shape of "this value cannot be accepted".

use std::borrow::Cow;

/// A value from outside that breaks a rule: which field, and what the rule is.
///
/// Shown to clients as it stands, so it never repeats the offending value itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The field as the domain names it (`key`, `namespace`, `part_number`, …).
    pub field: &'static str,
    /// The rule that was broken, as a phrase: "must be 1 to 1024 bytes of UTF-8".
    pub reason: Cow<'static, str>,
    /// What kind of rule that is, for fronts that have a code of their own for it.
    pub kind: InvalidKind,
}

/// A kind of rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvalidKind {
    /// Any but those below.
    #[default]
    Other,
    /// The value is longer, or larger, than it may be.
    TooLong,
}

impl Invalid {
    /// A refusal of `field` because of `reason`.
    pub fn new(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field, reason: reason.into(), kind: InvalidKind::Other }
    }

    /// A refusal of `field` because it is longer than it may be.
    pub fn too_long(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: InvalidKind::TooLong, ..Self::new(field, reason) }
    }
}
