//! What S3 refuses of a configuration, in S3's words.

use std::collections::BTreeSet;

use super::{Due, Expiration, Lifecycle, RULES_MAX, Rule};
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;

/// Most versions that a rule may keep (S3 `NewerNoncurrentVersions`).
const KEEP_NEWEST_MAX: u32 = 100;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A value that is out of bounds.
fn argument(reason: impl Into<std::borrow::Cow<'static, str>>) -> Invalid {
    Invalid::new("lifecycle", reason)
}

/// A rule whose parts do not go together.
fn request(reason: impl Into<std::borrow::Cow<'static, str>>) -> Invalid {
    Invalid::new("lifecycle_rule", reason)
}

impl Lifecycle {
    /// Checks what S3 checks. The field of a refusal is `lifecycle` for a value out of bounds,
    /// `lifecycle_rule` for what does not go together, `lifecycle_schema` for what the schema has no place for.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.rules.len() > RULES_MAX {
            return Err(Invalid::new("lifecycle_schema", "at most 1000 rules are allowed"));
        }
        let mut ids = BTreeSet::new();
        for rule in &self.rules {
            if rule.id.is_empty() || rule.id.chars().count() > 255 {
                return Err(argument("ID length should not exceed allowed limit of 255"));
            }
            if !ids.insert(rule.id.as_str()) {
                return Err(argument("rule ID must be unique, and found the same ID for more than one rule"));
            }
            rule.validate()?;
        }
        Ok(())
    }
}

impl Rule {
    fn validate(&self) -> Result<(), Invalid> {
        let acts = self.expiration.is_some()
            || self.noncurrent_expiration.is_some()
            || !self.transitions.is_empty()
            || !self.noncurrent_transitions.is_empty()
            || self.abort_uploads_days.is_some();
        if !acts {
            return Err(request("at least one action needs to be specified in a rule"));
        }
        self.validate_filter()?;
        match self.expiration {
            Some(Expiration::Days(0)) => {
                return Err(argument("'Days' for Expiration action must be a positive integer"));
            }
            Some(Expiration::Date(date)) => midnight(date)?,
            Some(Expiration::DeleteMarkers(_)) if self.filter.asks_tags_or_size() => {
                return Err(request(
                    "ExpiredObjectDeleteMarker cannot be specified with tags or object sizes",
                ));
            }
            _ => {}
        }
        if let Some(expiration) = self.noncurrent_expiration {
            positive(
                expiration.days,
                "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer",
            )?;
            keep(expiration.keep_newest)?;
        }
        if let Some(days) = self.abort_uploads_days {
            positive(
                days,
                "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
            )?;
            if self.filter.asks_tags_or_size() {
                return Err(request(
                    "AbortIncompleteMultipartUpload cannot be specified with tags or object sizes",
                ));
            }
        }
        self.validate_transitions()
    }

    fn validate_filter(&self) -> Result<(), Invalid> {
        let filter = &self.filter;
        if filter.prefix().len() > crate::domain::address::KEY_BYTES_MAX {
            return Err(request("the maximum size of a prefix is 1024"));
        }
        for (name, value) in &filter.tags {
            if name.is_empty() || name.chars().count() > 128 || value.chars().count() > 256 {
                return Err(request("a tag's key must be 1 to 128 and its value at most 256 characters"));
            }
        }
        if let (Some(larger), Some(smaller)) = (filter.larger_than, filter.smaller_than)
            && larger.saturating_add(1) >= smaller
        {
            return Err(request("'ObjectSizeLessThan' has to be greater than 'ObjectSizeGreaterThan'"));
        }
        Ok(())
    }

    fn validate_transitions(&self) -> Result<(), Invalid> {
        let mut classes = BTreeSet::new();
        for transition in &self.transitions {
            if !classes.insert(transition.class_name.as_str()) {
                return Err(request("StorageClass must be different for Transition actions of one rule"));
            }
            match transition.due {
                Due::Days(days) => {
                    early(days, &transition.class_name)?;
                    if let Some(Expiration::Days(expires)) = self.expiration
                        && expires <= days
                    {
                        return Err(argument(
                            "'Days' in the Expiration action must be greater than 'Days' in the Transition action",
                        ));
                    }
                }
                Due::Date(date) => midnight(date)?,
            }
        }
        let mut classes = BTreeSet::new();
        for transition in &self.noncurrent_transitions {
            if !classes.insert(transition.class_name.as_str()) {
                return Err(request(
                    "StorageClass must be different for NoncurrentVersionTransition actions of one rule",
                ));
            }
            early(transition.days, &transition.class_name)?;
            keep(transition.keep_newest)?;
            if self.noncurrent_expiration.is_some_and(|expiration| expiration.days <= transition.days) {
                return Err(argument(
                    "'NoncurrentDays' in the NoncurrentVersionExpiration action must be greater than \
                     'NoncurrentDays' in the NoncurrentVersionTransition action",
                ));
            }
        }
        Ok(())
    }
}

/// S3 keeps an object thirty days before it moves to `STANDARD_IA` ("Transition constraints").
fn early(days: u32, class_name: &str) -> Result<(), Invalid> {
    if class_name == "STANDARD_IA" && days < 30 {
        return Err(argument(
            "'Days' in Transition action must be greater than or equal to 30 for storageClass 'STANDARD_IA'",
        ));
    }
    Ok(())
}

fn positive(days: u32, reason: &'static str) -> Result<(), Invalid> {
    if days == 0 { Err(argument(reason)) } else { Ok(()) }
}

fn keep(versions: Option<u32>) -> Result<(), Invalid> {
    match versions {
        Some(versions) if !(1..=KEEP_NEWEST_MAX).contains(&versions) => {
            Err(argument("'NewerNoncurrentVersions' must be between 1 and 100"))
        }
        _ => Ok(()),
    }
}

fn midnight(date: Timestamp) -> Result<(), Invalid> {
    if date.millis().rem_euclid(DAY_MILLIS) == 0 {
        return Ok(());
    }
    Err(argument("'Date' must be at midnight GMT"))
}
