//! Dates of requests that are signed with version 2, in the forms that old clients write.
//!
//! S3 takes any date of HTTP (RFC 9110 section 5.6.7), zones as mail has them, and these also in `x-amz-date`; s3s
//! takes one form in each header. What is signed is the text of the date, so that it cannot just be written anew:
//! where the signature is right over the request as it came, the date gets its usual form, and the request the
//! signature that goes with it. How old it may be is for s3s to judge.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, DATE, HeaderValue};
use http::request::Parts;
use juststorage_core::application::access::Access;
use ring::hmac;
use s3s_sigv2::{Mode, create_string_to_sign};
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::{OffsetDateTime, PrimitiveDateTime};

use super::{AMZ_DATE, mac};
use crate::dto::fields::text;
use crate::query::owned_pairs;

/// Writes the date of a request anew if s3s could not read it, and signs it so. Every other request is left alone.
/// `bucket` is that of the request's host, if it names one.
pub(crate) async fn admit(parts: &mut Parts, bucket: Option<&str>, access: &Access) {
    let Some((access_key, signature)) = text(&parts.headers, AUTHORIZATION.as_str())
        .and_then(|value| value.strip_prefix("AWS "))
        .and_then(|value| value.split_once(':'))
        .map(|(key, signature)| (key.to_owned(), signature.to_owned()))
    else {
        return;
    };
    let Some(date) = unusual(parts) else { return };
    let Ok(claimed) = STANDARD.decode(signature) else { return };
    // A key that cannot be looked up now is s3s's to refuse.
    let Ok(Some(identity)) = access.s3(&access_key).await else { return };
    let key = mac::version_2_key(&identity.secret_key);
    if hmac::verify(&key, to_sign(parts, bucket).as_bytes(), &claimed).is_err() {
        return;
    }
    let Some(date) = date.format(AMZ_DATE).ok().and_then(|date| HeaderValue::try_from(date).ok()) else {
        return;
    };
    parts.headers.insert("x-amz-date", date);
    let signature = hmac::sign(&key, to_sign(parts, bucket).as_bytes());
    let authorization = format!("AWS {access_key}:{}", STANDARD.encode(signature));
    if let Ok(authorization) = HeaderValue::try_from(authorization) {
        parts.headers.insert(AUTHORIZATION, authorization);
    }
}

/// The time that a request is signed for, if it is written as s3s does not read it.
fn unusual(parts: &Parts) -> Option<OffsetDateTime> {
    match text(&parts.headers, "x-amz-date") {
        Some(date) if PrimitiveDateTime::parse(date, AMZ_DATE).is_ok() => None,
        Some(date) => read(date),
        None => {
            let date = text(&parts.headers, DATE.as_str())?;
            // The one form that today's clients write.
            let usual =
                httpdate::parse_http_date(date).is_ok_and(|time| httpdate::fmt_http_date(time) == date);
            if usual { None } else { read(date) }
        }
    }
}

/// A date as HTTP, mail or ISO 8601 have it.
fn read(date: &str) -> Option<OffsetDateTime> {
    let date = date.trim();
    let gmt = [" +0000", " -0000", " UTC"].into_iter().find_map(|zone| date.strip_suffix(zone));
    let http = gmt.map_or_else(|| date.to_owned(), |date| format!("{date} GMT"));
    httpdate::parse_http_date(&http)
        .map(OffsetDateTime::from)
        .ok()
        .or_else(|| OffsetDateTime::parse(date, &Rfc2822).ok())
        .or_else(|| OffsetDateTime::parse(date, &Rfc3339).ok())
        .map(|date| date.to_offset(time::UtcOffset::UTC))
}

/// The string to sign of a request as it stands.
fn to_sign(parts: &Parts, bucket: Option<&str>) -> String {
    let mut pairs = parts.uri.query().map(owned_pairs).unwrap_or_default();
    pairs.sort();
    let headers: Vec<_> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| value.to_str().ok().map(|value| (name.as_str(), value)))
        .collect();
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    create_string_to_sign(Mode::HeaderAuth, method, path, Some(&pairs), &headers, bucket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_old_clients_are_read() {
        let expected = time::macros::datetime!(2007-03-27 19:36:42 UTC);
        for date in [
            "Tue, 27 Mar 2007 19:36:42 GMT",
            "Tue, 27 Mar 2007 19:36:42 +0000",
            "Tue, 27 Mar 2007 19:36:42 -0000",
            "Tue, 27 Mar 2007 19:36:42 UTC",
            "Tue, 27 Mar 2007 21:36:42 +0200",
            "Tuesday, 27-Mar-07 19:36:42 GMT",
            "Tue Mar 27 19:36:42 2007",
            "2007-03-27T19:36:42Z",
        ] {
            assert_eq!(read(date), Some(expected), "{date}");
        }
        for date in ["", "yesterday", "1175024202", "27 Mar"] {
            assert_eq!(read(date), None, "{date}");
        }
    }
}
