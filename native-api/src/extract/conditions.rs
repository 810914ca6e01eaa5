//! Conditional headers and ranges (RFC 9110 sections 13 and 14).

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use juststorage_core::application::objects::get::{IfRange, ReadOptions};
use juststorage_core::domain::etag::Etag;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::precondition::{EtagCondition, Preconditions};
use juststorage_core::domain::range::ByteRange;
use juststorage_core::domain::timestamp::Timestamp;

/// The conditions of a request. Invalid dates are ignored, as the RFC demands. Invalid tags are refused, because a
/// write would succeed if they were ignored.
pub(crate) fn preconditions(headers: &HeaderMap) -> Result<Preconditions, Invalid> {
    Ok(Preconditions {
        if_match: tags(headers, IF_MATCH, "If-Match")?,
        if_none_match: tags(headers, IF_NONE_MATCH, "If-None-Match")?,
        if_modified_since: date(headers, IF_MODIFIED_SINCE),
        if_unmodified_since: date(headers, IF_UNMODIFIED_SINCE),
        ..Preconditions::default()
    })
}

/// Conditions and range of a read.
pub(crate) fn read_options(headers: &HeaderMap) -> Result<ReadOptions, Invalid> {
    let preconditions = preconditions(headers)?;
    let mut range = headers.get(RANGE).and_then(|text| ByteRange::from_header(text.to_str().ok()?));
    let mut if_range = None;
    if let Some(validator) = headers.get(IF_RANGE) {
        // Weak tags never match strongly, and dates are no strong validator here: several versions may be
        // written within a second. The whole object is always a right answer (section 13.1.5).
        let tag = validator.to_str().ok().filter(|text| text.starts_with('"'));
        if_range = tag.and_then(|tag| Etag::parse(tag).ok()).map(IfRange::Tag);
        range = range.filter(|_| if_range.is_some());
    }
    Ok(ReadOptions { range, if_range, part: None, preconditions })
}

fn tags(
    headers: &HeaderMap,
    name: HeaderName,
    field: &'static str,
) -> Result<Option<EtagCondition>, Invalid> {
    let unreadable = || Invalid::new(field, "must be * or a list of entity tags");
    let lines = headers
        .get_all(name)
        .iter()
        .map(|line| std::str::from_utf8(line.as_bytes()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| unreadable())?;
    if lines.is_empty() {
        return Ok(None);
    }
    EtagCondition::parse(field, &lines.join(",")).map(Some)
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    let time: SystemTime = httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()?;
    Some(Timestamp::from(time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_range_counts_only_with_a_strong_tag() {
        let range = |validator: Option<&'static str>| {
            let mut lines = vec![(RANGE, "bytes=1-2")];
            lines.extend(validator.map(|text| (IF_RANGE, text)));
            read_options(&headers(&lines)).unwrap().range
        };
        assert!(range(None).is_some());
        assert!(range(Some("\"a\"")).is_some());
        assert!(range(Some("W/\"a\"")).is_none());
        assert!(range(Some("Sun, 06 Nov 1994 08:49:37 GMT")).is_none());
    }

    #[test]
    fn dates_are_lenient_and_tags_are_strict() {
        let bad_date = headers(&[(IF_MODIFIED_SINCE, "yesterday")]);
        assert_eq!(preconditions(&bad_date), Ok(Preconditions::default()));
        let good_date = headers(&[(IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:37 GMT")]);
        let expected = Some(Timestamp(784_111_777_000));
        assert_eq!(preconditions(&good_date).unwrap().if_unmodified_since, expected);
        for name in [IF_MATCH, IF_NONE_MATCH] {
            assert!(
                preconditions(&headers(&[(name.clone(), "")])).is_err(),
                "{name} is present and says nothing"
            );
            assert!(
                preconditions(&headers(&[(name.clone(), "W/\"\"")])).is_ok(),
                "{name}: a tag of no object"
            );
        }
        let bad_tag = headers(&[(IF_MATCH, "a b")]);
        assert_eq!(preconditions(&bad_tag).map_err(|e| e.field), Err("If-Match"));
    }
}
