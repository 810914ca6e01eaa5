//! Replaces s3s where it reads a request differently from S3 (decision 0020): reads XML documents, checks them
//! against S3's schema, and rewrites them in a plain form that s3s reads correctly.

pub(crate) mod documents;
mod encoding;
mod reader;
mod schema;

pub(crate) use self::documents::{Documents, bytes_max, in_chunks, read, takes_document, takes_xml};
pub(crate) use self::reader::Digest;

use s3s::S3Result;

/// A document of `PutObjectTagging` from a form field, in the plain form.
pub(crate) fn tagging(xml: &str) -> S3Result<String> {
    reader::normalise(xml.as_bytes(), &schema::TAGGING)
}
