//! Object lock: versions that may not be removed before their time (S3 User Guide, "Locking objects with
//! Object Lock").
//!
//! A version is held by a retention that has not run out, by a legal hold, or by both. Governance may be
//! bypassed by those who have the right to; compliance and legal holds cannot be bypassed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::invalid::Invalid;
use super::timestamp::Timestamp;

/// Longest default retention in days (S3: 36,500 days, or 100 years).
pub const DEFAULT_DAYS_MAX: u32 = 36_500;

const DAY: Duration = Duration::from_hours(24);

/// How firmly a retention holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockMode {
    /// Until it runs out, except for principals that may bypass it.
    Governance,
    /// Until it runs out, for everyone; it can only be extended.
    Compliance,
}

impl LockMode {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "governance",
            Self::Compliance => "compliance",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        match name {
            "governance" => Ok(Self::Governance),
            "compliance" => Ok(Self::Compliance),
            _ => Err(Invalid::new("mode", "must be governance or compliance")),
        }
    }
}

/// Until when a version is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How firmly.
    pub mode: LockMode,
    /// Until when.
    pub until: Timestamp,
}

/// What holds one version of a key. Empty for most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectLock {
    /// Its retention, run out or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Whether a legal hold is on; `None` if it was never set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<bool>,
}

/// A change of what holds a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockChange {
    /// Another retention, or none.
    Retention {
        /// The new one.
        retention: Option<Retention>,
        /// Whether governance is bypassed; the right to do so was checked.
        bypass: bool,
    },
    /// The legal hold goes on or off.
    LegalHold(bool),
}

/// A version is held: it stays, and its retention with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object is protected by object lock")]
pub struct Locked;

impl ObjectLock {
    /// Whether nothing was ever said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the version may be removed at `now`.
    pub fn allows_removal(&self, now: Timestamp, bypass: bool) -> Result<(), Locked> {
        if self.legal_hold == Some(true) {
            return Err(Locked);
        }
        match self.retention.filter(|retention| now < retention.until) {
            None => Ok(()),
            Some(Retention { mode: LockMode::Governance, .. }) if bypass => Ok(()),
            Some(_) => Err(Locked),
        }
    }

    /// What holds the version after `change`. A retention that has not run out may be extended in its own
    /// mode; anything else takes a bypass under governance, and is refused under compliance.
    pub fn changed(self, change: LockChange, now: Timestamp) -> Result<Self, Locked> {
        match change {
            LockChange::LegalHold(on) => Ok(Self { legal_hold: Some(on), ..self }),
            LockChange::Retention { retention, bypass } => {
                if let Some(current) = self.retention.filter(|current| now < current.until) {
                    let extends =
                        retention.is_some_and(|new| new.mode == current.mode && new.until >= current.until);
                    let bypassed = bypass && current.mode == LockMode::Governance;
                    if !extends && !bypassed {
                        return Err(Locked);
                    }
                }
                Ok(Self { retention, ..self })
            }
        }
    }

    /// This lock, with the space's default retention where it names none.
    #[must_use]
    pub fn or_default(self, default: Option<DefaultRetention>, now: Timestamp) -> Self {
        Self { retention: self.retention.or_else(|| default.map(|default| default.from(now))), ..self }
    }

    /// Refuses a retention that a client asks for and that is over already.
    pub fn validate(&self, now: Timestamp) -> Result<(), Invalid> {
        match self.retention {
            Some(retention) if retention.until <= now => {
                Err(Invalid::new("retain_until_date", "must be in the future"))
            }
            _ => Ok(()),
        }
    }
}

/// The unit in which a default retention was given, and reads back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// Of 24 hours.
    Days(u32),
    /// Of 365 days.
    Years(u32),
}

/// The retention of versions whose writer names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// How firmly.
    pub mode: LockMode,
    /// For how long from the write.
    pub period: Period,
}

impl DefaultRetention {
    /// Accepts 1 to 36,500 days, or 1 to 100 years.
    pub fn new(mode: LockMode, period: Period) -> Result<Self, Invalid> {
        let days = Self::days(period);
        if (1..=DEFAULT_DAYS_MAX).contains(&days) {
            return Ok(Self { mode, period });
        }
        Err(Invalid::new("retention_period", "must be 1 to 36500 days, or 1 to 100 years"))
    }

    fn days(period: Period) -> u32 {
        match period {
            Period::Days(days) => days,
            Period::Years(years) => years.saturating_mul(365),
        }
    }

    fn from(self, now: Timestamp) -> Retention {
        Retention { mode: self.mode, until: now.plus(DAY.saturating_mul(Self::days(self.period))) }
    }
}

/// A space in which versions can be locked. It cannot be taken back, and versioning stays enabled there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LockConfig {
    /// What new versions get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_retention: Option<DefaultRetention>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);
    const LATER: Timestamp = Timestamp(2_000);
    const LATEST: Timestamp = Timestamp(3_000);

    fn retained(mode: LockMode, until: Timestamp) -> ObjectLock {
        ObjectLock { retention: Some(Retention { mode, until }), legal_hold: None }
    }

    fn retention(mode: LockMode, until: Timestamp, bypass: bool) -> LockChange {
        LockChange::Retention { retention: Some(Retention { mode, until }), bypass }
    }

    #[test]
    fn a_version_is_held_until_its_time_has_come() {
        use LockMode::{Compliance, Governance};
        for (lock, plain, bypassing) in [
            (ObjectLock::default(), true, true),
            (retained(Governance, LATER), false, true),
            (retained(Compliance, LATER), false, false),
            (retained(Compliance, NOW), true, true),
            (ObjectLock { legal_hold: Some(true), retention: None }, false, false),
            (ObjectLock { legal_hold: Some(false), retention: None }, true, true),
            (ObjectLock { legal_hold: Some(true), ..retained(Governance, NOW) }, false, false),
        ] {
            assert_eq!(lock.allows_removal(NOW, false).is_ok(), plain, "{lock:?}");
            assert_eq!(lock.allows_removal(NOW, true).is_ok(), bypassing, "{lock:?} with bypass");
        }
    }

    #[test]
    fn retentions_grow_and_shrink_only_with_the_right_to() {
        use LockMode::{Compliance, Governance};
        let governed = retained(Governance, LATER);
        let complied = retained(Compliance, LATER);
        let ok = |lock: ObjectLock, change| lock.changed(change, NOW).is_ok();
        assert!(ok(governed, retention(Governance, LATEST, false)));
        assert!(!ok(governed, retention(Governance, NOW, false)));
        assert!(ok(governed, retention(Governance, NOW, true)));
        assert!(!ok(governed, retention(Compliance, LATER, false)));
        assert!(ok(governed, retention(Compliance, LATER, true)));
        assert!(ok(complied, retention(Compliance, LATEST, false)));
        assert!(!ok(complied, retention(Compliance, NOW, true)));
        assert!(!ok(complied, retention(Governance, LATEST, true)));
        assert!(!ok(complied, LockChange::Retention { retention: None, bypass: true }));
        assert!(ok(governed, LockChange::Retention { retention: None, bypass: true }));
        assert!(ok(retained(Compliance, NOW), retention(Governance, LATER, false)), "it has run out");
        assert!(ok(complied, LockChange::LegalHold(true)));
    }

    #[test]
    fn defaults_fill_in_and_are_bounded() {
        let days = DefaultRetention::new(LockMode::Governance, Period::Days(2)).unwrap();
        let lock = ObjectLock::default().or_default(Some(days), NOW);
        assert_eq!(lock, retained(LockMode::Governance, NOW.plus(2 * DAY)));
        assert_eq!(
            retained(LockMode::Compliance, LATER).or_default(Some(days), NOW).retention.unwrap().until,
            LATER
        );
        for period in [Period::Days(0), Period::Years(0), Period::Days(36_501), Period::Years(101)] {
            assert!(DefaultRetention::new(LockMode::Compliance, period).is_err(), "{period:?}");
        }
    }
}
