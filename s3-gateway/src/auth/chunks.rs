//! Signed chunks whose signatures s3s cannot verify, because the request's own was replaced ([`super::resign`]): they
//! are verified here while they pass, and passed on without (S3 API Reference, "Transferring payload in multiple
//! chunks"). Nothing of a chunk is kept; one whose signature is wrong fails the body behind its last byte, and the
//! store keeps nothing of a body that failed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use ring::hmac;
use sha2::{Digest as _, Sha256};

use super::signature::Claims;
use crate::service::BoxError;

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

/// Where in its chunks a body stands.
enum At {
    /// In the line before a chunk.
    Line(Vec<u8>),
    /// In a chunk: what is left of it, what came, and its signature.
    Chunk(u64, Box<Sha256>, String),
    /// Behind a chunk: so many bytes of its line's end are missing.
    Ended(u8),
    /// Behind the last chunk.
    Trailer(Vec<u8>),
}

/// A body of signed chunks on its way to s3s, without their signatures.
pub(crate) struct SignedChunks<B> {
    body: B,
    signer: Signer,
    at: At,
    ready: VecDeque<Bytes>,
    ended: bool,
}

impl<B> SignedChunks<B> {
    pub(crate) fn new(body: B, signer: Signer) -> Self {
        Self { body, signer, at: At::Line(Vec::new()), ready: VecDeque::new(), ended: false }
    }

    fn take_in(&mut self, mut bytes: Bytes) -> Result<(), ChunkError> {
        while !bytes.is_empty() {
            match &mut self.at {
                At::Line(line) => {
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
                At::Chunk(left, digest, signature) => {
                    let passed = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let data = bytes.split_to(passed);
                    digest.update(&data);
                    *left -= passed as u64;
                    let ended = *left == 0;
                    self.ready.push_back(data);
                    if ended {
                        let (digest, signature) = (std::mem::take(&mut **digest), std::mem::take(signature));
                        self.signer.verify_chunk(digest, &signature)?;
                        self.at = At::Ended(2);
                    }
                }
                At::Ended(missing) => {
                    let expected = if *missing == 2 { b'\r' } else { b'\n' };
                    if bytes.split_to(1)[0] != expected {
                        return Err(ChunkError::Format);
                    }
                    *missing -= 1;
                    if *missing == 0 {
                        self.ready.push_back(Bytes::from_static(b"\r\n"));
                        self.at = At::Line(Vec::new());
                    }
                }
                At::Trailer(text) => {
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

    /// Begins the chunk of a line: `length;chunk-signature=signature`.
    fn begin(&mut self, line: &[u8]) -> Result<(), ChunkError> {
        let line = std::str::from_utf8(line).map_err(|_| ChunkError::Format)?.trim_end_matches(['\r', '\n']);
        let (length, extensions) = line.split_once(';').unwrap_or((line, ""));
        let signature = extensions.strip_prefix(SIGNATURE).ok_or(ChunkError::Signature)?;
        if length.is_empty() || length.len() > 8 || !length.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ChunkError::Format);
        }
        let bytes = u64::from_str_radix(length, 16).map_err(|_| ChunkError::Format)?;
        self.ready.push_back(Bytes::from(format!("{length}\r\n")));
        self.at = if bytes == 0 {
            self.signer.verify_chunk(Sha256::new(), signature)?;
            At::Trailer(Vec::new())
        } else {
            At::Chunk(bytes, Box::default(), signature.to_owned())
        };
        Ok(())
    }

    /// What stands behind the last chunk.
    fn finish(&mut self) -> Result<(), ChunkError> {
        let At::Trailer(text) = &mut self.at else { return Err(ChunkError::Format) };
        let text = String::from_utf8(std::mem::take(text)).map_err(|_| ChunkError::Format)?;
        let trailer = if self.signer.trailer {
            self.signer.verify_trailer(&text)?
        } else if text.trim().is_empty() {
            String::new()
        } else {
            return Err(ChunkError::Format);
        };
        self.ready.push_back(Bytes::from(format!("{trailer}\r\n")));
        Ok(())
    }
}

impl<B> Body for SignedChunks<B>
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
        SignedChunks::new(body, signer)
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
