//! POST policies (S3 API Reference, "POST Policy"): the conditions on a form.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use s3s::{S3Error, S3Result};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::errors::{bad_request, fail};

/// Fields that need no condition: those of the signature, and ignored ones. A checksum needs none either, because it
/// can only refuse bytes.
fn is_exempt(field: &str) -> bool {
    matches!(field, "policy" | "signature" | "awsaccesskeyid" | "x-amz-signature" | "file")
        || field.starts_with("x-ignore-")
        || field.starts_with("x-amz-checksum-")
}

#[derive(Debug, PartialEq, Eq)]
enum Condition {
    /// The field has exactly this value.
    Equals(String, String),
    /// The field has this prefix.
    StartsWith(String, String),
    /// The file's size is in this range.
    Length(RangeInclusive<u64>),
}

/// A parsed policy.
#[derive(Debug)]
pub(crate) struct FormPolicy {
    expiration: OffsetDateTime,
    conditions: Vec<Condition>,
}

fn invalid(why: &str) -> S3Error {
    bad_request("InvalidPolicyDocument", format!("Invalid Policy: {why}."))
}

fn denied(why: &str) -> S3Error {
    fail(StatusCode::FORBIDDEN, "AccessDenied", format!("Invalid according to Policy: {why}"))
}

impl FormPolicy {
    /// Reads the `policy` field of a form: base64 of JSON.
    pub(crate) fn read(encoded: &str) -> S3Result<Self> {
        let compact: String = encoded.split_ascii_whitespace().collect();
        let json = STANDARD.decode(compact).map_err(|_| invalid("it is not base64"))?;
        let json: Value = serde_json::from_slice(&json).map_err(|_| invalid("it is not JSON"))?;
        let expiration = json.get("expiration").ok_or_else(|| invalid("Policy missing expiration"))?;
        let expiration = expiration
            .as_str()
            // The parser takes any separator between date and time; S3 takes a T.
            .filter(|text| text.as_bytes().get(10) == Some(&b'T'))
            .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
            .ok_or_else(|| invalid("Invalid 'expiration' value"))?;
        let conditions = json
            .get("conditions")
            .and_then(Value::as_array)
            .filter(|conditions| !conditions.is_empty())
            .ok_or_else(|| invalid("Policy missing conditions"))?;
        let conditions = conditions.iter().map(condition).collect::<S3Result<Vec<_>>>()?;
        Ok(Self { expiration, conditions })
    }

    /// Checks everything except the file's length, and returns the bounds of the length. `fields` are those of the
    /// form, names in lower case, and the bucket of its address.
    pub(crate) fn check(
        &self,
        fields: &[(String, String)],
        now: OffsetDateTime,
    ) -> S3Result<RangeInclusive<u64>> {
        if self.expiration <= now {
            return Err(denied("Policy expired."));
        }
        let value = |name: &str| {
            fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str())
        };
        let (mut least, mut most) = (0, u64::MAX);
        for condition in &self.conditions {
            let holds = match condition {
                Condition::Equals(name, wanted) => value(name) == wanted,
                // A list of types meets the condition if each of them does (S3 API Reference, "POST Policy").
                Condition::StartsWith(name, prefix) if name == "content-type" => {
                    value(name).split(',').all(|one| one.trim_start().starts_with(prefix.as_str()))
                }
                Condition::StartsWith(name, prefix) => value(name).starts_with(prefix.as_str()),
                Condition::Length(range) => {
                    least = least.max(*range.start());
                    most = most.min(*range.end());
                    true
                }
            };
            if !holds {
                return Err(denied(&format!("Policy Condition failed: {}", condition.written())));
            }
        }
        let named = |field: &str| self.conditions.iter().any(|condition| condition.field() == Some(field));
        let extra: Vec<_> = fields
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !is_exempt(name) && !named(name))
            .collect();
        if !extra.is_empty() {
            return Err(denied(&format!("Extra input fields: {}", extra.join(", "))));
        }
        Ok(least..=most)
    }
}

impl Condition {
    fn field(&self) -> Option<&str> {
        match self {
            Self::Equals(field, _) | Self::StartsWith(field, _) => Some(field),
            Self::Length(_) => None,
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Equals(field, value) => format!("[\"eq\", \"${field}\", \"{value}\"]"),
            Self::StartsWith(field, prefix) => format!("[\"starts-with\", \"${field}\", \"{prefix}\"]"),
            Self::Length(range) => format!("[\"content-length-range\", {}, {}]", range.start(), range.end()),
        }
    }
}

fn condition(json: &Value) -> S3Result<Condition> {
    let bad = || invalid("Invalid Condition");
    match json {
        Value::Object(map) if map.len() == 1 => {
            let (field, value) = map.iter().next().ok_or_else(bad)?;
            let value = value.as_str().ok_or_else(bad)?;
            Ok(Condition::Equals(field.to_ascii_lowercase(), value.to_owned()))
        }
        Value::Array(items) => {
            let [operator, first, second] = items.as_slice() else { return Err(bad()) };
            let operator = operator.as_str().ok_or_else(bad)?.to_ascii_lowercase();
            if operator == "content-length-range" {
                let (least, most) = (bytes(first).ok_or_else(bad)?, bytes(second).ok_or_else(bad)?);
                return if least <= most { Ok(Condition::Length(least..=most)) } else { Err(bad()) };
            }
            let field = first.as_str().and_then(|field| field.strip_prefix('$')).ok_or_else(bad)?;
            let (field, value) = (field.to_ascii_lowercase(), second.as_str().ok_or_else(bad)?.to_owned());
            match operator.as_str() {
                "eq" => Ok(Condition::Equals(field, value)),
                "starts-with" => Ok(Condition::StartsWith(field, value)),
                _ => Err(bad()),
            }
        }
        _ => Err(bad()),
    }
}

/// A number of bytes, which some SDKs write as text.
fn bytes(json: &Value) -> Option<u64> {
    json.as_u64().or_else(|| json.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

    fn policy(conditions: &Value) -> S3Result<FormPolicy> {
        let json = json!({ "expiration": "2026-01-01T01:00:00.000Z", "conditions": conditions });
        FormPolicy::read(&STANDARD.encode(json.to_string()))
    }

    fn check(conditions: &Value, fields: &[(&str, &str)]) -> Result<RangeInclusive<u64>, String> {
        let fields: Vec<_> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        policy(conditions).unwrap().check(&fields, NOW).map_err(|error| error.code().as_str().to_owned())
    }

    #[test]
    fn every_kind_of_condition_holds_or_refuses() {
        let conditions = json!([
            { "bUcket": "b" },
            ["EQ", "$acl", "private"],
            ["starts-with", "$Key", "user/"],
            ["content-length-range", 1, "10"],
        ]);
        let good = [("bucket", "b"), ("acl", "private"), ("key", "user/x")];
        assert_eq!(check(&conditions, &good), Ok(1..=10));
        for (at, wrong) in [(0, ("bucket", "other")), (1, ("acl", "public-read")), (2, ("key", "use"))] {
            let mut fields = good;
            fields[at] = wrong;
            assert_eq!(check(&conditions, &fields), Err("AccessDenied".to_owned()), "{wrong:?}");
        }
        assert_eq!(check(&conditions, &good[..2]), Err("AccessDenied".to_owned()), "a field is missing");
    }

    #[test]
    fn every_type_of_a_list_begins_as_the_policy_wants() {
        let conditions = |prefix: &str| json!([{ "bucket": "b" }, ["starts-with", "$Content-Type", prefix]]);
        let check =
            |prefix: &str, value| check(&conditions(prefix), &[("bucket", "b"), ("content-type", value)]);
        for good in ["image/png", "image/png,image/jpeg", "image/png, image/x;q=1"] {
            assert!(check("image/", good).is_ok(), "{good}");
        }
        for bad in ["image/png,text/html", "text/html,image/png", "image/png,", ",image/png", "", "image/a,b"]
        {
            assert_eq!(check("image/", bad), Err("AccessDenied".to_owned()), "{bad}");
        }
        assert!(check("", "text/html,image/png").is_ok());
        // Only of types: a key is no list.
        let key = json!([{ "bucket": "b" }, ["starts-with", "$key", "a/"]]);
        assert!(super::tests::check(&key, &[("bucket", "b"), ("key", "a/1,2")]).is_ok());
    }

    /// A field without a condition could have any value.
    #[test]
    fn fields_without_condition_are_refused() {
        let conditions = json!([{ "bucket": "b" }]);
        assert!(check(&conditions, &[("bucket", "b"), ("x-ignore-a", "1"), ("policy", "p")]).is_ok());
        for extra in ["x-amz-meta-a", "tagging", "success_action_status", "x-amz-credential"] {
            let refused = check(&conditions, &[("bucket", "b"), (extra, "1")]);
            assert_eq!(refused, Err("AccessDenied".to_owned()), "{extra}");
        }
    }

    #[test]
    fn policies_that_are_none_are_refused() {
        let cases = [
            json!([{}]),
            json!([]),
            json!([["eq", "key", "x"]]),
            json!([["ends-with", "$key", "x"]]),
            json!([["content-length-range", 0]]),
            json!([["content-length-range", -1, 0]]),
            json!([["content-length-range", 2, 1]]),
            json!([{ "a": "1", "b": "2" }]),
        ];
        for conditions in cases {
            let error = policy(&conditions).unwrap_err();
            assert_eq!(error.code().as_str(), "InvalidPolicyDocument", "{conditions}");
        }
        for text in ["{}", "[]", r#"{"EXPIRATION":"2026-01-01T01:00:00Z","conditions":[{"a":"b"}]}"#] {
            assert!(FormPolicy::read(&STANDARD.encode(text)).is_err(), "{text}");
        }
        assert!(FormPolicy::read("not base64!").is_err());
    }

    #[test]
    fn an_expired_policy_is_refused() {
        let policy = policy(&json!([{ "bucket": "b" }])).unwrap();
        let late = NOW + time::Duration::hours(1);
        assert!(policy.check(&[("bucket".to_owned(), "b".to_owned())], late).is_err());
    }
}
