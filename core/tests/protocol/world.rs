//! The world of the model: rows, files, and who works on them, and what each transaction makes of them. One step is
//! one transaction, or one call to the file system; what may happen next is said by those who do it: clients, upkeep,
//! and chance.

mod clients;
mod mishaps;
mod upkeep;

use crate::rules::{Accident, Crew, Rules};

const KEYS: u8 = 2;
const CONTENTS: u8 = 2;
const SEGMENTS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    None,
    Open(Who),
    Sealed,
    Condemned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum File {
    None,
    /// There, but a power cut may take it.
    Volatile,
    Durable,
    /// Gone, but a power cut may bring it back.
    Unlinked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Segment {
    row: Row,
    file: File,
    content: u8,
    /// Some of its bytes never arrived.
    torn: bool,
}

const FREE: Segment = Segment { row: Row::None, file: File::None, content: 0, torn: false };

/// A blob's row: its id is its generation, since one that is inserted again is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Blob {
    generation: u8,
    segment: u8,
}

/// Who has a segment open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Writer(u8),
    Uploader,
    Mover,
}

/// How far a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Write {
    Idle,
    Registered { key: u8, segment: u8 },
    Written { key: u8, segment: u8 },
    Synced { key: u8, segment: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reference {
    Nothing,
    Blob { content: u8, generation: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Move {
    Idle,
    Copying { content: u8, from: Blob, to: u8 },
    Written { content: u8, from: Blob, to: u8 },
    Synced { content: u8, from: Blob, to: u8 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Read {
    Idle,
    Located { content: u8, blob: Blob },
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Collect {
    Idle,
    /// An old listing said that nothing refers to this content.
    Listed {
        content: u8,
    },
    Unlinked {
        segment: u8,
    },
    Forget {
        segment: u8,
    },
    /// A listing of files found this one without a reference.
    Stray {
        segment: u8,
    },
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    segments: [Segment; SEGMENTS],
    blobs: [Option<Blob>; CONTENTS as usize],
    generations: u8,
    objects: [Reference; KEYS as usize],
    part: Reference,
    /// DELETING rows: they refer to their blob until they go.
    deleting: Vec<(u8, u8)>,
    candidates: [bool; CONTENTS as usize],
    writers: [Write; 2],
    uploader: Write,
    copier: Option<(u8, u8)>,
    mover: Move,
    reader: Read,
    collector: Collect,
    left: Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Left {
    writers: [u8; 2],
    deletes: u8,
    copies: u8,
    uploads: u8,
    moves: u8,
    reads: u8,
    cuts: u8,
    deaths: u8,
    vanish: u8,
}

type Steps = Vec<(String, World)>;

impl World {
    pub(crate) fn new(crew: Crew) -> Self {
        let Crew { writers, deletes, copies, uploads, moves, reads, cuts, deaths, vanish } = crew;
        Self {
            segments: [FREE; SEGMENTS],
            blobs: [None; CONTENTS as usize],
            generations: 0,
            objects: [Reference::Nothing; KEYS as usize],
            part: Reference::Nothing,
            deleting: Vec::new(),
            candidates: [false; CONTENTS as usize],
            writers: [Write::Idle; 2],
            uploader: Write::Idle,
            copier: None,
            mover: Move::Idle,
            reader: Read::Idle,
            collector: Collect::Idle,
            left: Left { writers, deletes, copies, uploads, moves, reads, cuts, deaths, vanish },
        }
    }

    fn segment(&mut self, segment: u8) -> &mut Segment {
        &mut self.segments[usize::from(segment)]
    }

    fn blob(&mut self, content: u8) -> &mut Option<Blob> {
        &mut self.blobs[usize::from(content)]
    }

    /// A name for new bytes. It is unused, and no operation under way still means an earlier bearer.
    fn fresh(&self, content: u8, rules: &Rules) -> Option<u8> {
        if !rules.fresh_names {
            return Some(content);
        }
        (0..6).find(|&name| self.segments[usize::from(name)] == FREE && !self.is_meant(name))
    }

    fn is_meant(&self, name: u8) -> bool {
        let writes = self.writers.iter().chain([&self.uploader]).any(|write| match write {
            Write::Idle => false,
            Write::Registered { segment, .. }
            | Write::Written { segment, .. }
            | Write::Synced { segment, .. } => *segment == name,
        });
        let moves = match self.mover {
            Move::Idle => false,
            Move::Copying { from, to, .. }
            | Move::Written { from, to, .. }
            | Move::Synced { from, to, .. } => from.segment == name || to == name,
        };
        let reads = matches!(self.reader, Read::Located { blob, .. } if blob.segment == name);
        let collects = match self.collector {
            Collect::Idle | Collect::Listed { .. } => false,
            Collect::Unlinked { segment } | Collect::Forget { segment } | Collect::Stray { segment } => {
                segment == name
            }
        };
        writes || moves || reads || collects
    }

    fn references(&self) -> impl Iterator<Item = (u8, u8)> + '_ {
        let held = self.objects.iter().chain([&self.part]).filter_map(|reference| match reference {
            Reference::Nothing => None,
            Reference::Blob { content, generation } => Some((*content, *generation)),
        });
        held.chain(self.deleting.iter().copied())
    }

    fn is_referred_to(&self, content: u8, generation: u8) -> bool {
        self.references().any(|reference| reference == (content, generation))
    }

    /// What is wrong here, if anything.
    pub(crate) fn accident(&self, rules: &Rules) -> Option<Accident> {
        for (content, generation) in self.references() {
            let Some(blob) = self.blobs[usize::from(content)].filter(|blob| blob.generation == generation)
            else {
                return Some(Accident::DanglingReference);
            };
            let segment = &self.segments[usize::from(blob.segment)];
            if segment.file != File::Durable || segment.torn || segment.content != content {
                return Some(Accident::RowWithoutBytes);
            }
            if segment.row != Row::Sealed {
                return Some(Accident::CondemnedReference);
            }
        }
        if self.reader == Read::Failed {
            return Some(Accident::ReadFailed);
        }
        self.leaks(rules).then_some(Accident::Leak)
    }

    /// Whether recovery and garbage collection alone, from here, leave anything that nothing refers to.
    fn leaks(&self, rules: &Rules) -> bool {
        let mut end = self.clone();
        end.recover();
        for (content, _) in std::mem::take(&mut end.deleting) {
            end.candidates[usize::from(content)] = true;
        }
        for content in 0..CONTENTS {
            end.judge(content, None);
        }
        for segment in &mut end.segments {
            if segment.row == Row::Condemned {
                // Unlinked, made durable, forgotten; without the sync a cut may bring the file back.
                let back = !rules.sync_removal && self.left.cuts > 0;
                *segment = Segment {
                    row: Row::None,
                    file: if back { File::Unlinked } else { File::None },
                    ..*segment
                };
            }
        }
        (0..6_u8).any(|name| {
            let segment = &end.segments[usize::from(name)];
            let lives = end.blobs.iter().flatten().any(|blob| blob.segment == name);
            // A writer that was taken for dead and is about to find out: unless it is killed just then, which is the
            // one leak that is known, it removes what it wrote.
            let stalled = rules.refused_remove && segment.row == Row::None && self.is_meant(name);
            !lives
                && !stalled
                && (segment.row != Row::None || matches!(segment.file, File::Durable | File::Volatile))
        })
    }

    /// `TakeOver`: an open single was never committed.
    fn recover(&mut self) {
        for segment in &mut self.segments {
            if matches!(segment.row, Row::Open(_)) {
                segment.row = Row::Condemned;
            }
        }
        self.part_expires();
    }

    /// `UploadExpiry`.
    fn part_expires(&mut self) {
        if let Reference::Blob { content, .. } = std::mem::replace(&mut self.part, Reference::Nothing) {
            self.candidates[usize::from(content)] = true;
        }
    }

    /// `Sweep::judge`. `unreferenced`: what an old listing said.
    fn judge(&mut self, content: u8, unreferenced: Option<bool>) {
        self.candidates[usize::from(content)] = false;
        let Some(blob) = *self.blob(content) else { return };
        let goes = unreferenced.unwrap_or_else(|| !self.is_referred_to(content, blob.generation));
        if goes {
            *self.blob(content) = None;
            self.condemn(blob.segment);
        }
    }

    /// `condemn_if_empty`.
    fn condemn(&mut self, name: u8) {
        let lives = self.blobs.iter().flatten().any(|blob| blob.segment == name);
        if !lives && self.segment(name).row == Row::Sealed {
            self.segment(name).row = Row::Condemned;
        }
    }

    /// `remove_if_nobodys`: the server that took over may have had nothing to remove yet, and be about to forget it.
    fn remove_if_nobodys(&mut self, name: u8) {
        match self.segment(name).row {
            Row::None => *self.segment(name) = FREE,
            Row::Condemned => self.segment(name).file = File::None,
            Row::Open(_) | Row::Sealed => {}
        }
    }

    /// Retires what a key held: `Batch::retire`.
    fn replace(&mut self, key: u8, with: Reference) {
        let old = std::mem::replace(&mut self.objects[usize::from(key)], with);
        if let Reference::Blob { content, generation } = old {
            self.deleting.push((content, generation));
            self.deleting.sort_unstable();
        }
    }

    /// `content::place_staged` behind `Batch::fence`; `None` if the segment was lost.
    fn place(&mut self, who: Who, name: u8, rules: &Rules) -> Option<Reference> {
        if rules.fence && self.segment(name).row != Row::Open(who) {
            return None;
        }
        let content = self.segment(name).content;
        let generation = if let Some(blob) = *self.blob(content) {
            // Stored already: the staged bytes are dropped.
            if blob.segment != name {
                self.segment(name).row = Row::Condemned;
            }
            blob.generation
        } else {
            if self.segment(name).row == Row::Open(who) {
                self.segment(name).row = Row::Sealed;
            }
            self.generations += 1;
            let generation = self.generations;
            *self.blob(content) = Some(Blob { generation, segment: name });
            generation
        };
        Some(Reference::Blob { content, generation })
    }

    /// Everything that may happen next.
    pub(crate) fn steps(&self, rules: &Rules) -> Steps {
        let mut steps = Vec::new();
        for writer in 0..2_u8 {
            self.write(writer, rules, &mut steps);
        }
        self.upload(rules, &mut steps);
        self.delete(&mut steps);
        self.copy(rules, &mut steps);
        self.relocate(rules, &mut steps);
        self.read(rules, &mut steps);
        self.collect(rules, &mut steps);
        self.mishaps(&mut steps);
        steps
    }
}
