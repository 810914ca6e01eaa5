//! Kinds of events, and S3's names for them.

use crate::domain::invalid::Invalid;

/// Something that happens to a version of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventKind {
    /// Written by one request.
    Put,
    /// Written by an HTML form.
    Post,
    /// Made from another object, or its headers or metadata changed, which S3 does by a copy onto itself.
    Copy,
    /// Made of parts.
    CompleteMultipartUpload,
    /// Removed.
    Delete,
    /// Hidden by a delete marker.
    DeleteMarkerCreated,
    /// Removed by a lifecycle rule.
    LifecycleDelete,
    /// Hidden by a lifecycle rule.
    LifecycleDeleteMarkerCreated,
    /// Its class is a colder one.
    LifecycleTransition,
    /// Its class is hot again.
    RestoreCompleted,
    /// Its tags were set.
    TaggingPut,
    /// Its tags were removed.
    TaggingDelete,
    /// Its ACL was set.
    AclPut,
    /// What holds it was changed: S3 has no event for that.
    LockChanged,
    /// A target was named in a configuration.
    Test,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::Put,
        Self::Post,
        Self::Copy,
        Self::CompleteMultipartUpload,
        Self::Delete,
        Self::DeleteMarkerCreated,
        Self::LifecycleDelete,
        Self::LifecycleDeleteMarkerCreated,
        Self::LifecycleTransition,
        Self::RestoreCompleted,
        Self::TaggingPut,
        Self::TaggingDelete,
        Self::AclPut,
        Self::LockChanged,
        Self::Test,
    ];

    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::Put => 1,
            Self::Post => 2,
            Self::Copy => 3,
            Self::CompleteMultipartUpload => 4,
            Self::Delete => 5,
            Self::DeleteMarkerCreated => 6,
            Self::LifecycleDelete => 7,
            Self::LifecycleDeleteMarkerCreated => 8,
            Self::LifecycleTransition => 9,
            Self::RestoreCompleted => 10,
            Self::TaggingPut => 11,
            Self::TaggingDelete => 12,
            Self::AclPut => 13,
            Self::LockChanged => 14,
            Self::Test => 15,
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// S3's name without `s3:`, as in a record; of what S3 has no event for, one like them.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "ObjectCreated:Put",
            Self::Post => "ObjectCreated:Post",
            Self::Copy => "ObjectCreated:Copy",
            Self::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
            Self::Delete => "ObjectRemoved:Delete",
            Self::DeleteMarkerCreated => "ObjectRemoved:DeleteMarkerCreated",
            Self::LifecycleDelete => "LifecycleExpiration:Delete",
            Self::LifecycleDeleteMarkerCreated => "LifecycleExpiration:DeleteMarkerCreated",
            Self::LifecycleTransition => "LifecycleTransition",
            Self::RestoreCompleted => "ObjectRestore:Completed",
            Self::TaggingPut => "ObjectTagging:Put",
            Self::TaggingDelete => "ObjectTagging:Delete",
            Self::AclPut => "ObjectAcl:Put",
            Self::LockChanged => "ObjectLock:Put",
            Self::Test => "TestEvent",
        }
    }

    /// Whether the version is gone, or hidden, after it.
    pub fn is_removal(self) -> bool {
        matches!(
            self,
            Self::Delete
                | Self::DeleteMarkerCreated
                | Self::LifecycleDelete
                | Self::LifecycleDeleteMarkerCreated
        )
    }

    /// Whether a client can ask for it in a configuration.
    fn is_offered(self) -> bool {
        !matches!(self, Self::LockChanged | Self::Test)
    }
}

/// One or several kinds, as S3's configuration names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct EventName(String);

/// The prefixes that S3 has with an asterisk.
const GROUPS: [&str; 5] =
    ["ObjectCreated", "ObjectRemoved", "LifecycleExpiration", "ObjectRestore", "ObjectTagging"];

impl EventName {
    /// Reads a name such as `s3:ObjectCreated:*`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let name = Self(text.to_owned());
        if EventKind::ALL.into_iter().any(|kind| name.holds(kind)) {
            return Ok(name);
        }
        // Never the text itself, which may be anything.
        let known = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":*".contains(&b));
        let text = if known { text } else { "this name" };
        Err(Invalid::new("event", format!("the event {text} is not offered")))
    }

    /// As S3 writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names this kind, by itself or with others.
    pub fn holds(&self, kind: EventKind) -> bool {
        let Some(name) = self.0.strip_prefix("s3:").filter(|_| kind.is_offered()) else { return false };
        match name.strip_suffix(":*") {
            Some(group) => GROUPS.contains(&group) && kind.as_str().split(':').next() == Some(group),
            None => name == kind.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_hold_what_s3_says() {
        for (name, kinds) in [
            ("s3:ObjectCreated:*", 4),
            ("s3:ObjectCreated:Copy", 1),
            ("s3:ObjectRemoved:*", 2),
            ("s3:LifecycleExpiration:*", 2),
            ("s3:LifecycleTransition", 1),
            ("s3:ObjectRestore:*", 1),
            ("s3:ObjectTagging:*", 2),
            ("s3:ObjectAcl:Put", 1),
        ] {
            let parsed = EventName::parse(name).unwrap();
            assert_eq!(
                EventKind::ALL.into_iter().filter(|kind| parsed.holds(*kind)).count(),
                kinds,
                "{name}"
            );
        }
        let refused = [
            "s3:ObjectAccessed:*",
            "s3:ObjectRestore:Post",
            "s3:Replication:*",
            "s3:ReducedRedundancyLostObject",
            "s3:TestEvent",
            "s3:ObjectLock:Put",
            "s3:ObjectAcl:*",
            "s3:LifecycleTransition:*",
            "ObjectCreated:Put",
            "s3:*",
            "",
        ];
        for name in refused {
            assert!(EventName::parse(name).is_err(), "{name}");
        }
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
        }
    }
}
