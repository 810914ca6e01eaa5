//! What the rules say of one version, one marker, one upload.

use super::{Day, Due, Expiration, Lifecycle, Rule, TRANSITION_BYTES_MIN};
use crate::domain::object::Object;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;

/// A version of a key, as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'o> {
    /// The version.
    pub object: &'o Object,
    /// Where it stands among the versions of its key.
    pub position: Position,
}

/// Where a version stands among those of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// It is the latest.
    Current,
    /// Another replaced it.
    Noncurrent {
        /// When.
        since: Timestamp,
        /// How many that were replaced too are newer.
        newer: u32,
    },
}

/// What is to be done with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleVerdict {
    /// Delete the key, as a client would: by a delete marker where versions are kept.
    Expire,
    /// Remove this version.
    Remove,
    /// Remove this delete marker if it is all there is of its key.
    RemoveMarker,
    /// Move it to the cold tier.
    Cool,
}

impl Lifecycle {
    /// Whether any rule is in force.
    pub fn is_in_force(&self) -> bool {
        self.enabled().next().is_some()
    }

    fn enabled(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.enabled)
    }

    /// The longest prefix that all keys concerned by rules in force begin with.
    pub fn common_prefix(&self) -> &str {
        let mut prefixes = self.enabled().map(|rule| rule.filter.prefix());
        let Some(first) = prefixes.next() else { return "" };
        prefixes.fold(first, |common, prefix| {
            let same = common.char_indices().zip(prefix.chars()).take_while(|((_, a), b)| a == b);
            let end = same.last().map_or(0, |((at, c), _)| at + c.len_utf8());
            &common[..end]
        })
    }

    /// What is to be done at `now`. What goes for good goes before what moves.
    pub fn judge(&self, candidate: Candidate<'_>, now: Timestamp, day: Day) -> Option<LifecycleVerdict> {
        let object = candidate.object;
        let key = object.key.as_ref()?.as_str();
        let concerned = || self.enabled().filter(|rule| rule.filter.fits(key, object.size(), &object.tags));
        match candidate.position {
            Position::Current if object.is_delete_marker() => {
                let over = |rule: &Rule| match rule.expiration {
                    Some(Expiration::DeleteMarkers(wanted)) => wanted,
                    Some(expiration) => {
                        due_at(expiration, object.created_at, day).is_some_and(|at| at <= now)
                    }
                    None => false,
                };
                concerned().any(over).then_some(LifecycleVerdict::RemoveMarker)
            }
            Position::Current => {
                let expires = |rule: &Rule| {
                    rule.expiration
                        .and_then(|e| due_at(e, object.created_at, day))
                        .is_some_and(|at| at <= now)
                };
                if concerned().any(expires) {
                    return Some(LifecycleVerdict::Expire);
                }
                let cools = |rule: &Rule| {
                    self.moves(rule, object)
                        && rule.transitions.iter().any(|transition| match transition.due {
                            Due::Days(days) => day.after(object.created_at, days) <= now,
                            Due::Date(date) => date <= now,
                        })
                };
                concerned().any(cools).then_some(LifecycleVerdict::Cool)
            }
            Position::Noncurrent { since, newer } => {
                let over = |days, keep: Option<u32>| {
                    day.after(since, days) <= now && keep.is_none_or(|keep| newer >= keep)
                };
                let goes =
                    |rule: &Rule| rule.noncurrent_expiration.is_some_and(|e| over(e.days, e.keep_newest));
                if concerned().any(goes) {
                    return Some(LifecycleVerdict::Remove);
                }
                let cools = |rule: &Rule| {
                    self.moves(rule, object)
                        && rule.noncurrent_transitions.iter().any(|t| over(t.days, t.keep_newest))
                };
                (!object.is_delete_marker() && concerned().any(cools)).then_some(LifecycleVerdict::Cool)
            }
        }
    }

    /// Whether a rule may move an object at all.
    fn moves(&self, rule: &Rule, object: &Object) -> bool {
        object.class != StorageClass::Cold
            && (object.size() >= TRANSITION_BYTES_MIN || self.small_objects_move || rule.filter.asks_size())
    }

    /// Whether an upload of `key` that was begun at `begun` is to be aborted at `now`.
    pub fn aborts(&self, key: &str, begun: Timestamp, now: Timestamp, day: Day) -> bool {
        self.enabled().any(|rule| {
            rule.filter.covers(key)
                && rule.abort_uploads_days.is_some_and(|days| day.after(begun, days) <= now)
        })
    }

    /// Whether any rule in force aborts uploads.
    pub fn aborts_any(&self) -> bool {
        self.enabled().any(|rule| rule.abort_uploads_days.is_some())
    }

    /// When a current version goes, and by which rule: the earliest. In real days, however long those are by
    /// which rules are applied.
    pub fn expiry(&self, object: &Object) -> Option<(Timestamp, &str)> {
        let key = object.key.as_ref()?.as_str();
        if !object.is_latest || object.is_delete_marker() {
            return None;
        }
        self.enabled()
            .filter(|rule| rule.filter.fits(key, object.size(), &object.tags))
            .filter_map(|rule| {
                Some((due_at(rule.expiration?, object.created_at, Day::REAL)?, rule.id.as_str()))
            })
            .min_by_key(|(at, _)| *at)
    }
}

/// When a current version goes; `None` if only markers do.
fn due_at(expiration: Expiration, written: Timestamp, day: Day) -> Option<Timestamp> {
    match expiration {
        Expiration::Days(days) => Some(day.after(written, days)),
        Expiration::Date(date) => Some(date),
        Expiration::DeleteMarkers(_) => None,
    }
}
