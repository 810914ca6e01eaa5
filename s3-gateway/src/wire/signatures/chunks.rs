//! Bodies in chunks that s3s cannot read (S3 API Reference, "Transferring payload in multiple chunks"). Nothing of a
//! chunk is kept.
//!
//! - *Signed chunks of a request whose own signature was replaced* ([`super::resign`]): they are verified here while they
//!   pass, and passed on without. One whose signature is wrong fails the body behind its last byte, and the store keeps
//!   nothing of a body that failed.
//! - *Chunks of a request without a signature of version 4* ([`super::unsigned`]): their bytes are passed on without the
//!   framing, and the trailer is kept for the operation.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame};
use ring::hmac;
use sha2::{Digest as _, Sha256};
use tower::BoxError;

use super::claims::Claims;

/// Longest line before a chunk, and longest trailer, in bytes.
const LINE_MAX: usize = 256;
const TRAILER_MAX: usize = 16 << 10;

const SIGNATURE: &str = "chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Why a body of signed chunks is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChunkError {
    /// A signature is wrong or missing.
    #[error("the signature of a chunk or of the trailer does not match")]
    Signature,
    /// The framing is none.
    #[error("the body is not well framed")]
    Format,
}

/// Verifies the signatures of one body, each of which hangs on the one before.
pub(crate) struct Signer {
    key: hmac::Key,
    date: String,
    scope: String,
    previous: String,
    trailer: bool,
}

impl Signer {
    /// For the chunks of a request with this signature, and the key that made it.
    pub(super) fn new(key: hmac::Key, claims: &Claims) -> Self {
        Self {
            key,
            date: claims.date.clone(),
            scope: claims.scope(&claims.region),
            previous: claims.signature.clone(),
            trailer: claims.payload.ends_with("-TRAILER"),
        }
    }

    fn verify(&mut self, what: &str, digests: &str, claimed: &str) -> Result<(), ChunkError> {
        let signed =
            format!("AWS4-HMAC-SHA256-{what}\n{}\n{}\n{}\n{digests}", self.date, self.scope, self.previous);
        let bytes = hex::decode(claimed).map_err(|_| ChunkError::Signature)?;
        hmac::verify(&self.key, signed.as_bytes(), &bytes).map_err(|_| ChunkError::Signature)?;
        claimed.clone_into(&mut self.previous);
        Ok(())
    }

    fn verify_chunk(&mut self, digest: Sha256, claimed: &str) -> Result<(), ChunkError> {
        let nothing = hex::encode(Sha256::digest(b""));
        self.verify("PAYLOAD", &format!("{nothing}\n{}", hex::encode(digest.finalize())), claimed)
    }

    /// The lines of a trailer without their signature.
    fn verify_trailer(&mut self, text: &str) -> Result<String, ChunkError> {
        let (mut canonical, mut signature) = (String::new(), None);
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(ChunkError::Format)?;
            if name.eq_ignore_ascii_case(TRAILER_SIGNATURE) {
                signature = Some(value.trim().to_owned());
            } else {
                for piece in [name.trim().to_ascii_lowercase().as_str(), ":", value.trim(), "\n"] {
                    canonical.push_str(piece);
                }
            }
        }
        let digest = hex::encode(Sha256::digest(canonical.as_bytes()));
        self.verify("TRAILER", &digest, &signature.ok_or(ChunkError::Signature)?)?;
        Ok(canonical.replace('\n', "\r\n"))
    }
}

/// The trailer of a body without its framing, once it has come.
#[derive(Clone, Default)]
pub(crate) struct Trailer(Arc<Mutex<HeaderMap>>);

impl Trailer {
    /// The value of a header of the trailer.
    pub(crate) fn value(&self, name: &HeaderName) -> Option<String> {
        let headers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        headers.get(name).and_then(|value| Some(value.to_str().ok()?.to_owned()))
    }

    fn read(&self, text: &str) -> Result<(), ChunkError> {
        let mut headers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(ChunkError::Format)?;
            let name = HeaderName::try_from(name.trim()).map_err(|_| ChunkError::Format)?;
            let value = HeaderValue::try_from(value.trim()).map_err(|_| ChunkError::Format)?;
            headers.insert(name, value);
        }
        Ok(())
    }
}

/// The fate of the chunks.
enum Purpose {
    /// Their signatures are verified and left out.
    Verify(Box<Signer>),
    /// Only their bytes are passed on.
    Unframe(Trailer),
}

/// Where in its chunks a body stands.
enum ChunkState {
    /// In the line before a chunk.
    Line(Vec<u8>),
    /// In a chunk: what is left of it, and what came with its signature.
    Chunk(u64, Option<Box<(Sha256, String)>>),
    /// Behind a chunk: so many bytes of its line's end are missing.
    Ended(u8),
    /// Behind the last chunk.
    Trailer(Vec<u8>),
}

/// A body in chunks on its way to s3s.
pub(crate) struct Chunks<B> {
    body: B,
    purpose: Purpose,
    at: ChunkState,
    ready: VecDeque<Bytes>,
    ended: bool,
}

impl<B> Chunks<B> {
    /// Signed chunks, without their signatures.
    pub(crate) fn verified(body: B, signer: Signer) -> Self {
        Self::new(body, Purpose::Verify(Box::new(signer)))
    }

    /// The bytes of unsigned chunks.
    pub(crate) fn unframed(body: B, trailer: Trailer) -> Self {
        Self::new(body, Purpose::Unframe(trailer))
    }

    fn new(body: B, purpose: Purpose) -> Self {
        Self { body, purpose, at: ChunkState::Line(Vec::new()), ready: VecDeque::new(), ended: false }
    }

    /// Passes on what belongs to the framing, if it is kept.
    fn frame(&mut self, text: impl Into<Bytes>) {
        if matches!(self.purpose, Purpose::Verify(_)) {
            self.ready.push_back(text.into());
        }
    }

    fn take_in(&mut self, mut bytes: Bytes) -> Result<(), ChunkError> {
        while !bytes.is_empty() {
            match &mut self.at {
                ChunkState::Line(line) => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    line.extend_from_slice(&bytes.split_to(end.map_or(bytes.len(), |end| end + 1)));
                    if line.len() > LINE_MAX {
                        return Err(ChunkError::Format);
                    }
                    if end.is_some() {
                        let line = std::mem::take(line);
                        self.begin(&line)?;
                    }
                }
                ChunkState::Chunk(left, signed) => {
                    let passed = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let data = bytes.split_to(passed);
                    if let Some(signed) = signed {
                        signed.0.update(&data);
                    }
                    *left -= passed as u64;
                    let ended = *left == 0;
                    self.ready.push_back(data);
                    if ended {
                        let signed = signed.take();
                        self.at = ChunkState::Ended(2);
                        if let (Purpose::Verify(signer), Some(signed)) = (&mut self.purpose, signed) {
                            signer.verify_chunk(signed.0, &signed.1)?;
                        }
                    }
                }
                ChunkState::Ended(missing) => {
                    let expected = if *missing == 2 { b'\r' } else { b'\n' };
                    if bytes.split_to(1)[0] != expected {
                        return Err(ChunkError::Format);
                    }
                    *missing -= 1;
                    if *missing == 0 {
                        self.at = ChunkState::Line(Vec::new());
                        self.frame(Bytes::from_static(b"\r\n"));
                    }
                }
                ChunkState::Trailer(text) => {
                    text.extend_from_slice(&bytes);
                    if text.len() > TRAILER_MAX {
                        return Err(ChunkError::Format);
                    }
                    bytes.clear();
                }
            }
        }
        Ok(())
    }

    /// Begins the chunk of a line: `length;chunk-signature=signature`, or only `length`.
    fn begin(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        let line = std::str::from_utf8(line).map_err(|_| ChunkError::Format)?.trim_end_matches(['\r', '\n']);
        let (length, extensions) = line.split_once(';').unwrap_or((line, ""));
        let signature = match &self.purpose {
            Purpose::Verify(_) => {
                Some(extensions.strip_prefix(SIGNATURE).ok_or(ChunkError::Signature)?.to_owned())
            }
            Purpose::Unframe(_) => None,
        };
        if length.is_empty() || length.len() > 8 || !length.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ChunkError::Format);
        }
        let bytes = u64::from_str_radix(length, 16).map_err(|_| ChunkError::Format)?;
        self.frame(format!("{length}\r\n"));
        let signed = signature.map(|signature| Box::new((Sha256::new(), signature)));
        if bytes > 0 {
            self.at = ChunkState::Chunk(bytes, signed);
            return Ok(());
        }
        if let (Purpose::Verify(signer), Some(signed)) = (&mut self.purpose, signed) {
            signer.verify_chunk(signed.0, &signed.1)?;
        }
        self.at = ChunkState::Trailer(Vec::new());
        Ok(())
    }

    /// The trailer behind the last chunk.
    fn finish(&mut self) -> Result<(), ChunkError> {
        let ChunkState::Trailer(text) = &mut self.at else { return Err(ChunkError::Format) };
        let text = String::from_utf8(std::mem::take(text)).map_err(|_| ChunkError::Format)?;
        let trailer = match &mut self.purpose {
            Purpose::Unframe(trailer) => return trailer.read(&text),
            Purpose::Verify(signer) if signer.trailer => signer.verify_trailer(&text)?,
            Purpose::Verify(_) if text.trim().is_empty() => String::new(),
            Purpose::Verify(_) => return Err(ChunkError::Format),
        };
        self.frame(format!("{trailer}\r\n"));
        Ok(())
    }
}

impl<B> Body for Chunks<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
            let taken = match frame {
                Some(Ok(frame)) => frame.into_data().map_or(Ok(()), |bytes| self.take_in(bytes)),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.ended = true;
                    self.finish()
                }
            };
            if let Err(error) = taken {
                self.ended = true;
                self.ready.clear();
                return Poll::Ready(Some(Err(Box::new(error))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    /// The example of the S3 API Reference ("Signature Calculations for the Authorization Header: Transferring
    /// Payload in Multiple Chunks"): 66560 bytes of `a` in chunks of 64 KiB.
    fn published() -> (Signer, Vec<u8>) {
        let scope = "20130524/us-east-1/s3/aws4_request";
        let key = super::super::mac::version_4_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope);
        let signer = Signer {
            key,
            date: "20130524T000000Z".into(),
            scope: scope.into(),
            previous: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9".into(),
            trailer: false,
        };
        let mut body = Vec::new();
        for (length, signature) in [
            (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
            (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
            (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
        ] {
            body.extend_from_slice(format!("{length:x};{SIGNATURE}{signature}\r\n").as_bytes());
            body.extend_from_slice(&vec![b'a'; length]);
            body.extend_from_slice(b"\r\n");
        }
        (signer, body)
    }

    async fn passed(signer: Signer, body: &[u8], pieces: usize) -> Result<Vec<u8>, String> {
        let frames: Vec<_> = body
            .chunks(pieces)
            .map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::copy_from_slice(piece))))
            .collect();
        let body = StreamBody::new(futures::stream::iter(frames));
        Chunks::verified(body, signer)
            .collect()
            .await
            .map(|all| all.to_bytes().to_vec())
            .map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn published_chunks_pass_without_their_signatures() {
        for pieces in [1, 7, 4096, 1 << 20] {
            let (signer, body) = published();
            let unsigned = passed(signer, &body, pieces).await.unwrap();
            assert!(
                unsigned.starts_with(b"10000\r\naaa") && unsigned.ends_with(b"a\r\n0\r\n\r\n"),
                "{pieces}"
            );
            assert_eq!(String::from_utf8(unsigned).unwrap().matches('a').count(), 66560);
        }
    }

    #[tokio::test]
    async fn unsigned_chunks_pass_without_their_framing() {
        let unframed = async |body: &'static [u8], pieces: usize| {
            let frames: Vec<_> = body
                .chunks(pieces)
                .map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::from_static(piece))))
                .collect();
            let trailer = Trailer::default();
            let body = StreamBody::new(futures::stream::iter(frames));
            let passed = Chunks::unframed(body, trailer.clone()).collect().await;
            let passed = passed.map(|all| all.to_bytes().to_vec()).map_err(|error| error.to_string());
            (passed, trailer.value(&HeaderName::from_static("x-amz-checksum-crc32")))
        };
        let whole = b"3\r\nabc\r\n5;a=b\r\n\r\n0\r\n\r\n0\r\nX-Amz-Checksum-Crc32: NSRBwg==\r\n\r\n";
        for pieces in 1..=whole.len() {
            let (passed, checksum) = unframed(whole, pieces).await;
            assert_eq!(passed.unwrap(), b"abc\r\n0\r\n", "{pieces}");
            assert_eq!(checksum.as_deref(), Some("NSRBwg=="), "{pieces}");
        }
        for bad in
            [&b"3\r\nabc\r\n"[..], b"3\r\nabcd\r\n0\r\n\r\n", b"abc", b"0\r\nno trailer\r\n\r\n", b"-1\r\n"]
        {
            assert_eq!(unframed(bad, 4).await.0.unwrap_err(), ChunkError::Format.to_string(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn what_is_not_signed_so_does_not_pass() {
        for at in [100, 65536 + 90 + 100] {
            let (signer, mut body) = published();
            body[at] ^= 1;
            assert_eq!(
                passed(signer, &body, 4096).await.unwrap_err(),
                ChunkError::Signature.to_string(),
                "{at}"
            );
        }
        let (signer, body) = published();
        assert_eq!(passed(signer, &body[..60_000], 4096).await.unwrap_err(), ChunkError::Format.to_string());
        let (mut signer, body) = published();
        signer.trailer = true;
        assert_eq!(
            passed(signer, &body, 4096).await.unwrap_err(),
            ChunkError::Signature.to_string(),
            "no trailer"
        );
    }

    #[test]
    fn trailers_lose_their_signature_and_nothing_else() {
        let (mut signer, _) = published();
        let line = "x-amz-checksum-crc32:AAAAAA==";
        let digest = hex::encode(Sha256::digest(format!("{line}\n").as_bytes()));
        let signed = format!(
            "AWS4-HMAC-SHA256-TRAILER\n{}\n{}\n{}\n{digest}",
            signer.date, signer.scope, signer.previous
        );
        let signature = hex::encode(hmac::sign(&signer.key, signed.as_bytes()));
        let text = format!("{line}\r\n{TRAILER_SIGNATURE}:{signature}\r\n\r\n");
        let other = text.replace("AAAAAA", "AAAAAQ");
        assert_eq!(signer.verify_trailer(&other), Err(ChunkError::Signature));
        assert_eq!(signer.verify_trailer(&text), Ok(format!("{line}\r\n")));
    }
}
