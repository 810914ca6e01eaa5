//! The data directory: created once, locked by one server at a time, with its two small files.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use juststorage_core::application::access::{MasterKey, MasterKeys};
use juststorage_core::application::ports::metadata::WriterId;
use juststorage_core::domain::incarnation::{Incarnation, Whereabouts};
use juststorage_core::infrastructure::durable;
use uuid::Uuid;

use crate::config::MasterKeySource;
use crate::exit_error::ExitError;

/// The data directory.
pub struct DataDir {
    path: PathBuf,
}

/// The lock that makes this process the directory's only server. The operating system releases it however the process
/// ends.
pub struct Held {
    _lock: File,
}

impl DataDir {
    /// The directory at `path`, which may not exist: for commands, which do not create it.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The directory at `path`, created with mode 0700 if it does not exist.
    pub fn make(path: &Path) -> Result<Self, ExitError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
            ExitError::unable(format!("make the data directory {}", path.display()), error)
        })?;
        Ok(Self::at(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock, which keeps other servers out. Commands that run beside a server do not need it.
    pub fn hold(&self) -> Result<Held, ExitError> {
        self.try_hold()?.ok_or_else(|| {
            ExitError::Unable(format!(
                "the data directory {} is in use by another server (it holds juststorage.lock there)",
                self.path.display()
            ))
        })
    }

    /// As [`Self::hold`]; `None` if a server holds it.
    pub fn try_hold(&self) -> Result<Option<Held>, ExitError> {
        let path = self.path.join("juststorage.lock");
        let action = || format!("lock {}", path.display());
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| ExitError::unable(action(), error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Held { _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(ExitError::unable(action(), error)),
        }
    }

    /// Removes drafts of small files that a killed process left. For the directory's only server.
    pub fn tidy(&self) -> Result<(), ExitError> {
        let unable = |error| ExitError::unable(format!("tidy {}", self.path.display()), error);
        for name in [WRITER, MASTER_KEY, PREVIOUS_MASTER_KEY] {
            durable::remove_drafts(&self.path.join(name)).map_err(unable)?;
        }
        // Releases before this one called theirs so.
        for entry in std::fs::read_dir(&self.path).map_err(unable)? {
            let path = entry.map_err(unable)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let id = name
                .strip_suffix(".draft")
                .and_then(|name| ["master.", "writer."].iter().find_map(|begin| name.strip_prefix(begin)));
            if id.is_some_and(|id| Uuid::try_parse(id).is_ok()) {
                durable::remove_file(&path).map_err(unable)?;
            }
        }
        Ok(())
    }

    /// The writer id that the servers of this directory use one after the other, so that a new one finds what its
    /// predecessor left; with the stored incarnation. Created if there is none.
    pub fn writer(&self) -> Result<(WriterId, Incarnation), ExitError> {
        let path = self.path.join(WRITER);
        durable::keep(&path, writer_text(WriterId(Uuid::new_v4()), Incarnation::NONE).as_bytes(), 0o600)
            .map_err(|error| ExitError::unable(format!("keep {}", path.display()), error))?;
        self.known_writer()?
            .ok_or_else(|| ExitError::unable(format!("read {}", path.display()), "it is gone"))
    }

    /// As [`Self::writer`]; `None` if no server has used this directory.
    pub fn known_writer(&self) -> Result<Option<(WriterId, Incarnation)>, ExitError> {
        let path = self.path.join(WRITER);
        let unable =
            |error: &dyn std::fmt::Display| ExitError::unable(format!("read {}", path.display()), error);
        match std::fs::read_to_string(&path) {
            Ok(text) => parse_writer(&text).map(Some).ok_or_else(|| unable(&"it names no writer")),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unable(&error)),
        }
    }

    /// Stores the `incarnation` of `writer`.
    pub fn keep_incarnation(&self, writer: WriterId, incarnation: Incarnation) -> std::io::Result<()> {
        durable::replace(&self.path.join(WRITER), writer_text(writer, incarnation).as_bytes(), 0o600)
    }

    /// The file of [`Self::writer`].
    pub fn writer_file(&self) -> PathBuf {
        self.path.join(WRITER)
    }

    /// The location of this directory.
    pub fn whereabouts(&self) -> Result<Whereabouts, ExitError> {
        let unable = |error| ExitError::unable(format!("look at {}", self.path.display()), error);
        let metadata = std::fs::metadata(&self.path).map_err(unable)?;
        // Where there is no such file, the two numbers alone tell directories apart.
        let kernel = |name| {
            std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default().trim().to_owned()
        };
        Ok(Whereabouts {
            host: kernel("hostname"),
            boot: kernel("random/boot_id"),
            device: metadata.dev(),
            inode: metadata.ino(),
            path: std::path::absolute(&self.path).map_err(unable)?.display().to_string(),
        })
    }

    /// The master key, and the one before it during a rotation. `None` if it should be stored here and is missing.
    pub fn master_keys(&self, source: &MasterKeySource) -> Result<Option<MasterKeys>, ExitError> {
        match source {
            MasterKeySource::Given(current, previous) => {
                Ok(Some(MasterKeys::new(current.clone(), previous.clone())))
            }
            MasterKeySource::Kept => {
                let Some(current) = self.read_master_key(MASTER_KEY)? else { return Ok(None) };
                Ok(Some(MasterKeys::new(current, self.read_master_key(PREVIOUS_MASTER_KEY)?)))
            }
        }
    }

    /// Creates the master key in this directory, unless there is one.
    pub fn make_master_key(&self) -> Result<(), ExitError> {
        let path = self.master_key_file();
        durable::keep(&path, fresh_master_key()?.as_bytes(), 0o600)
            .map_err(|error| ExitError::unable(format!("keep {}", path.display()), error))
    }

    /// The file of the master key.
    pub fn master_key_file(&self) -> PathBuf {
        self.path.join(MASTER_KEY)
    }

    /// Replaces the stored master key by a new one. The old one stays beside it until
    /// [`Self::forget_previous_master_key`]. An unfinished replacement is continued.
    pub fn replace_master_key(&self) -> Result<(), ExitError> {
        let (path, previous) = (self.master_key_file(), self.path.join(PREVIOUS_MASTER_KEY));
        let unable = |error| ExitError::unable(format!("replace {}", path.display()), error);
        let current = std::fs::read(&path).map_err(unable)?;
        durable::keep(&previous, &current, 0o600).map_err(unable)?;
        // A crash may have come between this and the replacement, or behind it: a second fresh key would
        // lose the one that secrets are sealed with, unless both files are still the same key.
        if std::fs::read(&previous).map_err(unable)? != current {
            return Ok(());
        }
        durable::replace(&path, fresh_master_key()?.as_bytes(), 0o600).map_err(unable)
    }

    /// Removes the previous master key, once nothing is encrypted with it.
    pub fn forget_previous_master_key(&self) -> Result<(), ExitError> {
        let path = self.path.join(PREVIOUS_MASTER_KEY);
        match durable::remove_file(&path).and_then(|()| durable::sync_directory(&self.path)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(ExitError::unable(format!("remove {}", path.display()), error))
            }
            _ => Ok(()),
        }
    }

    fn read_master_key(&self, name: &str) -> Result<Option<MasterKey>, ExitError> {
        let path = self.path.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => MasterKey::from_hex(&text)
                .map(Some)
                .map_err(|invalid| ExitError::unable(format!("use {}", path.display()), invalid.reason)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ExitError::unable(format!("read {}", path.display()), error)),
        }
    }
}

/// The file of the writer id and incarnation.
const WRITER: &str = "writer.id";

const MASTER_KEY: &str = "master.key";

/// The key before it, while secrets encrypted with it exist.
const PREVIOUS_MASTER_KEY: &str = "master.key.previous";

fn fresh_master_key() -> Result<String, ExitError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| ExitError::unable("make a master key", error))?;
    Ok(hex::encode(key))
}

/// One line with the writer id, one with its incarnation.
fn writer_text(writer: WriterId, incarnation: Incarnation) -> String {
    format!("{}\n{} {}\n", writer.0, incarnation.generation, incarnation.token)
}

/// Reads the text of [`writer_text`], or that of releases which did not count starts.
fn parse_writer(text: &str) -> Option<(WriterId, Incarnation)> {
    let mut lines = text.lines();
    let writer = WriterId(lines.next()?.trim().parse().ok()?);
    let Some(line) = lines.next() else { return Some((writer, Incarnation::NONE)) };
    let (generation, token) = line.split_once(' ')?;
    let incarnation = Incarnation { generation: generation.parse().ok()?, token: token.trim().parse().ok()? };
    Some((writer, incarnation))
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
        let directory = DataDir::make(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(directory.known_writer().unwrap(), None);
        let (writer, incarnation) = directory.writer().unwrap();
        assert_eq!(incarnation, Incarnation::NONE);
        assert!(directory.master_keys(&MasterKeySource::Kept).unwrap().is_none());
        directory.make_master_key().unwrap();
        let key = std::fs::read_to_string(path.join("master.key")).unwrap();
        assert_eq!(mode(&path.join("master.key")), 0o600);
        assert_eq!(mode(&path.join("writer.id")), 0o600);

        let next = incarnation.next(Uuid::from_u128(7));
        directory.keep_incarnation(writer, next).unwrap();
        let again = DataDir::make(&path).unwrap();
        assert_eq!(again.writer().unwrap(), (writer, next));
        again.make_master_key().unwrap();
        assert_eq!(std::fs::read_to_string(path.join("master.key")).unwrap(), key);
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 2, "no draft is left");
    }

    #[test]
    fn a_writer_of_an_older_release_is_read() {
        let root = tempfile::tempdir().unwrap();
        let id = Uuid::new_v4();
        std::fs::write(root.path().join("writer.id"), id.to_string()).unwrap();
        let directory = DataDir::make(root.path()).unwrap();
        assert_eq!(directory.writer().unwrap(), (WriterId(id), Incarnation::NONE));
        for damaged in ["", "no writer", &format!("{id}\nx"), &format!("{id}\n1 x")] {
            std::fs::write(root.path().join("writer.id"), damaged).unwrap();
            assert!(directory.writer().is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn drafts_of_killed_processes_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let directory = DataDir::make(root.path()).unwrap();
        let draft = Uuid::new_v4();
        let left = [
            format!("master.{draft}.draft"),
            format!("master.key.{draft}.new"),
            format!("writer.{draft}.draft"),
        ];
        let others = ["master.key", "master.note.draft", "notes.draft", "metadata.db"];
        for name in left.iter().map(String::as_str).chain(others) {
            std::fs::write(root.path().join(name), "").unwrap();
        }
        directory.tidy().unwrap();
        for name in &left {
            assert!(!root.path().join(name).exists(), "{name}");
        }
        for name in others {
            assert!(root.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn only_one_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let directory = DataDir::make(root.path()).unwrap();
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
        let refused = DataDir::make(root.path()).unwrap().master_keys(&MasterKeySource::Kept).err().unwrap();
        assert!(refused.to_string().contains("master.key"), "{refused}");
        assert_eq!(std::fs::read_to_string(root.path().join("master.key")).unwrap(), "short");
    }

    /// A replacement that is interrupted anywhere continues, and the key that encrypted secrets stays.
    #[test]
    fn a_key_is_replaced_once_until_the_one_before_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let directory = DataDir::make(root.path()).unwrap();
        directory.make_master_key().unwrap();
        let read = |name: &str| std::fs::read_to_string(root.path().join(name)).unwrap();
        let first = read("master.key");
        std::fs::write(root.path().join("master.key.previous"), &first).unwrap();
        directory.replace_master_key().unwrap();
        let second = read("master.key");
        assert_ne!(second, first);
        directory.replace_master_key().unwrap();
        assert_eq!((read("master.key"), read("master.key.previous")), (second, first));
        directory.forget_previous_master_key().unwrap();
        assert!(!root.path().join("master.key.previous").exists());
    }
}
