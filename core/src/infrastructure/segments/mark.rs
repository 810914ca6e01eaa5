//! The mark on a tier's root: a small file that says which tier of which store this is.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::application::ports::segments::SegmentError;
use crate::domain::identity::{StoreId, TierId, TierMark};
use crate::domain::storage_class::StorageClass;
use crate::infrastructure::durable;

/// Its name in the root.
pub(super) const NAME: &str = "juststorage-tier.json";

/// Longest file that can be a mark, in bytes.
const BYTES_MAX: u64 = 4096;

/// As it stands in the file.
#[derive(Serialize, Deserialize)]
struct Written {
    store: Uuid,
    tier: Uuid,
    class: String,
}

/// The content of a mark's file.
pub fn text(mark: &TierMark) -> String {
    let (store, tier, class) = (mark.store, mark.tier, mark.class.as_str());
    format!("{{\"store\":\"{store}\",\"tier\":\"{tier}\",\"class\":\"{class}\"}}\n")
}

/// The mark of the root at `root`; `None` if it carries none. Blocks.
pub(super) fn read(root: &Path) -> Result<Option<TierMark>, SegmentError> {
    let path = root.join(NAME);
    match std::fs::metadata(&path) {
        Ok(file) if file.len() > BYTES_MAX => return Err(unreadable(io::Error::other("it is too long"))),
        _ => {}
    }
    match std::fs::read(&path) {
        Ok(bytes) => parse(&bytes).map(Some).ok_or_else(|| unreadable(io::Error::other("it is no mark"))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(unreadable(error)),
    }
}

/// Marks the root at `root`, which exists, unless it is marked. The mark that it carries then. Blocks.
pub(super) fn write(root: &Path, mark: &TierMark) -> Result<TierMark, SegmentError> {
    durable::keep(&root.join(NAME), text(mark).as_bytes(), durable::FILE_MODE)
        .map_err(|error| super::blocking::io_error("mark the tier's root", error))?;
    read(root)?.ok_or_else(|| unreadable(ErrorKind::NotFound.into()))
}

/// Fails unless the root at `root` carries `expected`. Blocks.
pub(super) fn verify(root: &Path, expected: &TierMark) -> Result<(), SegmentError> {
    let found = match read(root)? {
        Some(found) if found == *expected => return Ok(()),
        Some(found) => format!("it is {found} and not {expected}"),
        None => format!("it carries no mark and should be {expected}"),
    };
    Err(SegmentError::Unavailable {
        action: "look at the mark of the tier's root",
        source: Arc::new(io::Error::other(found)),
        advice: "another directory is in the tier's place: mount the tier's volume again",
    })
}

/// From what stands in the file of a mark.
pub(super) fn parse(bytes: &[u8]) -> Option<TierMark> {
    let Written { store, tier, class } = serde_json::from_slice(bytes).ok()?;
    let class = StorageClass::parse(&class).ok()?;
    Some(TierMark { store: StoreId(store), tier: TierId(tier), class })
}

/// A mark that is there and says nothing.
pub(super) fn unreadable(error: io::Error) -> SegmentError {
    SegmentError::Unavailable {
        action: "read the mark of the tier's root (juststorage-tier.json)",
        source: Arc::new(error),
        advice: "restore it from a backup of the tier: it says which store the tier belongs to",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_root_keeps_the_mark_it_has() {
        let root = tempfile::tempdir().unwrap();
        let mark = |tier| TierMark {
            store: StoreId(Uuid::from_u128(1)),
            tier: TierId(Uuid::from_u128(tier)),
            class: StorageClass::Cold,
        };
        assert_eq!(read(root.path()).unwrap(), None);
        assert_eq!(read(&root.path().join("absent")).unwrap(), None);
        assert!(verify(root.path(), &mark(2)).is_err());
        assert_eq!(write(root.path(), &mark(2)).unwrap(), mark(2));
        assert_eq!(write(root.path(), &mark(3)).unwrap(), mark(2), "the first one stays");
        assert!(verify(root.path(), &mark(2)).is_ok());
        let refused = verify(root.path(), &mark(3)).unwrap_err().to_string();
        assert!(
            refused.contains(&mark(2).to_string()) && refused.contains(&mark(3).to_string()),
            "{refused}"
        );
        std::fs::write(root.path().join(NAME), "{}").unwrap();
        assert!(matches!(read(root.path()), Err(SegmentError::Unavailable { .. })));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1, "no draft is left");
    }
}
