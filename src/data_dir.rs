//! The data directory: made once, held by one server at a time, with the two small files it keeps.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use juststorage_core::application::access::{MasterKey, MasterKeys};
use juststorage_core::application::ports::metadata::WriterId;
use uuid::Uuid;

use crate::config::MasterKeySource;
use crate::failure::Failure;

/// The data directory.
pub struct DataDir {
    path: PathBuf,
}

/// That this process is the directory's only server. The operating system takes it back whichever way the
/// process ends.
pub struct Held {
    _lock: File,
}

impl DataDir {
    /// The directory at `path`, made with mode 0700 if it does not exist.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| Failure::unable(format!("make the data directory {}", path.display()), error))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Keeps other servers out. Commands that run beside a server do not need it.
    pub fn hold(&self) -> Result<Held, Failure> {
        self.try_hold()?.ok_or_else(|| {
            Failure::Unable(format!(
                "the data directory {} is in use by another server (it holds juststorage.lock there)",
                self.path.display()
            ))
        })
    }

    /// As [`Self::hold`]; `None` if a server holds it.
    pub fn try_hold(&self) -> Result<Option<Held>, Failure> {
        let path = self.path.join("juststorage.lock");
        let action = || format!("lock {}", path.display());
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Failure::unable(action(), error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Held { _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Failure::unable(action(), error)),
        }
    }

    /// The writer that servers of this directory stage bytes as, one after the other: by it a new one knows
    /// what its predecessor left behind.
    pub fn writer(&self) -> Result<WriterId, Failure> {
        let path = self.path.join("writer.id");
        let text = keep(&path, || Ok(Uuid::new_v4().to_string()))?;
        text.trim()
            .parse()
            .map(WriterId)
            .map_err(|error| Failure::unable(format!("read {}", path.display()), error))
    }

    /// The key that encrypts stored secrets, and the one before it while a rotation is under way.
    pub fn master_keys(&self, source: &MasterKeySource) -> Result<MasterKeys, Failure> {
        match source {
            MasterKeySource::Given(current, previous) => {
                Ok(MasterKeys::new(current.clone(), previous.clone()))
            }
            MasterKeySource::Kept => {
                let path = self.path.join(MASTER_KEY);
                let current = parse_master_key(&path, &keep(&path, fresh_master_key)?)?;
                let path = self.path.join(PREVIOUS_MASTER_KEY);
                let previous = match std::fs::read_to_string(&path) {
                    Ok(text) => Some(parse_master_key(&path, &text)?),
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    Err(error) => return Err(Failure::unable(format!("read {}", path.display()), error)),
                };
                Ok(MasterKeys::new(current, previous))
            }
        }
    }

    /// Puts a fresh master key in the place of the one that is kept, which stays beside it until
    /// [`Self::forget_previous_master_key`]. One that was put there before and not finished with is left.
    pub fn replace_master_key(&self) -> Result<(), Failure> {
        let (path, previous) = (self.path.join(MASTER_KEY), self.path.join(PREVIOUS_MASTER_KEY));
        keep(&path, fresh_master_key)?;
        let unable = |error| Failure::unable(format!("replace {}", path.display()), error);
        match std::fs::hard_link(&path, &previous) {
            // A crash may have come between this and the replacement, or behind it: a second fresh key would
            // lose the one that secrets are sealed with, unless both files are still the same key.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let read = |path| std::fs::read_to_string(path).map_err(unable);
                if read(&path)? != read(&previous)? {
                    return Ok(());
                }
            }
            linked => linked.map_err(unable)?,
        }
        self.sync().map_err(unable)?;
        let draft = path.with_extension(format!("{}.draft", Uuid::new_v4()));
        let replaced = write_durably(&draft, &fresh_master_key()?)
            .and_then(|()| std::fs::rename(&draft, &path))
            .and_then(|()| self.sync());
        if replaced.is_err() {
            let _ = std::fs::remove_file(&draft);
        }
        replaced.map_err(unable)
    }

    /// The previous master key seals nothing any more.
    pub fn forget_previous_master_key(&self) -> Result<(), Failure> {
        let path = self.path.join(PREVIOUS_MASTER_KEY);
        match std::fs::remove_file(&path).and_then(|()| self.sync()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::unable(format!("remove {}", path.display()), error))
            }
            _ => Ok(()),
        }
    }

    fn sync(&self) -> std::io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

const MASTER_KEY: &str = "master.key";

/// The key before it, while secrets that it sealed are about.
const PREVIOUS_MASTER_KEY: &str = "master.key.previous";

fn fresh_master_key() -> Result<String, Failure> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| Failure::unable("make a master key", error))?;
    Ok(hex::encode(key))
}

fn parse_master_key(path: &Path, text: &str) -> Result<MasterKey, Failure> {
    MasterKey::from_hex(text)
        .map_err(|invalid| Failure::unable(format!("use {}", path.display()), invalid.reason))
}

/// What the file at `path` holds; if there is none, it is made, with mode 0600, of what `make` returns. It
/// is never seen half written, and of two processes that make it at once both return the same.
fn keep(path: &Path, make: impl FnOnce() -> Result<String, Failure>) -> Result<String, Failure> {
    let unable = |error| Failure::unable(format!("keep {}", path.display()), error);
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        read => return read.map_err(unable),
    }
    let text = make()?;
    let draft = path.with_extension(format!("{}.draft", Uuid::new_v4()));
    let written = write_durably(&draft, &text).and_then(|()| match std::fs::hard_link(&draft, path) {
        // Unlike a rename, a link never replaces what another process was faster to put there.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    // Whatever happened, the draft has served its purpose; a leftover would only be untidy.
    let _ = std::fs::remove_file(&draft);
    written.map_err(unable)?;
    if let Some(directory) = path.parent() {
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(unable)?;
    }
    std::fs::read_to_string(path).map_err(unable)
}

fn write_durably(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_made_once_and_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let directory = DataDir::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        let writer = directory.writer().unwrap();
        directory.master_keys(&MasterKeySource::Kept).unwrap();
        let key = std::fs::read_to_string(path.join("master.key")).unwrap();
        assert_eq!(mode(&path.join("master.key")), 0o600);
        assert_eq!(mode(&path.join("writer.id")), 0o600);

        let again = DataDir::open(&path).unwrap();
        assert_eq!(again.writer().unwrap(), writer);
        again.master_keys(&MasterKeySource::Kept).unwrap();
        assert_eq!(std::fs::read_to_string(path.join("master.key")).unwrap(), key);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn processes_that_race_keep_the_same() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("writer.id");
        let kept: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|n| {
                    scope.spawn({
                        let path = &path;
                        move || keep(path, || Ok(n.to_string())).unwrap()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(kept.iter().all(|text| *text == kept[0]), "{kept:?}");
    }

    #[test]
    fn only_one_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let directory = DataDir::open(root.path()).unwrap();
        let held = directory.hold().unwrap();
        let refused = directory.hold().err().unwrap();
        assert_eq!(refused.exit_code(), 3);
        assert!(refused.to_string().contains("in use"), "{refused}");
        drop(held);
        directory.hold().unwrap();
    }

    #[test]
    fn a_damaged_key_is_refused_and_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("master.key"), "short").unwrap();
        let refused = DataDir::open(root.path()).unwrap().master_keys(&MasterKeySource::Kept).err().unwrap();
        assert!(refused.to_string().contains("master.key"), "{refused}");
        assert_eq!(std::fs::read_to_string(root.path().join("master.key")).unwrap(), "short");
    }
}
