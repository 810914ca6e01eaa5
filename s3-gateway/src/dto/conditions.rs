//! Conditional headers.

use std::time::SystemTime;

use http::{HeaderMap, HeaderValue};
use juststorage_core::domain::precondition::{EtagCondition, Preconditions};
use juststorage_core::domain::timestamp::Timestamp;
use s3s::S3Result;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::fields::{joined, text};
use crate::errors::{invalid_argument, translate};

/// The conditions of a read. An empty condition and an invalid date are ignored (RFC 9110 section 13.1.3).
pub(crate) fn of_request(headers: &HeaderMap) -> S3Result<Preconditions> {
    read(headers, "")
}

/// The conditions of a write: S3 has only `If-Match` and `If-None-Match`. An invalid or empty one is refused, because
/// ignoring it would overwrite an object that the client protects.
pub(crate) fn of_write(headers: &HeaderMap) -> S3Result<Preconditions> {
    for name in ["if-match", "if-none-match"] {
        readable(headers, name)?;
    }
    let Preconditions { if_match, if_none_match, .. } = read(headers, "")?;
    Ok(Preconditions { if_match, if_none_match, ..Preconditions::default() })
}

/// The conditions on a copy's source. A tag that cannot be read is refused; a date is ignored then, as S3 does and HTTP
/// wants (RFC 9110 section 13.1.4): the SDK for JavaScript of MinIO sends `Invalid Date`.
pub(crate) fn of_copy_source(headers: &HeaderMap) -> S3Result<Preconditions> {
    const PREFIX: &str = "x-amz-copy-source-";
    for name in ["if-match", "if-none-match"] {
        readable(headers, &format!("{PREFIX}{name}"))?;
    }
    read(headers, PREFIX)
}

/// Refuses a header that is present, but empty or not text: the readers of headers would treat it as absent.
fn readable(headers: &HeaderMap, name: &str) -> S3Result<()> {
    let reads =
        |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).is_ok_and(|v| !v.trim().is_empty());
    if headers.get_all(name).iter().all(reads) {
        return Ok(());
    }
    Err(invalid_argument(format!("The header {name} is present and has no value that could be read.")))
}

/// A moment as HTTP writes it, or ISO 8601, which S3 takes too.
fn parse_date(text: &str) -> Option<SystemTime> {
    let iso = || OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from);
    httpdate::parse_http_date(text).ok().or_else(iso)
}

/// Headers that hold entity tags.
const TAGS: [&str; 4] =
    ["if-match", "if-none-match", "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match"];

/// Headers that hold dates, and that s3s reads.
const DATES: [&str; 2] = ["x-amz-copy-source-if-modified-since", "x-amz-copy-source-if-unmodified-since"];

/// A tag without quotes: S3 takes it as if it had them, s3s only where it looks like a digest.
fn bare(headers: &HeaderMap, name: &str) -> Option<String> {
    let tag = text(headers, name)?.trim();
    (!tag.is_empty() && tag != "*" && !tag.contains(['"', ','])).then(|| format!("\"{tag}\""))
}

/// Whether s3s reads a date.
fn is_plain_date(headers: &HeaderMap, name: &str) -> bool {
    let values = headers.get_all(name).iter();
    values.into_iter().all(|value| value.to_str().is_ok_and(|date| httpdate::parse_http_date(date).is_ok()))
}

/// Whether s3s would refuse a condition that S3 takes: a tag without quotes, a date in another form or in none.
pub(crate) fn are_odd(headers: &HeaderMap) -> bool {
    TAGS.iter().any(|name| bare(headers, name).is_some())
        || DATES.iter().any(|name| !is_plain_date(headers, name))
}

/// Gives tags their quotes and dates HTTP's form, and leaves out dates that are none.
pub(crate) fn write_plainly(headers: &mut HeaderMap) {
    for name in TAGS {
        if let Some(value) = bare(headers, name).and_then(|tag| HeaderValue::try_from(tag).ok()) {
            headers.insert(name, value);
        }
    }
    for name in DATES.into_iter().filter(|name| !is_plain_date(headers, name)).collect::<Vec<_>>() {
        let date = text(headers, name).and_then(parse_date).map(httpdate::fmt_http_date);
        match date.and_then(|date| HeaderValue::try_from(date).ok()) {
            Some(date) => drop(headers.insert(name, date)),
            None => drop(headers.remove(name)),
        }
    }
}

fn read(headers: &HeaderMap, prefix: &str) -> S3Result<Preconditions> {
    let tags = |field: &'static str| {
        joined(headers, &format!("{prefix}{field}"))
            .map(|value| EtagCondition::parse(field, &value).map_err(|invalid| translate(invalid.into())))
            .transpose()
    };
    let date =
        |field: &str| text(headers, &format!("{prefix}{field}")).and_then(parse_date).map(Timestamp::from);
    Ok(Preconditions {
        if_match: tags("if-match")?,
        if_none_match: tags("if-none-match")?,
        if_modified_since: date("if-modified-since"),
        if_unmodified_since: date("if-unmodified-since"),
        ..Preconditions::default()
    })
}

/// The conditions of a delete: `If-Match`, and S3's own on size and time. An invalid one is refused, because ignoring
/// it would delete an object that the client protects.
pub(crate) fn of_delete(headers: &HeaderMap) -> S3Result<Preconditions> {
    for name in ["x-amz-if-match-size", "x-amz-if-match-last-modified-time"] {
        readable(headers, name)?;
    }
    let size = text(headers, "x-amz-if-match-size").map(|size| {
        size.parse().map_err(|_| invalid_argument("x-amz-if-match-size must be a number of bytes."))
    });
    let modified = text(headers, "x-amz-if-match-last-modified-time").map(|time| {
        httpdate::parse_http_date(time)
            .map(Timestamp::from)
            .map_err(|_| invalid_argument("x-amz-if-match-last-modified-time must be an HTTP date."))
    });
    Ok(Preconditions {
        if_size: size.transpose()?,
        if_modified_at: modified.transpose()?,
        ..of_write(headers)?
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dto::headers;

    #[test]
    fn lists_stars_and_dates_are_read() {
        let conditions = of_request(&headers(&[
            ("if-match", "\"a\", W/\"b\", c"),
            ("if-none-match", "*"),
            ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("if-unmodified-since", "yesterday"),
        ]))
        .unwrap();
        assert!(matches!(&conditions.if_match, Some(EtagCondition::Of(tags)) if tags.len() == 3));
        assert_eq!(conditions.if_none_match, Some(EtagCondition::Any));
        assert_eq!(conditions.if_modified_since, Some(Timestamp(784_111_777_000)));
        assert_eq!(conditions.if_unmodified_since, None);
        assert_eq!(of_write(&HeaderMap::new()).unwrap(), Preconditions::default());
        assert!(of_request(&headers(&[("if-match", "\"a\"b\"")])).is_err());
    }

    #[test]
    fn what_is_present_and_says_nothing_is_refused_on_writes() {
        let of = |name: &'static str, value: &'static [u8]| -> HeaderMap {
            [(http::HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())]
                .into_iter()
                .collect()
        };
        for value in [&b""[..], b" ", b"\xff"] {
            for name in ["if-match", "if-none-match"] {
                assert_eq!(
                    of_write(&of(name, value)).unwrap_err().code().as_str(),
                    "InvalidArgument",
                    "{name}"
                );
                assert!(
                    of_delete(&of(name, value)).is_err() && of_request(&of(name, value)).is_ok(),
                    "{name}"
                );
            }
            for name in ["x-amz-if-match-size", "x-amz-if-match-last-modified-time"] {
                assert!(of_delete(&of(name, value)).is_err(), "{name}");
            }
            assert!(of_copy_source(&of("x-amz-copy-source-if-none-match", value)).is_err());
            assert!(of_copy_source(&of("x-amz-copy-source-if-unmodified-since", value)).is_ok());
        }
    }

    #[test]
    fn odd_conditions_are_written_plainly() {
        const TAG: &str = "x-amz-copy-source-if-match";
        const DATE: &str = "x-amz-copy-source-if-modified-since";
        let plain = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (name, sent, written) in [
            (TAG, "abc", Some("\"abc\"")),
            (TAG, "\"abc\"", Some("\"abc\"")),
            (TAG, "*", Some("*")),
            (TAG, "W/\"a\"", Some("W/\"a\"")),
            (TAG, "a, b", Some("a, b")),
            (TAG, "", Some("")),
            (DATE, plain, Some(plain)),
            (DATE, "1994-11-06T08:49:37Z", Some(plain)),
            (DATE, "Invalid Date", None),
            (DATE, "", None),
        ] {
            let mut all = headers(&[(name, sent)]);
            assert_eq!(are_odd(&all), Some(sent) != written, "{sent}");
            write_plainly(&mut all);
            assert_eq!(all.get(name).map(|value| value.to_str().unwrap()), written, "{sent}");
            assert!(!are_odd(&all), "{sent}");
        }
    }

    #[test]
    fn source_conditions_are_their_own() {
        let both = headers(&[("if-match", "a"), ("x-amz-copy-source-if-none-match", "b")]);
        assert!(of_copy_source(&both).unwrap().if_match.is_none());
        assert!(of_copy_source(&both).unwrap().if_none_match.is_some());
        assert!(of_write(&both).unwrap().if_none_match.is_none());
    }
}
