//! The checksums that clients declare in headers and trailers, and how they are echoed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use juststorage_core::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind, ExpectedChecksum};
use juststorage_core::domain::etag::Md5Digest;
use s3s::S3Result;

use super::fields::text;
use crate::errors::{bad_request, not_implemented};

/// The header that carries a checksum of this algorithm.
pub(crate) const fn header_of(algorithm: ChecksumAlgorithm) -> HeaderName {
    match algorithm {
        ChecksumAlgorithm::Crc32 => HeaderName::from_static("x-amz-checksum-crc32"),
        ChecksumAlgorithm::Crc32c => HeaderName::from_static("x-amz-checksum-crc32c"),
        ChecksumAlgorithm::Crc64Nvme => HeaderName::from_static("x-amz-checksum-crc64nvme"),
        ChecksumAlgorithm::Sha1 => HeaderName::from_static("x-amz-checksum-sha1"),
        ChecksumAlgorithm::Sha256 => HeaderName::from_static("x-amz-checksum-sha256"),
        ChecksumAlgorithm::Sha512 => HeaderName::from_static("x-amz-checksum-sha512"),
        ChecksumAlgorithm::Md5 => HeaderName::from_static("x-amz-checksum-md5"),
        ChecksumAlgorithm::XxHash64 => HeaderName::from_static("x-amz-checksum-xxhash64"),
        ChecksumAlgorithm::XxHash3 => HeaderName::from_static("x-amz-checksum-xxhash3"),
        ChecksumAlgorithm::XxHash128 => HeaderName::from_static("x-amz-checksum-xxhash128"),
    }
}

/// The digests that a request declares for its body.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// `Content-MD5`.
    pub(crate) md5: Option<Md5Digest>,
    /// The value of a checksum header.
    pub(crate) checksum: Option<Checksum>,
    /// The algorithm whose value will follow in the trailer.
    pub(crate) trailer: Option<ChecksumAlgorithm>,
}

impl Declared {
    /// The client's algorithm, wherever the value is.
    pub(crate) fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        self.trailer.or_else(|| self.checksum.as_ref().map(|checksum| checksum.algorithm))
    }
}

/// Reads `Content-MD5`, the checksum headers and `x-amz-trailer` of a request with a body of bytes.
pub(crate) fn declared(headers: &HeaderMap) -> S3Result<Declared> {
    let md5 = content_md5(headers)?;
    let checksum = checksum_header(headers)?
        .map(|(algorithm, value)| Checksum::declared(algorithm, value).map_err(|_| invalid_value(algorithm)))
        .transpose()?;
    let mut trailer = None;
    for name in super::fields::joined(headers, "x-amz-trailer").unwrap_or_default().split(',').map(str::trim)
    {
        if !name.to_ascii_lowercase().starts_with("x-amz-checksum-") {
            continue;
        }
        let announced = ChecksumAlgorithm::ALL
            .into_iter()
            .find(|algorithm| header_of(*algorithm).as_str().eq_ignore_ascii_case(name))
            .ok_or_else(|| not_implemented("The checksum algorithm in x-amz-trailer is not implemented."))?;
        if trailer.replace(announced).is_some() {
            return Err(bad_request("InvalidRequest", "Expecting a single x-amz-checksum- header."));
        }
    }
    // A trailer that was announced and sent as a header after all: the header holds.
    if let Some(checksum) = checksum.as_ref().filter(|_| trailer.is_some()) {
        if trailer != Some(checksum.algorithm) {
            return Err(bad_request("InvalidRequest", "Expecting a single x-amz-checksum- header."));
        }
        trailer = None;
    }
    let declared = Declared { md5, checksum, trailer };
    if let Some(name) = text(headers, "x-amz-sdk-checksum-algorithm") {
        let algorithm = parse_algorithm(name)?;
        match declared.algorithm() {
            None => {
                return Err(bad_request(
                    "InvalidRequest",
                    "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or \
                     x-amz-trailer headers were found.",
                ));
            }
            Some(other) if other != algorithm => {
                return Err(bad_request(
                    "InvalidRequest",
                    "Value for x-amz-sdk-checksum-algorithm header is invalid.",
                ));
            }
            Some(_) => {}
        }
    }
    Ok(declared)
}

/// `Content-MD5`: base64 of 16 bytes.
pub(crate) fn content_md5(headers: &HeaderMap) -> S3Result<Option<Md5Digest>> {
    let Some(value) = headers.get("content-md5") else { return Ok(None) };
    STANDARD
        .decode(value.as_bytes())
        .ok()
        .and_then(|digest| digest.try_into().ok())
        .map(Some)
        .ok_or_else(|| bad_request("InvalidDigest", "The Content-MD5 you specified is not valid."))
}

/// Whether a header, by its name in any case, gives the checksum of an empty body.
pub(crate) fn is_of_nothing(name: &str, value: &str) -> bool {
    const BEGINS: &str = "x-amz-checksum-";
    name.get(..BEGINS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(BEGINS))
        && ChecksumAlgorithm::ALL
            .into_iter()
            .find(|algorithm| header_of(*algorithm).as_str().eq_ignore_ascii_case(name))
            .is_some_and(|algorithm| value == of_nothing(algorithm))
}

/// Whether a header, by its name in any case, is a checksum or names its algorithm.
pub(crate) fn is_about(name: &str) -> bool {
    name.eq_ignore_ascii_case("x-amz-sdk-checksum-algorithm")
        || ChecksumAlgorithm::ALL
            .into_iter()
            .any(|algorithm| header_of(algorithm).as_str().eq_ignore_ascii_case(name))
}

/// The header value of the checksum of an empty body.
fn of_nothing(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => "AAAAAA==",
        ChecksumAlgorithm::Crc64Nvme => "AAAAAAAAAAA=",
        ChecksumAlgorithm::Sha1 => "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        ChecksumAlgorithm::Sha256 => "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        ChecksumAlgorithm::Sha512 => {
            "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
        }
        ChecksumAlgorithm::Md5 => "1B2M2Y8AsgTpgAmY7PhCfg==",
        ChecksumAlgorithm::XxHash64 => "70bbN1HY6Zk=",
        ChecksumAlgorithm::XxHash3 => "LQaABTjTlMI=",
        ChecksumAlgorithm::XxHash128 => "maoG0wFHmNhgAcMkRo1Jfw==",
    }
}

/// The one checksum header of a request, with its unparsed value.
pub(crate) fn checksum_header(headers: &HeaderMap) -> S3Result<Option<(ChecksumAlgorithm, &str)>> {
    let mut found = None;
    for algorithm in ChecksumAlgorithm::ALL {
        let Some(value) = headers.get(header_of(algorithm)) else { continue };
        let value = value.to_str().map_err(|_| invalid_value(algorithm))?;
        if found.replace((algorithm, value)).is_some() {
            return Err(bad_request(
                "InvalidRequest",
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
            ));
        }
    }
    Ok(found)
}

fn invalid_value(algorithm: ChecksumAlgorithm) -> s3s::S3Error {
    bad_request("InvalidRequest", format!("Value for {} header is invalid.", header_of(algorithm)))
}

/// Reads an algorithm's name.
pub(crate) fn parse_algorithm(name: &str) -> S3Result<ChecksumAlgorithm> {
    ChecksumAlgorithm::parse(name)
        .ok_or_else(|| bad_request("InvalidRequest", "Checksum algorithm provided is unsupported."))
}

/// Reads `x-amz-checksum-algorithm` and `x-amz-checksum-type` of a new multipart upload.
pub(crate) fn of_upload(headers: &HeaderMap) -> S3Result<Option<(ChecksumAlgorithm, ChecksumKind)>> {
    let algorithm = text(headers, "x-amz-checksum-algorithm").map(parse_algorithm).transpose()?;
    let kind = kind_header(headers)?;
    match (algorithm, kind) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(bad_request(
            "InvalidRequest",
            "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
        )),
        (Some(algorithm), kind) => {
            let kind = kind.unwrap_or_else(|| algorithm.default_kind());
            if !algorithm.allows(kind) {
                return Err(bad_request(
                    "InvalidRequest",
                    format!(
                        "The {} checksum type cannot be used with the {} checksum algorithm.",
                        kind.as_str(),
                        algorithm.as_str().to_lowercase()
                    ),
                ));
            }
            Ok(Some((algorithm, kind)))
        }
    }
}

/// `x-amz-checksum-type`.
pub(crate) fn kind_header(headers: &HeaderMap) -> S3Result<Option<ChecksumKind>> {
    text(headers, "x-amz-checksum-type")
        .map(|name| {
            ChecksumKind::parse(name).ok_or_else(|| {
                bad_request("InvalidRequest", "Value for x-amz-checksum-type header is invalid.")
            })
        })
        .transpose()
}

/// The whole object's checksum in a completion, and what the client says it covers.
pub(crate) fn of_completion(headers: &HeaderMap) -> S3Result<Option<ExpectedChecksum>> {
    let Some((algorithm, value)) = checksum_header(headers)? else { return Ok(None) };
    ExpectedChecksum::parse(algorithm, kind_header(headers)?, value)
        .map(Some)
        .map_err(|_| invalid_value(algorithm))
}

/// Sets the one field of an output (or XML item) that a checksum belongs to.
macro_rules! set_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            use juststorage_core::domain::checksum::ChecksumAlgorithm as Algorithm;
            let value = Some(checksum.value.clone());
            match checksum.algorithm {
                Algorithm::Crc32 => $output.checksum_crc32 = value,
                Algorithm::Crc32c => $output.checksum_crc32c = value,
                Algorithm::Crc64Nvme => $output.checksum_crc64nvme = value,
                Algorithm::Sha1 => $output.checksum_sha1 = value,
                Algorithm::Sha256 => $output.checksum_sha256 = value,
                Algorithm::Sha512 => $output.checksum_sha512 = value,
                Algorithm::Md5 => $output.checksum_md5 = value,
                Algorithm::XxHash64 => $output.checksum_xxhash64 = value,
                Algorithm::XxHash3 => $output.checksum_xxhash3 = value,
                Algorithm::XxHash128 => $output.checksum_xxhash128 = value,
            }
        }
    };
}
pub(crate) use set_checksum;

/// S3's name of a kind, in XML and headers.
pub(crate) fn kind_out(kind: ChecksumKind) -> s3s::dto::ChecksumType {
    s3s::dto::ChecksumType::from_static(kind.as_str())
}

/// S3's name of an algorithm.
pub(crate) fn algorithm_out(algorithm: ChecksumAlgorithm) -> s3s::dto::ChecksumAlgorithm {
    s3s::dto::ChecksumAlgorithm::from_static(algorithm.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::dto::headers;
    use juststorage_core::domain::checksum::ChecksumHasher;

    #[test]
    fn the_checksum_of_nothing_is_told_apart() {
        for algorithm in ChecksumAlgorithm::ALL {
            let name = header_of(algorithm).as_str().to_ascii_uppercase();
            let nothing = ChecksumHasher::new(algorithm).finish().value;
            assert!(is_of_nothing(&name, &nothing), "{name}: {nothing}");
            assert!(is_about(&name) && !is_of_nothing(&name, "26gLsg=="));
        }
        assert!(is_about("X-Amz-Sdk-Checksum-Algorithm") && !is_about("x-amz-meta-a"));
    }

    fn code(result: S3Result<Declared>) -> String {
        result.unwrap_err().code().as_str().to_owned()
    }

    #[test]
    fn a_trailer_sent_as_a_header_is_taken_from_the_header() {
        let trailer = declared(&headers(&[("x-amz-trailer", "x-amz-checksum-crc32")])).unwrap();
        assert_eq!((trailer.trailer, trailer.checksum), (Some(ChecksumAlgorithm::Crc32), None));
        let both =
            headers(&[("x-amz-trailer", "x-amz-checksum-crc32"), ("x-amz-checksum-crc32", "y/Q5Jg==")]);
        let both = declared(&both).unwrap();
        assert_eq!(both.trailer, None);
        assert_eq!(both.checksum.unwrap().value, "y/Q5Jg==");
    }

    #[test]
    fn contradictions_and_bad_values_are_refused() {
        let two = [("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32c", "4waSgw==")];
        assert_eq!(code(declared(&headers(&two))), "InvalidRequest");
        let other = [("x-amz-trailer", "x-amz-checksum-crc32c"), ("x-amz-checksum-crc32", "y/Q5Jg==")];
        assert_eq!(code(declared(&headers(&other))), "InvalidRequest");
        assert_eq!(code(declared(&headers(&[("x-amz-checksum-crc32", "AAAA")]))), "InvalidRequest");
        assert_eq!(code(declared(&headers(&[("content-md5", "AAAA")]))), "InvalidDigest");
        assert_eq!(code(declared(&headers(&[("content-md5", "")]))), "InvalidDigest");
        assert_eq!(code(declared(&headers(&[("x-amz-sdk-checksum-algorithm", "CRC32")]))), "InvalidRequest");
        let unknown = [("x-amz-trailer", "x-amz-checksum-blake3")];
        assert_eq!(code(declared(&headers(&unknown))), "NotImplemented");
    }

    #[test]
    fn uploads_follow_the_table_of_types() {
        let of = |pairs: &[(&'static str, &'static str)]| of_upload(&headers(pairs));
        assert_eq!(
            of(&[("x-amz-checksum-algorithm", "CRC32")]).unwrap(),
            Some((ChecksumAlgorithm::Crc32, ChecksumKind::Composite))
        );
        assert_eq!(
            of(&[("x-amz-checksum-algorithm", "CRC64NVME")]).unwrap(),
            Some((ChecksumAlgorithm::Crc64Nvme, ChecksumKind::FullObject))
        );
        assert!(
            of(&[("x-amz-checksum-algorithm", "SHA256"), ("x-amz-checksum-type", "FULL_OBJECT")]).is_err()
        );
        assert!(of(&[("x-amz-checksum-type", "FULL_OBJECT")]).is_err());
        assert_eq!(of(&[]).unwrap(), None);
    }

    #[test]
    fn completion_checksums_may_be_composite() {
        let composite = of_completion(&headers(&[("x-amz-checksum-crc32", "y/Q5Jg==-3")])).unwrap().unwrap();
        assert_eq!((composite.kind, composite.parts), (None, Some(3)));
        assert_eq!(composite.digest.value, "y/Q5Jg==");
        let typed = [("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-type", "COMPOSITE")];
        let typed = of_completion(&headers(&typed)).unwrap().unwrap();
        assert_eq!((typed.kind, typed.parts), (Some(ChecksumKind::Composite), None));
        let bad = of_completion(&headers(&[("x-amz-checksum-crc32", "y/Q5-x")])).unwrap_err();
        assert_eq!(bad.code().as_str(), "InvalidRequest");
    }
}
