//! Object lock in headers.

use http::{HeaderMap, HeaderName};
use juststorage_core::domain::object_lock::{LockMode, ObjectLock, Retention};
use s3s::S3Result;
use s3s::dto::{Timestamp, TimestampFormat};

use super::fields::text;
use super::values;
use crate::errors::{invalid_argument, wrong_argument};

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";
const HOLD: &str = "x-amz-object-lock-legal-hold";

/// S3's word for a mode.
pub(crate) fn mode_name(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Governance => "GOVERNANCE",
        LockMode::Compliance => "COMPLIANCE",
    }
}

/// The mode of a word.
pub(crate) fn mode(name: &str) -> Option<LockMode> {
    [LockMode::Governance, LockMode::Compliance].into_iter().find(|mode| mode_name(*mode) == name)
}

/// The retention and legal hold that a write asks for.
pub(crate) fn asked(headers: &HeaderMap) -> S3Result<ObjectLock> {
    let retention = match (text(headers, MODE), text(headers, UNTIL)) {
        (None, None) => None,
        (Some(name), Some(until)) => {
            let mode = mode(name).ok_or_else(|| wrong_argument(MODE, name, "Unknown wormMode directive."))?;
            let until = Timestamp::parse(TimestampFormat::DateTime, until).map_err(|_| {
                wrong_argument(UNTIL, until, "The retain until date must be provided in ISO 8601 format")
            })?;
            Some(Retention { mode, until: values::moment(&until) })
        }
        _ => return Err(invalid_argument(format!("{UNTIL} and {MODE} must both be supplied"))),
    };
    let legal_hold = match text(headers, HOLD) {
        None => None,
        Some("ON") => Some(true),
        Some("OFF") => Some(false),
        Some(hold) => {
            return Err(wrong_argument(HOLD, hold, "Legal Hold must be either of 'ON' or 'OFF'"));
        }
    };
    Ok(ObjectLock { retention, legal_hold })
}

/// Whether a request would bypass governance.
pub(crate) fn bypass(headers: &HeaderMap) -> bool {
    text(headers, "x-amz-bypass-governance-retention").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The headers for an object's retention and legal hold.
pub(crate) fn headers(lock: ObjectLock) -> [(HeaderName, Option<String>); 3] {
    let until = lock.retention.and_then(|retention| {
        let mut written = Vec::new();
        values::timestamp(retention.until).format(TimestampFormat::DateTime, &mut written).ok()?;
        String::from_utf8(written).ok()
    });
    let hold = lock.legal_hold.map(|on| if on { "ON" } else { "OFF" }.to_owned());
    [
        (HeaderName::from_static(MODE), lock.retention.map(|retention| mode_name(retention.mode).to_owned())),
        (HeaderName::from_static(UNTIL), until),
        (HeaderName::from_static(HOLD), hold),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::HeaderValue;

    fn read(pairs: &[(&'static str, &'static str)]) -> S3Result<ObjectLock> {
        asked(
            &pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect(),
        )
    }

    #[test]
    fn headers_read_back_what_they_tell() {
        let told = [(MODE, "COMPLIANCE"), (UNTIL, "2030-01-01T00:00:00.250Z"), (HOLD, "ON")];
        let lock = read(&told).unwrap();
        let written = headers(lock);
        for ((name, value), (told_name, told_value)) in written.into_iter().zip(told) {
            assert_eq!((name.as_str(), value.as_deref()), (told_name, Some(told_value)));
        }
        assert!(read(&[]).unwrap().is_empty());
    }

    #[test]
    fn half_a_retention_and_unknown_words_are_refused() {
        for pairs in [
            &[(MODE, "GOVERNANCE")][..],
            &[(UNTIL, "2030-01-01T00:00:00Z")],
            &[(MODE, "governance"), (UNTIL, "2030-01-01T00:00:00Z")],
            &[(MODE, "GOVERNANCE"), (UNTIL, "tomorrow")],
            &[(HOLD, "on")],
        ] {
            assert_eq!(read(pairs).unwrap_err().code().as_str(), "InvalidArgument", "{pairs:?}");
        }
    }
}
