//! The claims of a request about its signature (version 4), and the errors of S3 where that cannot be (IAM User Guide,
//! "Troubleshoot Signature Version 4 signing"). s3s verifies the signature itself; it answers other codes to what it
//! cannot read.

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use http::request::Parts;

use super::AMZ_DATE;
use crate::dto::fields::text;
use crate::errors::Refusal;
use crate::query::{QueryPair, query_pairs};

/// The one algorithm.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The keys of a presigned URL: all of them must be there.
const QUERY_KEYS: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
];

/// Longest life of a presigned URL, in seconds: a week.
const EXPIRES_MAX: i64 = 7 * 24 * 60 * 60;

/// Values of `x-amz-content-sha256` beside a digest.
const PAYLOADS: [&str; 6] = [
    "UNSIGNED-PAYLOAD",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
];

/// Whether a request says that it has a signature of this version.
pub(super) fn is_version_4(parts: &Parts) -> bool {
    let header = parts.headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-"));
    let query = || parts.uri.query().map(query_pairs).unwrap_or_default();
    header || query().iter().any(|(key, _)| QUERY_KEYS[..3].contains(&key.as_ref()))
}

/// The claims of a request about its signature.
#[derive(Debug)]
pub(super) struct Claims {
    /// Whether it stands in the query.
    pub(super) presigned: bool,
    pub(super) access_key: String,
    /// `YYYYMMDD`.
    pub(super) day: String,
    pub(super) region: String,
    /// The names of the headers that are signed, in lower case.
    pub(super) headers: Vec<String>,
    pub(super) signature: String,
    pub(super) date: String,
    pub(super) payload: String,
}

impl Claims {
    /// The scope of the key, which is signed too.
    pub(super) fn scope(&self, region: &str) -> String {
        format!("{}/{region}/s3/aws4_request", self.day)
    }

    /// The claims of a request; `None` if it is not signed, or with version 2.
    pub(super) fn of(parts: &Parts) -> Result<Option<Self>, Refusal> {
        let query = parts.uri.query().map(query_pairs).unwrap_or_default();
        let presigned = query.iter().any(|(key, _)| QUERY_KEYS[..3].contains(&key.as_ref()));
        let version_2 = query.iter().any(|(key, _)| key == "AWSAccessKeyId");
        let header = parts.headers.get(AUTHORIZATION);
        match (presigned, header) {
            (_, Some(header)) if presigned || version_2 => Err(two_ways(header)),
            (true, None) => of_query(&query).map(Some),
            (_, Some(header)) => of_header(parts, header),
            (false, None) => Ok(None),
        }
    }

    /// The header that says the same, as s3s reads it: in this order only.
    pub(super) fn header(&self, region: &str) -> String {
        format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={}",
            self.access_key,
            self.scope(region),
            self.headers.join(";"),
            self.signature
        )
    }
}

fn bad(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}

fn two_ways(header: &HeaderValue) -> Refusal {
    Refusal::invalid_argument(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter \
         or the Authorization header should be specified",
    )
    .with("ArgumentName", "Authorization")
    // The signature itself is left out: it is a secret of its sender.
    .with("ArgumentValue", header.to_str().ok().and_then(|text| text.split(' ').next()).unwrap_or_default())
}

fn malformed(why: impl AsRef<str>) -> Refusal {
    let why = why.as_ref();
    bad("AuthorizationHeaderMalformed", format!("The authorization header is malformed; {why}"))
}

fn query_error(message: impl Into<String>) -> Refusal {
    bad("AuthorizationQueryParametersError", message)
}

fn of_header(parts: &Parts, header: &HeaderValue) -> Result<Option<Claims>, Refusal> {
    let unsupported = |kind: &str| {
        let refusal = Refusal::invalid_argument("Unsupported Authorization Type");
        refusal.with("ArgumentName", "Authorization").with("ArgumentValue", kind)
    };
    let header = header.to_str().map_err(|_| unsupported(""))?.trim();
    // An empty header says nothing, and version 2 is judged elsewhere.
    if header.is_empty() || header.strip_prefix("AWS ").is_some_and(|fields| fields.contains(':')) {
        return Ok(None);
    }
    let (algorithm, fields) = header.split_once(char::is_whitespace).unwrap_or((header, ""));
    if !algorithm.starts_with("AWS4-") {
        return Err(unsupported(algorithm));
    }
    if algorithm != ALGORITHM {
        return Err(bad(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        ));
    }
    let field = |name: &str| {
        let named = fields.split(',').map(str::trim).find_map(|field| field.strip_prefix(name));
        named
            .and_then(|rest| rest.strip_prefix('='))
            .filter(|value| !value.is_empty())
            .ok_or_else(|| malformed(format!("missing {name}.")))
    };
    let (access_key, day, region) = credential(field("Credential")?).map_err(malformed)?;
    let headers = signed_headers(field("SignedHeaders")?);
    let signature = field("Signature")?.to_owned();
    let date = text(&parts.headers, "x-amz-date").filter(|date| is_date(date)).ok_or_else(|| {
        let message = "AWS authentication requires a valid Date or x-amz-date header";
        Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    })?;
    if !date.starts_with(&day) {
        return Err(malformed(format!(
            "Invalid credential date \"{day}\". This date is not the same as X-Amz-Date: \"{}\".",
            &date[..8]
        )));
    }
    Ok(Some(Claims {
        presigned: false,
        access_key,
        day,
        region,
        headers,
        signature,
        date: date.to_owned(),
        payload: payload(parts)?,
    }))
}

fn of_query(query: &[QueryPair<'_>]) -> Result<Claims, Refusal> {
    let value = |name: &str| {
        let mut values = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        values.next().filter(|value| !value.is_empty() && values.next().is_none())
    };
    let mut values = [""; 6];
    for (slot, key) in values.iter_mut().zip(QUERY_KEYS) {
        *slot = value(key).ok_or_else(|| {
            query_error(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                 X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            )
        })?;
    }
    let [algorithm, named, signature, date, headers, expires] = values;
    if algorithm != ALGORITHM {
        return Err(query_error("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let (access_key, day, region) = credential(named)
        .map_err(|why| query_error(format!("Error parsing the X-Amz-Credential parameter; {why}")))?;
    if !is_date(date) {
        return Err(query_error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""));
    }
    if !date.starts_with(&day) {
        return Err(query_error(format!(
            "Invalid credential date \"{day}\". This date is not the same as X-Amz-Date: \"{}\".",
            &date[..8]
        )));
    }
    let refused = match expires.parse::<i64>() {
        Err(_) => "X-Amz-Expires should be a number",
        Ok(seconds) if seconds < 0 => "X-Amz-Expires must be non-negative",
        Ok(seconds) if seconds > EXPIRES_MAX => {
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
             604800 seconds"
        }
        Ok(_) => "",
    };
    if !refused.is_empty() {
        return Err(query_error(refused));
    }
    Ok(Claims {
        presigned: true,
        access_key,
        day,
        region,
        headers: signed_headers(headers),
        signature: signature.to_owned(),
        date: date.to_owned(),
        payload: "UNSIGNED-PAYLOAD".to_owned(),
    })
}

/// Key, day and region of a credential. The error says what is wrong with it.
pub(crate) fn credential(text: &str) -> Result<(String, String, String), String> {
    let fields: Vec<_> = text.split('/').collect();
    let [access_key, day, region, service, terminal] = fields.as_slice() else {
        return Err(
            "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
                .into(),
        );
    };
    if *terminal != "aws4_request" {
        return Err(format!("incorrect terminal \"{terminal}\". This endpoint uses \"aws4_request\"."));
    }
    if *service != "s3" {
        return Err(format!("incorrect service \"{service}\". This endpoint belongs to \"s3\"."));
    }
    if !is_date(&format!("{day}T000000Z")) {
        return Err(format!(
            "incorrect date format \"{day}\". This date in the credential must be in the format \"yyyyMMdd\"."
        ));
    }
    if !is_region(region) {
        return Err(format!("the region \"{region}\" is none."));
    }
    Ok(((*access_key).to_owned(), (*day).to_owned(), (*region).to_owned()))
}

/// Whether `name` is that of a region: of the setting, and in a signature's scope, which is verified as it was signed.
/// `OpenStack` says `RegionOne`, old tools `EU`, others the host's name. A slash ends it in the scope, a comma in the
/// header.
pub fn is_region(name: &str) -> bool {
    name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b','))
}

fn signed_headers(names: &str) -> Vec<String> {
    names.split(';').map(str::to_ascii_lowercase).collect()
}

/// Whether this is a moment as `20260102T030405Z` writes it.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 16 && text.is_ascii() && time::PrimitiveDateTime::parse(text, AMZ_DATE).is_ok()
}

/// `x-amz-content-sha256`: what the body is.
fn payload(parts: &Parts) -> Result<String, Refusal> {
    let value = text(&parts.headers, "x-amz-content-sha256").ok_or_else(|| {
        bad("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    })?;
    let digest = |value: &str| {
        use base64::Engine as _;
        // S3 documents hexadecimal digits; s3s takes base64 too, as old clients write it.
        value.len() == 64 && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            || base64::engine::general_purpose::STANDARD.decode(value).is_ok_and(|digest| digest.len() == 32)
    };
    if PAYLOADS.contains(&value) || digest(value) {
        return Ok(value.to_owned());
    }
    Err(Refusal::invalid_argument(format!(
        "x-amz-content-sha256 must be {} or a valid sha256 value.",
        PAYLOADS.join(", ")
    ))
    .with("ArgumentName", "x-amz-content-sha256")
    .with("ArgumentValue", value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HEADER: &str = "AWS4-HMAC-SHA256 Credential=AKID/20260102/RegionOne/s3/aws4_request, \
                          SignedHeaders=host;x-amz-date, Signature=abcd";
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parts(target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::get(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn of(authorization: &str, date: &str, payload: &str) -> Result<Option<Claims>, (u16, &'static str)> {
        let headers =
            [("authorization", authorization), ("x-amz-date", date), ("x-amz-content-sha256", payload)];
        let sent: Vec<_> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Claims::of(&parts("/", &sent)).map_err(|refusal| (refusal.status.as_u16(), refusal.code))
    }

    #[test]
    fn headers_are_read_in_any_order() {
        let claims = of(HEADER, "20260102T030405Z", EMPTY).unwrap().unwrap();
        assert_eq!((claims.access_key.as_str(), claims.region.as_str()), ("AKID", "RegionOne"));
        assert_eq!(claims.headers, ["host", "x-amz-date"]);
        let turned = "AWS4-HMAC-SHA256   Signature=abcd,SignedHeaders=host;X-Amz-Date,\
                      Credential=AKID/20260102/RegionOne/s3/aws4_request";
        let turned = of(turned, "20260102T030405Z", EMPTY).unwrap().unwrap();
        assert_eq!(turned.header("RegionOne"), HEADER);
    }

    #[test]
    fn errors_are_those_of_s3() {
        let (malformed, denied) = ((400, "AuthorizationHeaderMalformed"), (403, "AccessDenied"));
        let now = "20260102T030405Z";
        for (authorization, date, payload, error) in [
            ("nonsense", now, EMPTY, (400, "InvalidArgument")),
            ("Bearer x", now, EMPTY, (400, "InvalidArgument")),
            ("AWS4-HMAC-SHA256", now, EMPTY, malformed),
            ("AWS4-HMAC-SHA256 nonsense", now, EMPTY, malformed),
            (&HEADER.replace("SHA256 ", "SHA1 "), now, EMPTY, (400, "InvalidRequest")),
            (&HEADER.replace("HMAC", "ECDSA-P256"), now, EMPTY, (400, "InvalidRequest")),
            (&HEADER.replace("Credential=", "Credential"), now, EMPTY, malformed),
            (&HEADER.replace("/s3/", "/ec2/"), now, EMPTY, malformed),
            (&HEADER.replace("aws4_request", "aws3_request"), now, EMPTY, malformed),
            (&HEADER.replace("20260102", "20261302"), now, EMPTY, malformed),
            (&HEADER.replace("20260102", "20260103"), now, EMPTY, malformed),
            (&HEADER.replace("RegionOne", "Region/One"), now, EMPTY, malformed),
            (&HEADER.replace("SignedHeaders=host;x-amz-date, ", ""), now, EMPTY, malformed),
            (&HEADER.replace(", Signature=abcd", ""), now, EMPTY, malformed),
            (HEADER, "", EMPTY, denied),
            (HEADER, "yesterday", EMPTY, denied),
            (HEADER, "20260102T250405Z", EMPTY, denied),
            (HEADER, now, "", (400, "InvalidRequest")),
            (HEADER, now, "abcd", (400, "InvalidArgument")),
            (HEADER, now, &EMPTY.replace('e', "E"), (400, "InvalidArgument")),
        ] {
            assert_eq!(
                of(authorization, date, payload).unwrap_err(),
                error,
                "{authorization} {date} {payload}"
            );
        }
        assert!(of("AWS a:b", "", "").unwrap().is_none() && of("", "", "").unwrap().is_none());
        for region in ["RegionOne", "EU", "us_east_1", "s3.example.test", ""] {
            assert!(of(&HEADER.replace("RegionOne", region), now, EMPTY).is_ok(), "{region}");
        }
    }

    #[test]
    fn presigned_urls_need_every_key() {
        let pairs = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKID%2F20260102%2FEU%2Fs3%2Faws4_request"),
            ("X-Amz-Date", "20260102T030405Z"),
            ("X-Amz-Expires", "604800"),
            ("X-Amz-SignedHeaders", "host"),
            ("X-Amz-Signature", "abcd"),
        ];
        let url = |pairs: &[(&str, &str)]| {
            let query: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("/b/k?{}", query.join("&"))
        };
        let of = |url: &str, headers: &[(&str, &str)]| {
            Claims::of(&parts(url, headers)).map_err(|refusal| (refusal.status.as_u16(), refusal.code))
        };
        assert_eq!(of(&url(&pairs), &[]).unwrap().unwrap().region, "EU");
        let error = (400, "AuthorizationQueryParametersError");
        for left_out in 0..pairs.len() {
            let mut some = pairs.to_vec();
            some.remove(left_out);
            assert_eq!(of(&url(&some), &[]).unwrap_err(), error, "{}", pairs[left_out].0);
        }
        for (key, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA1"),
            ("X-Amz-Credential", "AKID"),
            ("X-Amz-Credential", "AKID%2F20260102%2FEU%2Fsts%2Faws4_request"),
            ("X-Amz-Date", "yesterday"),
            ("X-Amz-Date", "20260103T030405Z"),
            ("X-Amz-Expires", "604801"),
            ("X-Amz-Expires", "-1"),
            ("X-Amz-Expires", "soon"),
        ] {
            let changed = pairs.map(|(name, old)| (name, if name == key { value } else { old }));
            assert_eq!(of(&url(&changed), &[]).unwrap_err(), error, "{key}={value}");
        }
        let both = of(&url(&pairs), &[("authorization", HEADER)]).unwrap_err();
        assert_eq!(both, (400, "InvalidArgument"));
        assert!(of("/b/k?x-amz-date=1", &[]).unwrap().is_none());
    }
}
