//! Operations with an XML document. After s3s has verified the signature, this module reads the whole document,
//! compares its digests, rewrites it in the plain form, and passes it to a second s3s that checks no signature. Only
//! this module reaches that one.

use bytes::Bytes;
use futures::StreamExt as _;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, Request, Uri};
use juststorage_core::domain::checksum::ChecksumHasher;
use md5::{Digest as _, Md5};
use s3s::service::S3Service;
use s3s::{Body, S3Request, S3Response, S3Result};

use super::{body, reader};
use crate::dto::{checksums, conditions};
use crate::errors::{Refusal, bad_request, fail, internal};
use crate::operations::Digest;
use crate::operations::documents::Document;

/// Refuses an aws-chunked body for an operation with XML: S3 has chunks for objects and parts only, and s3s answers
/// 500 to badly framed ones.
pub(crate) fn in_chunks() -> Refusal {
    let why = "The value of x-amz-content-sha256 header is invalid: this operation takes no body in chunks.";
    Refusal::new(http::StatusCode::BAD_REQUEST, "InvalidRequest", why)
}

/// Reads documents and runs their operations.
pub(crate) struct Documents {
    /// The operations, without a check of signatures.
    pub(crate) open: S3Service,
}

impl Documents {
    /// Answers a request with a document, whose signature was verified.
    pub(crate) async fn call(
        &self,
        request: S3Request<Body>,
        document: &'static Document,
        digest: Digest,
    ) -> S3Result<S3Response<Body>> {
        let (request, body) = apart(request);
        let bytes = read(body, &request.headers, digest).await?;
        // The answer to a missing document depends on the operation.
        let plain = if bytes.is_empty() { Bytes::new() } else { reader::normalise(&bytes, document)?.into() };
        self.carry_out(request, plain).await
    }

    /// Answers a request without a body whose conditions s3s reads only once they are written anew.
    pub(crate) async fn conditional(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        self.carry_out(apart(request).0, Bytes::new()).await
    }

    async fn carry_out(&self, request: S3Request<()>, plain: Bytes) -> S3Result<S3Response<Body>> {
        let answer = self.open.call(opened(request, plain)?).await.map_err(|error| {
            tracing::error!(%error, "an S3 request could not be answered");
            internal()
        })?;
        let (parts, body) = answer.into_parts();
        let mut response = S3Response::with_headers(body, parts.headers);
        response.status = Some(parts.status);
        response.extensions = parts.extensions;
        Ok(response)
    }
}

fn apart(request: S3Request<Body>) -> (S3Request<()>, Body) {
    let S3Request { input, method, uri, headers, extensions, credentials, region, service, trailing_headers } =
        request;
    let request = S3Request {
        input: (),
        method,
        uri,
        headers,
        extensions,
        credentials,
        region,
        service,
        trailing_headers,
    };
    (request, input)
}

/// The whole body, verified against its declared digests.
pub(crate) async fn read(mut body: Body, headers: &HeaderMap, digest: Digest) -> S3Result<Bytes> {
    let md5 = checksums::content_md5(headers)?;
    let checksum = match digest {
        Digest::OnlyMd5 => None,
        Digest::IfDeclared | Digest::Required => checksums::checksum_header(headers)?,
    };
    let mut hashers = (
        md5.is_some().then(Md5::new),
        checksum.as_ref().map(|(algorithm, _)| ChecksumHasher::new(*algorithm)),
    );
    let mut bytes = Vec::new();
    while let Some(frame) = body.next().await {
        let frame = frame.map_err(|error| body::explain(&*error))?;
        if let Some(md5) = &mut hashers.0 {
            md5.update(&frame);
        }
        if let Some(checksum) = &mut hashers.1 {
            checksum.update(&frame);
        }
        bytes.extend_from_slice(&frame);
    }
    if !bytes.is_empty() && !headers.contains_key(CONTENT_LENGTH) {
        return Err(fail(
            http::StatusCode::LENGTH_REQUIRED,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        ));
    }
    if digest == Digest::Required && md5.is_none() && checksum.is_none() {
        return Err(bad_request(
            "InvalidRequest",
            "Missing required header for this request: Content-MD5 OR x-amz-checksum-*",
        ));
    }
    if md5 != hashers.0.map(|md5| md5.finalize().into()) {
        return Err(bad_request(
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
        ));
    }
    let computed = hashers.1.map(|checksum| checksum.finish().value);
    if checksum.map(|(_, value)| value) != computed.as_deref() {
        return Err(bad_request("BadDigest", "The checksum you specified did not match what we received."));
    }
    Ok(bytes.into())
}

/// The request with its document in the plain form, and without its signature.
fn opened(request: S3Request<()>, document: Bytes) -> S3Result<Request<Body>> {
    let (mut headers, mut extensions) = (request.headers, request.extensions);
    conditions::write_plainly(&mut headers);
    for name in [AUTHORIZATION, CONTENT_TYPE, CONTENT_ENCODING, TRANSFER_ENCODING, EXPECT] {
        headers.remove(name);
    }
    for name in ["x-amz-content-sha256", "x-amz-date"] {
        headers.remove(name);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(document.len()));
    let mut opened = Request::new(Body::from(document));
    *opened.method_mut() = request.method;
    *opened.uri_mut() = unsigned(&request.uri)?;
    *opened.headers_mut() = headers;
    std::mem::swap(opened.extensions_mut(), &mut extensions);
    Ok(opened)
}

/// The URL without its signature.
fn unsigned(uri: &Uri) -> S3Result<Uri> {
    const SIGNING: [&str; 10] = [
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-signedheaders",
        "x-amz-signature",
        "x-amz-content-sha256",
        "awsaccesskeyid",
        "signature",
        "expires",
    ];
    let kept = |pair: &&str| {
        let key = pair.split_once('=').map_or(*pair, |(key, _)| key);
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy().to_ascii_lowercase();
        !SIGNING.contains(&key.as_str())
    };
    let query: Vec<_> = uri.query().unwrap_or_default().split('&').filter(kept).collect();
    let path_and_query = format!("{}?{}", uri.path(), query.join("&"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().map_err(|_| internal())?);
    Uri::from_parts(parts).map_err(|_| internal())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_signs_an_address_is_taken_out_of_it() {
        let signed = "/b/k%2F?tagging&X-Amz-Signature=a&versionId=x%26&Expires=1&%53ignature=b&X-Amz-Date=c";
        let uri = unsigned(&Uri::from_static(signed)).unwrap();
        assert_eq!(uri.to_string(), "/b/k%2F?tagging&versionId=x%26");
    }
}
