//! A disk that loses power.
//!
//! Files are real; beside them this keeps an account of what of each would survive: bytes that were synced, and
//! of those that were not, any sectors; names whose directory was synced, and of the other changes to a directory
//! any that a file system could have written. [`Disk::cut`] makes the files what the account says, by the choices
//! of a seed. Before that the disk can be told to die at any step: from then on nothing changes it.
//!
//! What is assumed of the disk is what `fsync(2)` promises and nothing more: a sector of 512 bytes is written
//! whole or not at all; what a sync that succeeded covers stays; what a sync that *failed* covers may be gone
//! although a later sync succeeds. Of the file system: a rename is one change (the file keeps one of its names),
//! and a directory's changes may be written in any order until it is synced.

mod account;
mod dice;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use account::{Account, Content, Entry};
pub use dice::Dice;

pub use crate::infrastructure::watch::{DurableStep, Watch, Watcher};

/// Which step, by its kind alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "they are the variants of `DurableStep`")]
pub enum Kind {
    CreateDirectory,
    CreateFile,
    Write,
    Cut,
    SyncFile,
    Rename,
    Remove,
    SyncDirectory,
    Commit,
    Committed,
    Request,
    Answer,
}

impl Kind {
    fn of(step: &DurableStep<'_>) -> Self {
        match step {
            DurableStep::CreateDirectory(_) => Self::CreateDirectory,
            DurableStep::CreateFile(_) => Self::CreateFile,
            DurableStep::Write(..) => Self::Write,
            DurableStep::Cut(..) => Self::Cut,
            DurableStep::SyncFile(_) => Self::SyncFile,
            DurableStep::Rename(..) => Self::Rename,
            DurableStep::Remove(_) => Self::Remove,
            DurableStep::SyncDirectory(_) => Self::SyncDirectory,
            DurableStep::Commit => Self::Commit,
            DurableStep::Committed => Self::Committed,
            DurableStep::Request => Self::Request,
            DurableStep::Answer => Self::Answer,
        }
    }
}

/// A disk under one directory.
#[derive(Debug)]
pub struct Disk {
    root: PathBuf,
    account: Mutex<Account>,
}

impl Disk {
    /// Under `root`, which is empty. To be set to watch before anything is written there.
    pub fn new(root: &Path) -> Arc<Self> {
        Arc::new(Self { root: root.to_path_buf(), account: Mutex::default() })
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The steps taken so far, in order.
    pub fn steps(&self) -> Vec<Kind> {
        self.account().steps.clone()
    }

    /// How many steps were taken so far.
    pub fn taken(&self) -> u64 {
        self.account().steps.len() as u64
    }

    /// The power goes when `more` further steps were taken, in the midst of the next.
    pub fn die_after(&self, more: u64) {
        let mut account = self.account();
        account.dies_at = Some(account.steps.len() as u64 + more);
    }

    /// The power goes now.
    pub fn die(&self) {
        self.account().dead = true;
    }

    /// Gives power again, everything being as it was when it went: what a process that was killed leaves.
    pub fn revive(&self) {
        let mut account = self.account();
        account.revive();
        // The step that was refused did not happen, not even in part.
        if let Some((last, names)) = account.last.take() {
            account.names = names;
            account.pending.retain(|naming| naming.number != last);
            for content in &mut account.contents {
                content.pending.retain(|(number, _)| *number != last);
            }
        }
    }

    /// Whether the power has gone.
    pub fn is_dead(&self) -> bool {
        self.account().dead
    }

    /// From now on steps of this kind, syncs, are answered well and do nothing: the disk of a liar, and of a program
    /// that forgot to ask. For tests of the tests.
    pub fn lie(&self, about: Kind) {
        self.account().lies = Some(about);
    }

    /// The `nth` next step of this kind (1 is the very next) fails with `EIO`, once.
    pub fn fail(&self, kind: Kind, nth: u64) {
        self.account().fails = Some((kind, nth));
    }

    /// Makes the files under the root what is left after a power cut, by the choices of `dice`, and gives power
    /// again. Processes that had files open there must be gone.
    pub fn cut(&self, dice: &mut Dice) {
        let mut account = self.account();
        let left = account.survivors(dice);
        for (path, entry) in account.names.iter().rev() {
            // Some are gone already: their directory went, or they were never made.
            let _ = match entry {
                Entry::Directory => fs::remove_dir_all(path),
                Entry::File(_) => fs::remove_file(path),
            };
        }
        account.files.clear();
        let mut contents = Vec::new();
        let mut moved = HashMap::new();
        let mut names = BTreeMap::new();
        for (path, entry) in left {
            match entry {
                Entry::Directory => {
                    fs::create_dir_all(&path).unwrap();
                    names.insert(path, Entry::Directory);
                }
                Entry::File(old) => {
                    let new = *moved.entry(old).or_insert_with(|| {
                        let durable = account.contents[old].torn(dice);
                        contents.push(Content { durable, pending: Vec::new() });
                        contents.len() - 1
                    });
                    fs::write(&path, &contents[new].durable).unwrap();
                    account.files.insert(fs::metadata(&path).unwrap().ino(), new);
                    names.insert(path, Entry::File(new));
                }
            }
        }
        account.contents = contents;
        account.durable = names.clone();
        account.names = names;
        account.pending.clear();
        account.last = None;
        account.revive();
    }

    fn is_ours(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }
}

impl Watcher for Disk {
    fn before(&self, step: &DurableStep<'_>) -> io::Result<u64> {
        match step {
            DurableStep::CreateDirectory(path)
            | DurableStep::CreateFile(path)
            | DurableStep::Remove(path)
            | DurableStep::SyncDirectory(path)
            | DurableStep::Rename(path, _)
                if !self.is_ours(path) =>
            {
                return Ok(0);
            }
            _ => {}
        }
        let mut account = self.account();
        if account.dead {
            return Err(io::Error::other("the power is gone"));
        }
        account.next += 1;
        let number = account.next;
        let kind = Kind::of(step);
        let taken = account.steps.len() as u64;
        account.steps.push(kind);
        if account.dies_at == Some(taken) {
            account.dead = true;
            account.last = Some((number, account.names.clone()));
            account.note(step, number);
            return Err(io::Error::other("the power went"));
        }
        if let Some((fails, nth)) = account.fails
            && fails == kind
        {
            account.fails = (nth > 1).then_some((kind, nth - 1));
            if nth == 1 {
                match step {
                    // The kernel has dropped what it could not write, and tells so once.
                    DurableStep::SyncFile(file) => {
                        if let Some(file) = account.file(file) {
                            account.contents[file].pending.clear();
                        }
                    }
                    // Some of the bytes may have been written.
                    _ => account.note(step, number),
                }
                return Err(io::Error::from_raw_os_error(5));
            }
        }
        account.note(step, number);
        Ok(number)
    }

    fn after(&self, step: &DurableStep<'_>, number: u64) {
        let mut account = self.account();
        if account.lies == Some(Kind::of(step)) {
            return;
        }
        match step {
            DurableStep::CreateDirectory(path) if self.is_ours(path) => {
                account.name(path, Some(Entry::Directory), number, false);
            }
            DurableStep::CreateFile(path) if self.is_ours(path) => {
                let Ok(metadata) = fs::metadata(path) else { return };
                account.contents.push(Content::default());
                let file = account.contents.len() - 1;
                account.files.insert(metadata.ino(), file);
                account.name(path, Some(Entry::File(file)), number, false);
            }
            // What was written while the sync was under way may not be covered.
            DurableStep::SyncFile(file) => {
                if let Some(file) = account.file(file) {
                    account.contents[file].settle(number);
                }
            }
            DurableStep::SyncDirectory(path) if self.is_ours(path) => {
                let (covered, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut account.pending)
                    .into_iter()
                    .partition(|naming| naming.number < number && naming.name.parent() == Some(path));
                for naming in covered {
                    match naming.to {
                        Some(entry) => account.durable.insert(naming.name, entry),
                        None => account.durable.remove(&naming.name),
                    };
                }
                account.pending = rest;
            }
            _ => {}
        }
    }
}
