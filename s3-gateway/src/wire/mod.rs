//! All that stands in for s3s where it reads a request differently from S3 (decision 0020): signatures, chunked and
//! bounded bodies, and XML documents, which are checked against S3's schema and rewritten in a plain form that s3s reads
//! correctly.

pub(crate) mod body;
pub(crate) mod bounded;
pub(crate) mod chunked;
pub(crate) mod documents;
mod encoding;
pub(crate) mod fault;
pub(crate) mod headers;
mod reader;
pub(crate) mod signatures;

use s3s::S3Result;

use crate::operations::documents::{Document, TAGGING};

/// A document that comes in no request, in the plain form.
pub(crate) fn plain(xml: &[u8], document: &'static Document) -> S3Result<String> {
    reader::normalise(xml, document)
}

/// A document of `PutObjectTagging` from a form field, in the plain form.
pub(crate) fn tagging(xml: &str) -> S3Result<String> {
    reader::normalise(xml.as_bytes(), &TAGGING)
}
