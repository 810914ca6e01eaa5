//! The digests of a body, computed beside receiving and writing it.

use bytes::Bytes;
use juststorage_md5_lanes::Md5;
use sha2::{Digest as _, Sha256};

use super::lanes::Lanes;
use crate::application::error::{Error, Result};
use crate::domain::blob::Hash;
use crate::domain::checksum::{Checksum, ChecksumAlgorithm, ChecksumHasher, ChecksumKind};
use crate::domain::etag::Md5Digest;

/// Up to this many bytes are digested where they are; more go to the blocking pool, where a hop of some ten
/// microseconds costs less than holding up the reactor.
const INLINE_BYTES_MAX: usize = 32 << 10;

/// Which digests beside the SHA-256, which is the content's address and always computed.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) md5: bool,
    pub(super) checksum: Option<ChecksumAlgorithm>,
}

/// Digests of the bytes so far.
pub(super) struct Digests {
    sha256: Sha256,
    md5: Option<Md5>,
    lanes: Lanes,
    checksum: Option<ChecksumHasher>,
    /// The checksum asked for, where it is one of the digests above: computed once.
    again: Option<ChecksumAlgorithm>,
}

/// Digests of a whole body.
pub(super) struct Taken {
    pub(super) hash: Hash,
    pub(super) md5: Option<Md5Digest>,
    pub(super) checksum: Option<Checksum>,
}

impl Digests {
    /// Of no bytes; an MD5, if one is wanted, will be computed in `lanes`.
    pub(super) fn new(wanted: Wanted, lanes: &Lanes) -> Self {
        let is_digest =
            |a: &ChecksumAlgorithm| matches!(a, ChecksumAlgorithm::Sha256 | ChecksumAlgorithm::Md5);
        let again = wanted.checksum.filter(is_digest);
        Self {
            sha256: Sha256::new(),
            md5: (wanted.md5 || again == Some(ChecksumAlgorithm::Md5)).then(Md5::new),
            lanes: lanes.clone(),
            checksum: wanted.checksum.filter(|_| again.is_none()).map(ChecksumHasher::new),
            again,
        }
    }

    /// Takes in the next bytes; MD5, the slowest, beside the others.
    pub(super) async fn update(mut self, bytes: Bytes) -> Result<Self> {
        if bytes.len() <= INLINE_BYTES_MAX {
            self.update_rest(&bytes);
            if let Some(md5) = &mut self.md5 {
                md5.update(&bytes);
            }
            return Ok(self);
        }
        let beside = self.md5.take().map(|md5| self.lanes.update(md5, bytes.clone()));
        let mut digests = tokio::task::spawn_blocking(move || {
            self.update_rest(&bytes);
            self
        })
        .await
        .map_err(|_| Error::Internal)?;
        if let Some(beside) = beside {
            digests.md5 = Some(beside.await.map_err(|_| Error::Internal)?);
        }
        Ok(digests)
    }

    fn update_rest(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(bytes);
        }
    }

    pub(super) fn finish(self) -> Taken {
        let hash = Hash(self.sha256.finalize().into());
        let md5 = self.md5.map(Md5::finalize);
        let checksum = match (self.again, &md5) {
            (Some(ChecksumAlgorithm::Md5), Some(md5)) => Some(of_digest(ChecksumAlgorithm::Md5, md5)),
            (Some(algorithm), _) => Some(of_digest(algorithm, &hash.0)),
            (None, _) => self.checksum.map(ChecksumHasher::finish),
        };
        Taken { hash, md5, checksum }
    }
}

/// A digest of the whole body as a checksum.
fn of_digest(algorithm: ChecksumAlgorithm, digest: &[u8]) -> Checksum {
    let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    Checksum { algorithm, kind: ChecksumKind::FullObject, value }
}
