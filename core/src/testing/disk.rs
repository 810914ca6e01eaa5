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

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use crate::infrastructure::watch::{Step, Watch, Watcher};

/// What is written whole or not at all, in bytes.
const SECTOR: usize = 512;

/// Choices that a seed repeats.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// By this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits (`SplitMix64`).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..below`.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.bits() % below.max(1)
    }

    /// One of `0..below`, as an index.
    pub fn index(&mut self, below: usize) -> usize {
        usize::try_from(self.roll(below as u64)).unwrap_or(0)
    }

    /// True in `of` of a hundred.
    pub fn percent(&mut self, of: u64) -> bool {
        self.roll(100) < of
    }
}

/// Which step, by its kind alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "they are the variants of `Step`")]
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
}

impl Kind {
    fn of(step: &Step<'_>) -> Self {
        match step {
            Step::CreateDirectory(_) => Self::CreateDirectory,
            Step::CreateFile(_) => Self::CreateFile,
            Step::Write(..) => Self::Write,
            Step::Cut(..) => Self::Cut,
            Step::SyncFile(_) => Self::SyncFile,
            Step::Rename(..) => Self::Rename,
            Step::Remove(_) => Self::Remove,
            Step::SyncDirectory(_) => Self::SyncDirectory,
            Step::Commit => Self::Commit,
            Step::Committed => Self::Committed,
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Clone, Debug, Default)]
struct Content {
    durable: Vec<u8>,
    /// What was done since, in order, each with its number.
    pending: Vec<(u64, Change)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Directory,
    File(usize),
}

/// A change of a directory's names. Both halves of a rename have the same number.
#[derive(Clone, Debug)]
struct Naming {
    number: u64,
    name: PathBuf,
    to: Option<Entry>,
    rename: bool,
}

#[derive(Debug, Default)]
struct Account {
    next: u64,
    contents: Vec<Content>,
    /// By the number that the real file system gave.
    files: HashMap<u64, usize>,
    /// As programs see it.
    names: BTreeMap<PathBuf, Entry>,
    durable: BTreeMap<PathBuf, Entry>,
    pending: Vec<Naming>,
    steps: Vec<Kind>,
    dies_at: Option<u64>,
    fails: Option<(Kind, u64)>,
    /// A step of this kind is answered well and does nothing.
    lies: Option<Kind>,
    dead: bool,
    /// The step in whose midst the power went, and the names before it.
    last: Option<(u64, BTreeMap<PathBuf, Entry>)>,
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
    /// again. Whoever had files open there must be gone.
    pub fn cut(&self, dice: &mut Dice) {
        let mut account = self.account();
        let left = account.survivors(dice);
        for (path, entry) in account.names.iter().rev() {
            // Some are gone already: their directory went, or nobody made them after all.
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

impl Account {
    fn revive(&mut self) {
        self.dead = false;
        self.dies_at = None;
        self.fails = None;
    }

    fn file(&self, file: &File) -> Option<usize> {
        self.files.get(&file.metadata().ok()?.ino()).copied()
    }

    fn name(&mut self, path: &Path, to: Option<Entry>, number: u64, rename: bool) {
        match to {
            Some(entry) => self.names.insert(path.to_path_buf(), entry),
            None => self.names.remove(path),
        };
        self.pending.push(Naming { number, name: path.to_path_buf(), to, rename });
    }

    /// Writes down what a step may do from now on, whether or not it is taken to its end.
    fn note(&mut self, step: &Step<'_>, number: u64) {
        match step {
            Step::Write(file, offset, slices) => {
                if let Some(file) = self.file(file) {
                    let bytes = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                    self.contents[file].pending.push((number, Change::Write(*offset, bytes)));
                }
            }
            Step::Cut(file, length) => {
                if let Some(file) = self.file(file) {
                    self.contents[file].pending.push((number, Change::Cut(*length)));
                }
            }
            Step::Rename(from, to) => {
                if let Some(entry) = self.names.get(*from).copied() {
                    self.name(from, None, number, true);
                    self.name(to, Some(entry), number, true);
                }
            }
            Step::Remove(path) => {
                if self.names.contains_key(*path) {
                    self.name(path, None, number, false);
                }
            }
            Step::CreateDirectory(_)
            | Step::CreateFile(_)
            | Step::SyncFile(_)
            | Step::SyncDirectory(_)
            | Step::Commit
            | Step::Committed => {}
        }
    }

    /// The names that are left.
    fn survivors(&self, dice: &mut Dice) -> BTreeMap<PathBuf, Entry> {
        let mut names = self.durable.clone();
        // Everything, nothing, what came first, or any of it.
        let fate = dice.roll(4);
        let until = dice.index(self.pending.len() + 1);
        let mut fates = HashMap::new();
        let happened: Vec<bool> = self
            .pending
            .iter()
            .enumerate()
            .map(|(at, naming)| {
                let one = match fate {
                    0 => true,
                    1 => false,
                    2 => at < until,
                    _ => dice.percent(50),
                };
                if !naming.rename {
                    return one;
                }
                // The half that gives the new name, if it is still open, comes with the one that takes the old.
                // A new name that is durable already leaves the old one to chance.
                let both = self.pending.iter().filter(|other| other.number == naming.number).count() == 2;
                if both { *fates.entry(naming.number).or_insert(one) } else { one }
            })
            .collect();
        for (naming, happened) in self.pending.iter().zip(happened) {
            if !happened {
                continue;
            }
            match naming.to {
                Some(entry) => names.insert(naming.name.clone(), entry),
                None => names.remove(&naming.name),
            };
        }
        // What lies in a directory that is not there is not there.
        let there = names.clone();
        names.retain(|path, _| {
            path.ancestors().skip(1).all(|above| {
                !self.names.contains_key(above) && !self.durable.contains_key(above)
                    || there.get(above) == Some(&Entry::Directory)
            })
        });
        names
    }
}

impl Content {
    /// What is left of the bytes.
    fn torn(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        // Everything, nothing, what came first and a part of the next, or any part of anything.
        let (fate, share) = (dice.roll(4), dice.roll(101));
        let until = dice.index(self.pending.len() + 1);
        // A file may be longer than its bytes arrived: zeroes there, or what lay in those sectors before.
        let fill = if dice.percent(50) { 0xa5 } else { 0 };
        for (at, (_, change)) in self.pending.iter().enumerate() {
            let kept = match fate {
                0 => 100,
                1 => 0,
                2 if at < until => 100,
                2 if at > until => 0,
                _ => share,
            };
            match change {
                Change::Cut(length) => {
                    if dice.percent(kept) {
                        bytes.resize(usize::try_from(*length).unwrap(), 0);
                    }
                }
                Change::Write(offset, new) => {
                    let offset = usize::try_from(*offset).unwrap();
                    let mut from = 0;
                    while from < new.len() {
                        let to = ((offset + from) / SECTOR * SECTOR + SECTOR - offset).min(new.len());
                        if dice.percent(kept) {
                            if bytes.len() < offset + to {
                                bytes.resize(offset + to, fill);
                            }
                            bytes[offset + from..offset + to].copy_from_slice(&new[from..to]);
                        }
                        from = to;
                    }
                    if fate == 3 && dice.percent(25) && bytes.len() < offset + new.len() {
                        bytes.resize(offset + new.len(), fill);
                    }
                }
            }
        }
        bytes
    }
}

impl Watcher for Disk {
    fn before(&self, step: &Step<'_>) -> io::Result<u64> {
        match step {
            Step::CreateDirectory(path)
            | Step::CreateFile(path)
            | Step::Remove(path)
            | Step::SyncDirectory(path)
            | Step::Rename(path, _)
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
                    Step::SyncFile(file) => {
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

    fn after(&self, step: &Step<'_>, number: u64) {
        let mut account = self.account();
        if account.lies == Some(Kind::of(step)) {
            return;
        }
        match step {
            Step::CreateDirectory(path) if self.is_ours(path) => {
                account.name(path, Some(Entry::Directory), number, false);
            }
            Step::CreateFile(path) if self.is_ours(path) => {
                let Ok(metadata) = fs::metadata(path) else { return };
                account.contents.push(Content::default());
                let file = account.contents.len() - 1;
                account.files.insert(metadata.ino(), file);
                account.name(path, Some(Entry::File(file)), number, false);
            }
            // What was written while the sync was under way may not be covered.
            Step::SyncFile(file) => {
                if let Some(file) = account.file(file) {
                    account.contents[file].settle(number);
                }
            }
            Step::SyncDirectory(path) if self.is_ours(path) => {
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

impl Content {
    /// What came before `number` is durable.
    fn settle(&mut self, number: u64) {
        let (covered, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.pending).into_iter().partition(|(at, _)| *at < number);
        for (_, change) in covered {
            match change {
                Change::Cut(length) => self.durable.resize(usize::try_from(length).unwrap(), 0),
                Change::Write(offset, bytes) => {
                    let (from, to) = (usize::try_from(offset).unwrap(), bytes.len());
                    if self.durable.len() < from + to {
                        self.durable.resize(from + to, 0);
                    }
                    self.durable[from..from + to].copy_from_slice(&bytes);
                }
            }
        }
        self.pending = rest;
    }
}
