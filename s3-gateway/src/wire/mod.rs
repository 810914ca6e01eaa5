//! What stands in for s3s where its reading of a request is not S3's (decision 0020): XML documents are read here,
//! checked against S3's schema, and written anew in the plain form that s3s reads as it was meant.

pub(crate) mod documents;
mod encoding;
mod reader;
mod schema;

pub(crate) use self::documents::{Documents, bytes_max, in_chunks, takes_xml};

use s3s::S3Result;

/// A document of `PutObjectTagging` that did not come as a body, in the plain form.
pub(crate) fn tagging(xml: &str) -> S3Result<String> {
    reader::normalise(xml.as_bytes(), &schema::TAGGING)
}
