//! A body that is compared with what its upstream says of it, while it is read. Of a body that is passed on the last piece
//! is held back until that is decided: what is not the object never arrives as a whole one.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use md5::{Digest as _, Md5};

use crate::application::ports::upstream::{Answer, UpstreamError};
use crate::application::progress;
use crate::domain::checksum::{Checksum, ChecksumHasher};
use crate::domain::etag::Md5Digest;
use crate::domain::upstream::proof::{Proof, confirms};

/// Compares bytes with a plan.
pub(crate) struct Check {
    length: u64,
    received: u64,
    by: By,
}

enum By {
    Md5(Md5, Md5Digest),
    Checksum(Box<ChecksumHasher>, Checksum),
    Parts {
        etag: String,
        cuts: Vec<Cut>,
    },
    /// Its length alone: what else proves it is done elsewhere.
    Length,
}

/// One way to cut a body into parts.
#[derive(Clone)]
struct Cut {
    sizes: std::vec::IntoIter<u64>,
    left: u64,
    hasher: Md5,
    digests: Vec<Md5Digest>,
}

impl Cut {
    fn new(sizes: Vec<u64>) -> Self {
        let mut sizes = sizes.into_iter();
        let left = sizes.next().unwrap_or_default();
        Self { sizes, left, hasher: Md5::new(), digests: Vec::new() }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let Some(next) = self.sizes.next() else { return };
                self.digests.push(std::mem::replace(&mut self.hasher, Md5::new()).finalize().into());
                self.left = next;
                continue;
            }
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(most);
            self.hasher.update(now);
            self.left -= most as u64;
            bytes = later;
        }
    }

    fn finish(mut self) -> Vec<Md5Digest> {
        self.digests.push(self.hasher.finalize().into());
        self.digests
    }
}

impl Check {
    /// Of a body of `length` bytes, by `proof`.
    pub(crate) fn new(length: u64, proof: &Proof) -> Self {
        let by = match proof {
            Proof::Md5(md5) => By::Md5(Md5::new(), *md5),
            Proof::Checksum(checksum) => {
                By::Checksum(Box::new(ChecksumHasher::new(checksum.algorithm)), checksum.clone())
            }
            Proof::Parts { etag, layouts } => {
                By::Parts { etag: etag.clone(), cuts: layouts.iter().cloned().map(Cut::new).collect() }
            }
            Proof::Twice => By::Length,
        };
        Self { length, received: 0, by }
    }

    /// Only the parts: what ingestion compares is left to it.
    pub(crate) fn of_parts(length: u64, proof: &Proof) -> Option<Self> {
        matches!(proof, Proof::Parts { .. }).then(|| Self::new(length, proof))
    }

    /// Takes in the next bytes. More than there may be are refused at once: the piece before them is still held back.
    pub(crate) fn update(&mut self, bytes: &[u8]) -> Answer<()> {
        progress::made();
        self.received += bytes.len() as u64;
        if self.received > self.length {
            return Err(UpstreamError::NotProved("more bytes came than were announced".to_owned()));
        }
        match &mut self.by {
            By::Md5(hasher, _) => hasher.update(bytes),
            By::Checksum(hasher, _) => hasher.update(bytes),
            By::Parts { cuts, .. } => cuts.iter_mut().for_each(|cut| cut.update(bytes)),
            By::Length => {}
        }
        Ok(())
    }

    /// Whether they are the object.
    pub(crate) fn finish(self) -> Answer<()> {
        let fail = |what: &str| Err(UpstreamError::NotProved(what.to_owned()));
        if self.received != self.length {
            return fail("their length is not the one that was announced");
        }
        match self.by {
            By::Md5(hasher, expected) => {
                let proved = Md5Digest::from(hasher.finalize()) == expected;
                if proved { Ok(()) } else { fail("their MD5 is not the entity tag") }
            }
            By::Checksum(hasher, expected) => {
                let proved = hasher.finish().value == expected.value;
                if proved { Ok(()) } else { fail("their checksum is another one") }
            }
            By::Parts { etag, cuts } => {
                let proved = cuts.into_iter().any(|cut| confirms(&etag, &cut.finish()));
                if proved { Ok(()) } else { fail("the MD5s of their parts do not make the entity tag") }
            }
            By::Length => Ok(()),
        }
    }
}

/// The sizes of the parts whose MD5s make the entity tag of these bytes: the first of `layouts` that does.
pub(crate) async fn layout_of<E>(
    mut stream: BoxStream<'static, Result<Bytes, E>>,
    etag: &str,
    layouts: Vec<Vec<u64>>,
) -> Result<Option<Vec<u64>>, E> {
    let mut cuts: Vec<Cut> = layouts.iter().cloned().map(Cut::new).collect();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        progress::made();
        for cut in &mut cuts {
            cut.update(&bytes);
        }
    }
    let made = layouts.into_iter().zip(cuts).find(|(_, cut)| confirms(etag, &cut.clone().finish()));
    Ok(made.map(|(layout, _)| layout))
}

/// A body that fails at its end unless it is the object.
pub(crate) fn checked(
    stream: BoxStream<'static, Answer<Bytes>>,
    check: Check,
) -> BoxStream<'static, Answer<Bytes>> {
    stream::try_unfold((stream, Some(check)), |(mut stream, mut check)| async move {
        match stream.next().await {
            Some(Ok(bytes)) => {
                if let Some(check) = &mut check {
                    check.update(&bytes)?;
                }
                Ok(Some((bytes, (stream, check))))
            }
            Some(Err(error)) => Err(error),
            None => match check.take() {
                Some(check) => check.finish().map(|()| None),
                None => Ok(None),
            },
        }
    })
    .boxed()
}

/// The same, with its last piece held back until its end is reached well.
pub(crate) fn held_back<E: Send + 'static>(
    stream: BoxStream<'static, Result<Bytes, E>>,
) -> BoxStream<'static, Result<Bytes, E>> {
    stream::try_unfold((stream, None::<Bytes>, false), |(mut stream, mut held, ended)| async move {
        if ended {
            return Ok(None);
        }
        loop {
            match stream.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    if let Some(before) = held.replace(bytes) {
                        return Ok(Some((before, (stream, held, false))));
                    }
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(held.take().map(|last| (last, (stream, None, true)))),
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::TryStreamExt as _;

    use super::*;
    use crate::domain::etag::Etag;
    use crate::domain::upstream::proof::{Said, plan};

    fn pieces(body: &[u8], size: usize) -> BoxStream<'static, Answer<Bytes>> {
        let pieces: Vec<_> = body.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        stream::iter(pieces).boxed()
    }

    async fn read(body: &[u8], length: u64, proof: &Proof) -> (Vec<u8>, Option<UpstreamError>) {
        let mut stream = held_back(checked(pieces(body, 1 << 16), Check::new(length, proof)));
        let mut got = Vec::new();
        loop {
            match stream.try_next().await {
                Ok(Some(bytes)) => got.extend_from_slice(&bytes),
                Ok(None) => return (got, None),
                Err(error) => return (got, Some(error)),
            }
        }
    }

    /// Of a body that is not the object, the end never comes: not of a wrong one, nor of a short or a padded one.
    #[tokio::test]
    async fn what_is_not_the_object_never_arrives_whole() {
        const MIB: usize = 1 << 20;
        let body: Vec<u8> = (0..13 * MIB).map(|n| (n / 7).to_le_bytes()[0]).collect();
        let md5 = |bytes: &[u8]| -> Md5Digest { Md5::digest(bytes).into() };
        let said = |etag: &str| Said { size: body.len() as u64, etag: etag.to_owned(), ..Said::default() };
        let single = plan(&said(Etag::md5(&md5(&body)).as_str()));
        let digests: Vec<_> = body.chunks(5 * MIB).map(md5).collect();
        let multipart = plan(&said(Etag::multipart(&digests).as_str()));
        assert_eq!((single.as_str(), multipart.as_str()), ("md5", "parts"));
        for proof in [single, multipart] {
            let length = body.len() as u64;
            let (got, error) = read(&body, length, &proof).await;
            assert!(got == body && error.is_none(), "{proof:?}: {error:?}");
            let mut flipped = body.clone();
            flipped[6 * MIB] ^= 1;
            let mut padded = body[..body.len() - 100].to_vec();
            padded.extend([0; 100]);
            for wrong in [&flipped[..], &padded, &body[..body.len() - 1], &[&body[..], b"x"].concat()] {
                let (got, error) = read(wrong, length, &proof).await;
                assert!(matches!(error, Some(UpstreamError::NotProved(_))), "{:?}", proof.as_str());
                assert!(got.len() < body.len());
            }
        }
    }

    #[tokio::test]
    async fn an_empty_body_is_one_too() {
        let proof = plan(&Said { etag: "d41d8cd98f00b204e9800998ecf8427e".into(), ..Said::default() });
        assert_eq!(read(b"", 0, &proof).await, (Vec::new(), None));
    }
}
