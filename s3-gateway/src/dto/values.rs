//! Small values of answers: dates, tags, classes, owners, and keys in listings.

use std::time::SystemTime;

use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::etag::Etag;
use juststorage_core::domain::multipart::Upload;
use juststorage_core::domain::object::Object;
use juststorage_core::domain::storage_class::{ClassName, StorageClass};
use juststorage_core::domain::timestamp::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::S3Result;
use s3s::dto::{ETag, EncodingType, Owner};

use crate::errors::{unwritable, wrong_argument};

/// A time in an answer.
pub(crate) fn timestamp(time: Timestamp) -> s3s::dto::Timestamp {
    SystemTime::from(time).into()
}

/// A time in a request.
pub(crate) fn moment(time: &s3s::dto::Timestamp) -> Timestamp {
    let nanos = time::OffsetDateTime::from(time.clone()).unix_timestamp_nanos();
    Timestamp(i64::try_from(nanos.div_euclid(1_000_000)).unwrap_or(i64::MAX))
}

/// An entity tag.
pub(crate) fn etag(tag: &Etag) -> ETag {
    ETag::Strong(tag.as_str().to_owned())
}

/// S3's name of a class, as the client asked for it.
pub(crate) fn class(class: StorageClass, name: Option<ClassName>) -> &'static str {
    match (name, class) {
        (Some(name), _) => name.as_str(),
        (None, StorageClass::Hot) => "STANDARD",
        (None, StorageClass::Cold) => "STANDARD_IA",
    }
}

/// S3's name of the class of an upload.
pub(crate) fn class_of_upload(upload: &Upload) -> &'static str {
    match upload.attributes.class {
        Some(asked) => class(asked, upload.attributes.class_name),
        None => class(upload.space.default_class, None),
    }
}

/// The header of a class; S3 omits it for `STANDARD`.
pub(crate) fn class_header(of: StorageClass, name: Option<ClassName>) -> Option<&'static str> {
    Some(class(of, name)).filter(|name| *name != "STANDARD")
}

/// The owner: the tenant.
pub(crate) fn owner(tenant: &Tenant) -> Owner {
    Owner { id: Some(tenant.to_string()), display_name: Some(tenant.to_string()) }
}

/// The version id in the answer to a write; S3 omits that of a null version.
pub(crate) fn written_version(object: &Object) -> Option<String> {
    object.s3_version_id().filter(|_| !object.is_null_version)
}

/// A size as S3's XML carries it.
pub(crate) fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The requested number of entries of a page, at most `default`; S3 refuses negative numbers.
pub(crate) fn page_size(asked: Option<i32>, default: u32, name: &str) -> S3Result<u32> {
    match asked {
        None => Ok(default),
        Some(asked) => u32::try_from(asked).map(|asked| asked.min(default)).map_err(|_| {
            let why = format!("Argument {name} must be an integer between 0 and 2147483647");
            wrong_argument(name, &asked.to_string(), why)
        }),
    }
}

/// A page size in the answer.
pub(crate) fn count(of: u32) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}

/// Characters that stay unescaped in a listing with `encoding-type=url`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

/// The encoding of keys in one listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Unchanged.
    Plain,
    /// Percent-encoded.
    Url,
}

impl Encoding {
    /// The encoding that the client asks for.
    pub(crate) fn asked(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None | Some("") => Ok(Self::Plain),
            Some(name) if name.eq_ignore_ascii_case("url") => Ok(Self::Url),
            Some(name) => {
                let why = "Invalid Encoding Method specified in Request";
                Err(wrong_argument("encoding-type", name, why))
            }
        }
    }

    /// The same, unless XML 1.0 cannot represent a key: then the answer is encoded and says so, instead of failing
    /// the whole listing.
    pub(crate) fn fitting<'k>(self, mut keys: impl Iterator<Item = &'k str>) -> Self {
        // Other controls are discouraged there, and a carriage return is read as a line feed.
        let risky = |c: char| unwritable(c) || (c.is_control() && !matches!(c, '\t' | '\n'));
        if keys.any(|key| key.contains(risky)) { Self::Url } else { self }
    }

    /// An encoded key.
    pub(crate) fn write(self, key: &str) -> String {
        match self {
            Self::Plain => key.to_owned(),
            Self::Url => utf8_percent_encode(key, KEPT).to_string(),
        }
    }

    /// The encoding type in the answer.
    pub(crate) fn echo(self) -> Option<EncodingType> {
        (self == Self::Url).then(|| EncodingType::from_static(EncodingType::URL))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_are_encoded_when_asked_and_when_xml_cannot_hold_them() {
        assert_eq!(Encoding::Plain.write("a b/ä"), "a b/ä");
        assert_eq!(Encoding::Url.write("a b/ä+%"), "a%20b/%C3%A4%2B%25");
        assert_eq!(Encoding::Plain.fitting(["a", "b\u{1}"].into_iter()), Encoding::Url);
        assert_eq!(Encoding::Plain.fitting(["a", "b\n"].into_iter()), Encoding::Plain);
        assert!(Encoding::asked(Some(&EncodingType::from_static("base64"))).is_err());
    }

    #[test]
    fn pages_are_capped_and_never_negative() {
        assert_eq!(page_size(None, 1000, "max-keys").unwrap(), 1000);
        assert_eq!(page_size(Some(5000), 1000, "max-keys").unwrap(), 1000);
        assert_eq!(page_size(Some(0), 1000, "max-keys").unwrap(), 0);
        assert!(page_size(Some(-1), 1000, "max-keys").is_err());
    }
}
