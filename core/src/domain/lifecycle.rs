//! Lifecycle rules: what goes, or moves to the cold tier, once its time has come (S3 User Guide, "Managing
//! the lifecycle of objects"). Pure: the caller that applies a verdict checks that it still holds.

mod filter;
mod judge;
mod validate;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use filter::Filter;
pub use judge::{Candidate, LifecycleVerdict, Position};

use super::timestamp::Timestamp;

/// Most rules of one configuration (S3 `PutBucketLifecycleConfiguration`).
pub const RULES_MAX: usize = 1000;

/// Smaller objects do not move to the cold tier, unless a rule names a size or the configuration says that
/// size does not matter (S3, "Transition constraints").
pub const TRANSITION_BYTES_MIN: u64 = 128 << 10;

/// A space's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    /// In the order they were given.
    pub rules: Vec<Rule>,
    /// Whether small objects move too (S3's `varies_by_storage_class`).
    pub small_objects_move: bool,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Unique in its configuration, 1 to 255 characters.
    pub id: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// What it applies to.
    pub filter: Filter,
    /// When current versions go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<Expiration>,
    /// When versions that others replaced go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noncurrent_expiration: Option<NoncurrentExpiration>,
    /// When current versions move to the cold tier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
    /// When versions that others replaced move to the cold tier.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noncurrent_transitions: Vec<NoncurrentTransition>,
    /// After how many days an unfinished upload is aborted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_uploads_days: Option<u32>,
}

/// When current versions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiration {
    /// This many days after they were written. A delete marker of that age goes too, if it is all there is.
    Days(u32),
    /// All of them, from this midnight on.
    Date(Timestamp),
    /// Only delete markers that are all there is of their key; `false` is kept for reading back.
    DeleteMarkers(bool),
}

/// When versions that others replaced go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoncurrentExpiration {
    /// This many days after they were replaced.
    pub days: u32,
    /// But never the newest so many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_newest: Option<u32>,
}

/// When something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// This many days after.
    Days(u32),
    /// From this midnight on.
    Date(Timestamp),
}

/// A move of current versions to the cold tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub due: Due,
    /// The client's name of the class, to read back.
    pub class_name: String,
}

/// A move of versions that others replaced to the cold tier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoncurrentTransition {
    /// This many days after they were replaced.
    pub days: u32,
    /// But never the newest so many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_newest: Option<u32>,
    /// The client's name of the class, to read back.
    pub class_name: String,
}

/// How long a day is. Tests shorten it; the real one ends at midnight UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(Duration);

impl Day {
    /// 24 hours: what is due comes due at the midnight (UTC) that follows, as in S3.
    pub const REAL: Self = Self(Duration::from_hours(24));

    /// A day of this length. One that is not 24 hours long has no midnight: what is due comes due at once.
    pub fn of(length: Duration) -> Self {
        Self(length)
    }

    /// Its length.
    pub fn length(self) -> Duration {
        self.0
    }

    /// The moment at which `days` after `from` have passed.
    pub fn after(self, from: Timestamp, days: u32) -> Timestamp {
        let due = from.plus(self.0.saturating_mul(days));
        if self != Self::REAL {
            return due;
        }
        let day = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        let past = due.millis().rem_euclid(day);
        if past == 0 { due } else { Timestamp(due.millis().saturating_add(day - past)) }
    }
}

#[cfg(test)]
mod tests;
