//! Which events of a space go to which target, as its owner sets it.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::kind::{EventKind, EventName};
use super::target::{TargetKind, TargetName};
use crate::domain::invalid::Invalid;

/// Most rules of a space (S3 `PutBucketNotificationConfiguration`).
pub const NOTIFICATION_RULES_MAX: usize = 100;

/// Longest rule id, in characters, and longest prefix or suffix, in bytes.
const ID_CHARS_MAX: usize = 255;
const FILTER_BYTES_MAX: usize = 1024;

/// A target as clients name it: `arn:juststorage:sqs::NAME:KIND`. `sqs`, since S3's clients sort targets by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arn {
    /// The target's name.
    pub target: TargetName,
    /// Its kind.
    pub kind: TargetKind,
}

impl Arn {
    /// Reads an ARN. Its region does not matter.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse =
            || Invalid::new("arn", "must be arn:juststorage:sqs::NAME:webhook, as the operator declared it");
        let mut parts = text.split(':');
        let mut next = || parts.next().unwrap_or_default();
        let (arn, partition, service, _region, name, kind) = (next(), next(), next(), next(), next(), next());
        if (arn, partition, service) != ("arn", "juststorage", "sqs") || parts.next().is_some() {
            return Err(refuse());
        }
        let offered = [TargetKind::Webhook, TargetKind::Nats];
        let kind = offered.into_iter().find(|known| known.as_str() == kind).ok_or_else(refuse)?;
        Ok(Self { target: TargetName::new(name).map_err(|_| refuse())?, kind })
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:juststorage:sqs::{}:{}", self.target, self.kind.as_str())
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotificationRule {
    /// Its name, unique in the space; told with each event.
    pub id: String,
    /// Where events go.
    pub target: TargetName,
    /// The target's kind.
    pub kind: TargetKind,
    /// Which.
    pub events: Vec<EventName>,
    /// Only of keys that begin so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Only of keys that end so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
}

impl NotificationRule {
    /// Its target, as clients name it.
    pub fn arn(&self) -> Arn {
        Arn { target: self.target.clone(), kind: self.kind }
    }

    /// Whether one event could be told twice by the two.
    fn overlaps(&self, other: &Self) -> bool {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let (own, its) = (part(&self.prefix), part(&other.prefix));
        let prefixes = own.starts_with(&its) || its.starts_with(&own);
        let (own, its) = (part(&self.suffix), part(&other.suffix));
        let suffixes = own.ends_with(&its) || its.ends_with(&own);
        let both = |kind| {
            let wants = |rule: &Self| rule.events.iter().any(|name| name.holds(kind));
            wants(self) && wants(other)
        };
        self.target == other.target && prefixes && suffixes && EventKind::ALL.into_iter().any(both)
    }
}

/// All rules of a space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notifications {
    /// The bucket that they were set through, which events name; `None` if by another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The rules.
    pub rules: Vec<NotificationRule>,
}

impl Notifications {
    /// Checks what S3 checks of the document itself. Two rules may tell one event to two targets, which S3 leaves to SNS.
    pub fn validate(&self) -> Result<(), Invalid> {
        let refuse = |reason: &'static str| Err(Invalid::new("notification", reason));
        if self.rules.len() > NOTIFICATION_RULES_MAX {
            return refuse("must have at most 100 configurations");
        }
        let mut ids = HashSet::new();
        for rule in &self.rules {
            if rule.id.is_empty() || rule.id.chars().count() > ID_CHARS_MAX {
                return refuse("ids must be 1 to 255 characters");
            }
            if !ids.insert(&rule.id) {
                return refuse("ids must differ");
            }
            if rule.events.is_empty() {
                return refuse("each configuration must name an event");
            }
            for name in &rule.events {
                EventName::parse(name.as_str())?;
            }
            let long =
                |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > FILTER_BYTES_MAX);
            if long(&rule.prefix) || long(&rule.suffix) {
                return refuse("prefixes and suffixes must be at most 1024 bytes");
            }
        }
        let pairs = self.rules.iter().enumerate();
        let overlapping =
            pairs.flat_map(|(at, rule)| self.rules[..at].iter().map(move |earlier| (rule, earlier)));
        if overlapping.into_iter().any(|(rule, earlier)| rule.overlaps(earlier)) {
            return refuse(
                "Configurations overlap. Configurations for the same target cannot share a common event type",
            );
        }
        Ok(())
    }

    /// The targets that it names, each once, in order.
    pub fn targets(&self) -> Vec<TargetName> {
        let mut targets: Vec<_> = self.rules.iter().map(|rule| rule.target.clone()).collect();
        targets.sort();
        targets.dedup();
        targets
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rule(id: &str, target: &str, event: &str, prefix: &str, suffix: &str) -> NotificationRule {
        let filter = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        NotificationRule {
            id: id.to_owned(),
            target: TargetName::new(target).unwrap(),
            kind: TargetKind::Webhook,
            events: vec![EventName::parse(event).unwrap()],
            prefix: filter(prefix),
            suffix: filter(suffix),
        }
    }

    fn valid(rules: &[NotificationRule]) -> bool {
        Notifications { bucket: None, rules: rules.to_vec() }.validate().is_ok()
    }

    #[test]
    fn an_event_goes_to_a_target_once() {
        let created = "s3:ObjectCreated:*";
        let one = rule("1", "a", created, "images/", ".jpg");
        for (other, fits) in [
            (rule("2", "a", "s3:ObjectRemoved:*", "images/", ".jpg"), true),
            (rule("2", "a", created, "logs/", ""), true),
            (rule("2", "a", created, "images/", ".png"), true),
            (rule("2", "b", created, "images/", ".jpg"), true),
            (rule("2", "a", "s3:ObjectCreated:Put", "images/", ".jpg"), false),
            (rule("2", "a", created, "images/2/", ""), false),
            (rule("2", "a", created, "", "g"), false),
            (rule("1", "b", created, "logs/", ""), false),
        ] {
            assert_eq!(valid(&[one.clone(), other.clone()]), fits, "{other:?}");
        }
        assert!(!valid(&[NotificationRule { events: Vec::new(), ..one.clone() }]));
        assert!(!valid(&[NotificationRule { id: String::new(), ..one.clone() }]));
        assert!(!valid(&[NotificationRule { prefix: Some("x".repeat(1025)), ..one }]));
    }

    #[test]
    fn arns_read_back() {
        let arn = Arn::parse("arn:juststorage:sqs:us-east-1:hooks:webhook").unwrap();
        assert_eq!(arn.to_string(), "arn:juststorage:sqs::hooks:webhook");
        assert_eq!(Arn::parse(&arn.to_string()).unwrap(), arn);
        for bad in [
            "",
            "arn:aws:sqs:us-east-1:123:queue",
            "arn:juststorage:sns::hooks:webhook",
            "arn:juststorage:sqs::hooks:kafka",
            "arn:juststorage:sqs::hooks:mirror",
            "arn:juststorage:sqs::Ho oks:webhook",
            "arn:juststorage:sqs::hooks:webhook:x",
        ] {
            assert!(Arn::parse(bad).is_err(), "{bad}");
        }
    }
}
