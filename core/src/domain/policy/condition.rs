//! Conditions of a statement: keys, operators, and how they are compared (IAM User Guide, "IAM JSON policy elements:
//! Condition operators").
//!
//! What a request leaves out fails every operator but the negated ones and those that end in `IfExists`, which hold
//! then: that is AWS's rule and its trap. What is not *known* of a request (its address behind a proxy) holds for a
//! Deny and fails for an Allow.

use std::borrow::Cow;
use std::net::IpAddr;

use super::{KnownTags, wildcard};
use crate::domain::action::Action;
use crate::domain::context::Context;
use crate::domain::network::Network;

/// What of a request is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConditionKey {
    SourceIp,
    SecureTransport,
    Referer,
    Prefix,
    Delimiter,
    MaxKeys,
    Acl,
    StorageClass,
    /// The value of the object's tag with this key.
    ExistingTag(String),
}

/// The type of a key's values, which decides which operators it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Bool,
    Ip,
}

impl ConditionKey {
    /// Reads a key's name, which has no case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        const TAG: &str = "s3:existingobjecttag/";
        let lower = name.to_ascii_lowercase();
        if lower.starts_with(TAG) {
            let tag = name.get(TAG.len()..)?;
            return (!tag.is_empty()).then(|| Self::ExistingTag(tag.to_owned()));
        }
        Some(match lower.as_str() {
            "aws:sourceip" => Self::SourceIp,
            "aws:securetransport" => Self::SecureTransport,
            "aws:referer" => Self::Referer,
            "s3:prefix" => Self::Prefix,
            "s3:delimiter" => Self::Delimiter,
            "s3:max-keys" => Self::MaxKeys,
            "s3:x-amz-acl" => Self::Acl,
            "s3:x-amz-storage-class" => Self::StorageClass,
            _ => return None,
        })
    }

    /// Its name.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::SourceIp => "aws:SourceIp",
            Self::SecureTransport => "aws:SecureTransport",
            Self::Referer => "aws:Referer",
            Self::Prefix => "s3:prefix",
            Self::Delimiter => "s3:delimiter",
            Self::MaxKeys => "s3:max-keys",
            Self::Acl => "s3:x-amz-acl",
            Self::StorageClass => "s3:x-amz-storage-class",
            Self::ExistingTag(_) => "s3:ExistingObjectTag",
        }
    }

    fn of_type(&self) -> Type {
        match self {
            Self::SourceIp => Type::Ip,
            Self::SecureTransport => Type::Bool,
            Self::MaxKeys => Type::Number,
            _ => Type::Text,
        }
    }

    /// Whether a request for `action` has the key at all (Service Authorization Reference, Amazon S3).
    pub(super) fn applies_to(&self, action: Action) -> bool {
        use Action as A;
        match self {
            Self::SourceIp | Self::SecureTransport | Self::Referer => true,
            Self::Prefix | Self::Delimiter | Self::MaxKeys => {
                matches!(action, A::ListBucket | A::ListBucketVersions)
            }
            Self::Acl => {
                matches!(action, A::PutObject | A::PutObjectAcl | A::PutObjectVersionAcl | A::PutBucketAcl)
            }
            Self::StorageClass => action == A::PutObject,
            Self::ExistingTag(_) => matches!(
                action,
                A::GetObject
                    | A::GetObjectVersion
                    | A::GetObjectAttributes
                    | A::GetObjectVersionAttributes
                    | A::GetObjectAcl
                    | A::GetObjectVersionAcl
                    | A::GetObjectTagging
                    | A::GetObjectVersionTagging
                    | A::PutObjectAcl
                    | A::PutObjectVersionAcl
                    | A::PutObjectTagging
                    | A::PutObjectVersionTagging
                    | A::DeleteObjectTagging
                    | A::DeleteObjectVersionTagging
            ),
        }
    }
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equals,
    EqualsIgnoreCase,
    Like,
    NumericEquals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
    Bool,
    Ip,
    Null,
}

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operator {
    comparison: Comparison,
    negated: bool,
    if_exists: bool,
}

impl Operator {
    /// Reads an operator's name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        use Comparison as C;
        let (plain, if_exists) = match name.strip_suffix("IfExists") {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        let (comparison, negated) = match plain {
            "StringEquals" => (C::Equals, false),
            "StringNotEquals" => (C::Equals, true),
            "StringEqualsIgnoreCase" => (C::EqualsIgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (C::EqualsIgnoreCase, true),
            "StringLike" => (C::Like, false),
            "StringNotLike" => (C::Like, true),
            "NumericEquals" => (C::NumericEquals, false),
            "NumericNotEquals" => (C::NumericEquals, true),
            "NumericLessThan" => (C::LessThan, false),
            "NumericLessThanEquals" => (C::LessThanEquals, false),
            "NumericGreaterThan" => (C::GreaterThan, false),
            "NumericGreaterThanEquals" => (C::GreaterThanEquals, false),
            "Bool" => (C::Bool, false),
            "IpAddress" => (C::Ip, false),
            "NotIpAddress" => (C::Ip, true),
            // `NullIfExists` says nothing.
            "Null" if !if_exists => (C::Null, false),
            _ => return None,
        };
        Some(Self { comparison, negated, if_exists })
    }

    /// Whether values of `key` can be compared so.
    pub(super) fn takes(self, key: &ConditionKey) -> bool {
        use Comparison as C;
        match (self.comparison, key.of_type()) {
            (C::Null, _) => true,
            // Addresses are compared as addresses: as text, `10.0.0.1` is not `10.000.0.1`.
            (C::Equals | C::EqualsIgnoreCase | C::Like, kind) => kind != Type::Ip,
            (C::Bool, kind) => kind == Type::Bool,
            (C::Ip, kind) => kind == Type::Ip,
            (_, kind) => kind == Type::Number,
        }
    }

    /// Reads a value to compare with.
    pub(super) fn value(self, text: &str) -> Option<Value> {
        use Comparison as C;
        match self.comparison {
            C::Equals | C::EqualsIgnoreCase | C::Like => Some(Value::Text(text.to_owned())),
            C::Bool | C::Null => match text.to_ascii_lowercase().as_str() {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                _ => None,
            },
            C::Ip => Network::parse(text).map(Value::Network),
            _ => text.parse().ok().map(Value::Number),
        }
    }

    /// Whether it admits only the addresses it lists.
    pub(super) fn confines_to_addresses(self) -> bool {
        self.comparison == Comparison::Ip && !self.negated && !self.if_exists
    }

    fn compare(self, value: &Value, found: &Found<'_>) -> bool {
        use Comparison as C;
        match (self.comparison, value, found) {
            (C::Equals, Value::Text(wanted), Found::Text(found)) => wanted == found,
            (C::EqualsIgnoreCase, Value::Text(wanted), Found::Text(found)) => {
                wanted.to_lowercase() == found.to_lowercase()
            }
            (C::Like, Value::Text(wanted), Found::Text(found)) => wildcard::matches(wanted, found),
            (C::Bool, Value::Bool(wanted), Found::Text(found)) => {
                found == if *wanted { "true" } else { "false" }
            }
            (C::Ip, Value::Network(network), Found::Ip(address)) => network.holds(*address),
            (numeric, Value::Number(wanted), Found::Text(found)) => {
                let Ok(found) = found.parse::<i64>() else { return false };
                match numeric {
                    C::NumericEquals => found == *wanted,
                    C::LessThan => found < *wanted,
                    C::LessThanEquals => found <= *wanted,
                    C::GreaterThan => found > *wanted,
                    C::GreaterThanEquals => found >= *wanted,
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

/// What a policy compares with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
    Network(Network),
}

/// What a request has for a key.
enum Found<'a> {
    /// Nothing.
    Absent,
    /// Something that is not known.
    Unknown,
    Text(Cow<'a, str>),
    Ip(IpAddr),
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    /// It depends on what is not known of the request.
    Unknown,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// One key under one operator, with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    pub(super) key: ConditionKey,
    pub(super) values: Vec<Value>,
}

impl Condition {
    /// Whether it holds for a request for `action`.
    pub(super) fn holds(&self, action: Action, context: &Context, tags: KnownTags<'_>) -> Truth {
        if !self.key.applies_to(action) {
            return self.judge(&Found::Absent);
        }
        let text = |text: &'_ Option<String>| -> Truth {
            self.judge(&text.as_deref().map_or(Found::Absent, |text| Found::Text(text.into())))
        };
        match &self.key {
            ConditionKey::SourceIp => self.judge(&context.source_ip.map_or(Found::Unknown, Found::Ip)),
            ConditionKey::SecureTransport => {
                self.judge(&context.secure.map_or(Found::Unknown, |secure| {
                    Found::Text(if secure { "true" } else { "false" }.into())
                }))
            }
            ConditionKey::Referer => text(&context.referer),
            ConditionKey::Prefix => text(&context.prefix),
            ConditionKey::Delimiter => text(&context.delimiter),
            ConditionKey::MaxKeys => text(&context.max_keys),
            ConditionKey::Acl => text(&context.acl),
            ConditionKey::StorageClass => text(&context.storage_class),
            ConditionKey::ExistingTag(name) => self.judge_tag(name, tags),
        }
    }

    /// Tags have case and the names of condition keys have none. Which tag is meant where two differ in nothing else
    /// S3 does not say: a condition on it is not known.
    fn judge_tag(&self, name: &str, tags: KnownTags<'_>) -> Truth {
        let Some(tags) = tags else { return self.judge(&Found::Unknown) };
        let with = |value: Option<&String>| {
            self.judge(&value.map_or(Found::Absent, |value| Found::Text(value.as_str().into())))
        };
        let exact = with(tags.get(name));
        let others = tags.iter().filter(|(key, _)| *key != name && key.eq_ignore_ascii_case(name));
        let agreed = others.map(|(_, value)| with(Some(value))).all(|truth| truth == exact);
        if agreed { exact } else { Truth::Unknown }
    }

    fn judge(&self, found: &Found<'_>) -> Truth {
        if self.operator.comparison == Comparison::Null {
            let absent = matches!(found, Found::Absent);
            // What is not known is there all the same.
            return self.values.contains(&Value::Bool(absent)).into();
        }
        match found {
            Found::Absent => (self.operator.negated || self.operator.if_exists).into(),
            Found::Unknown => Truth::Unknown,
            found => {
                let any = self.values.iter().any(|value| self.operator.compare(value, found));
                (any != self.operator.negated).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_and_keys_are_those_that_are_offered() {
        for name in ["StringEquals", "StringNotLikeIfExists", "NumericLessThanEquals", "Null", "NotIpAddress"]
        {
            assert!(Operator::parse(name).is_some(), "{name}");
        }
        for name in [
            "",
            "stringequals",
            "ForAnyValue:StringEquals",
            "ForAllValues:StringLike",
            "DateLessThan",
            "ArnLike",
            "BinaryEquals",
            "NullIfExists",
            "StringEqualsIfExistsIfExists",
            "IfExists",
        ] {
            assert!(Operator::parse(name).is_none(), "{name}");
        }
        assert_eq!(ConditionKey::parse("AWS:sourceIP"), Some(ConditionKey::SourceIp));
        assert_eq!(
            ConditionKey::parse("S3:ExistingObjectTag/Team"),
            Some(ConditionKey::ExistingTag("Team".to_owned()))
        );
        for name in ["", "s3:ExistingObjectTag/", "s3:RequestObjectTag/a", "aws:PrincipalTag/a", "prefix"] {
            assert_eq!(ConditionKey::parse(name), None, "{name}");
        }
    }
}
