//! The account: what was done to each file and each name, and what of it would survive.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Dice, DurableStep, Kind};

/// What is written whole or not at all, in bytes.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) durable: Vec<u8>,
    /// What was done since, in order, each with its number.
    pub(super) pending: Vec<(u64, Change)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Directory,
    File(usize),
}

/// A change of a directory's names. Both halves of a rename have the same number.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    pub(super) number: u64,
    pub(super) name: PathBuf,
    pub(super) to: Option<Entry>,
    pub(super) rename: bool,
}

#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) next: u64,
    pub(super) contents: Vec<Content>,
    /// By the number that the real file system gave.
    pub(super) files: HashMap<u64, usize>,
    /// As programs see it.
    pub(super) names: BTreeMap<PathBuf, Entry>,
    pub(super) durable: BTreeMap<PathBuf, Entry>,
    pub(super) pending: Vec<Naming>,
    pub(super) steps: Vec<Kind>,
    pub(super) dies_at: Option<u64>,
    pub(super) fails: Option<(Kind, u64)>,
    /// A step of this kind is answered well and does nothing.
    pub(super) lies: Option<Kind>,
    pub(super) dead: bool,
    /// The step in whose midst the power went, and the names before it.
    pub(super) last: Option<(u64, BTreeMap<PathBuf, Entry>)>,
}

impl Account {
    pub(super) fn revive(&mut self) {
        self.dead = false;
        self.dies_at = None;
        self.fails = None;
    }

    pub(super) fn file(&self, file: &File) -> Option<usize> {
        self.files.get(&file.metadata().ok()?.ino()).copied()
    }

    pub(super) fn name(&mut self, path: &Path, to: Option<Entry>, number: u64, rename: bool) {
        match to {
            Some(entry) => self.names.insert(path.to_path_buf(), entry),
            None => self.names.remove(path),
        };
        self.pending.push(Naming { number, name: path.to_path_buf(), to, rename });
    }

    /// Writes down what a step may do from now on, whether or not it is taken to its end.
    pub(super) fn note(&mut self, step: &DurableStep<'_>, number: u64) {
        match step {
            DurableStep::Write(file, offset, slices) => {
                if let Some(file) = self.file(file) {
                    let mut bytes = Vec::with_capacity(slices.iter().map(|slice| slice.len()).sum());
                    slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
                    self.contents[file].pending.push((number, Change::Write(*offset, bytes)));
                }
            }
            DurableStep::Cut(file, length) => {
                if let Some(file) = self.file(file) {
                    self.contents[file].pending.push((number, Change::Cut(*length)));
                }
            }
            DurableStep::Rename(from, to) => {
                if let Some(entry) = self.names.get(*from).copied() {
                    self.name(from, None, number, true);
                    self.name(to, Some(entry), number, true);
                }
            }
            DurableStep::Remove(path) => {
                if self.names.contains_key(*path) {
                    self.name(path, None, number, false);
                }
            }
            DurableStep::CreateDirectory(_)
            | DurableStep::CreateFile(_)
            | DurableStep::SyncFile(_)
            | DurableStep::SyncDirectory(_)
            | DurableStep::Commit
            | DurableStep::Committed
            | DurableStep::Request
            | DurableStep::Answer => {}
        }
    }

    /// The names that are left.
    pub(super) fn survivors(&self, dice: &mut Dice) -> BTreeMap<PathBuf, Entry> {
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
    pub(super) fn torn(&self, dice: &mut Dice) -> Vec<u8> {
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

    /// What came before `number` is durable.
    pub(super) fn settle(&mut self, number: u64) {
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
