//! The world of the model: rows, files, and who works on them. One step is one transaction, or one call to the
//! file system.

/// How often each may act.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crew {
    pub(crate) writers: [u8; 2],
    pub(crate) deletes: u8,
    pub(crate) copies: u8,
    pub(crate) uploads: u8,
    pub(crate) moves: u8,
    pub(crate) reads: u8,
    /// Power cuts.
    pub(crate) cuts: u8,
    /// Writers taken for dead while they live.
    pub(crate) deaths: u8,
    /// Clients that go away in the middle of an upload.
    pub(crate) vanish: u8,
}

/// The protocol's rules; each can be taken away.
#[allow(clippy::struct_excessive_bools, reason = "each stands for a rule, not for a state")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// A segment's row comes before its file (`announce`, `open_segment`).
    pub(crate) register_first: bool,
    /// Bytes are durable before the transaction that names them (`durable::publish`, then `commit`).
    pub(crate) sync_before_commit: bool,
    /// A commit finds its segment open and its own (`Batch::fence`).
    pub(crate) fence: bool,
    /// A copy finds its source's row (`content::existing`, and the foreign key).
    pub(crate) copies_check: bool,
    /// Names are never given twice (`SegmentId::fresh`).
    pub(crate) fresh_names: bool,
    /// Garbage is found by rows, never by looking for files (`condemned`).
    pub(crate) collect_by_rows: bool,
    /// Whether anything refers to a blob is asked in the transaction that deletes it (`Sweep::judge`).
    pub(crate) judge_under_lock: bool,
    /// A segment's row is forgotten only once its removal is durable (`SegmentStore::delete`).
    pub(crate) sync_removal: bool,
    /// A relocation finds the blob where its bytes were copied from (`relocate::point`).
    pub(crate) moves_compare: bool,
    /// A writer whose segment was taken over and forgotten removes its file (`remove_if_nobodys`).
    pub(crate) refused_remove: bool,
    /// Who misses bytes asks where they lie now (`Store::open_extent`).
    pub(crate) readers_look_again: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            register_first: true,
            sync_before_commit: true,
            fence: true,
            copies_check: true,
            fresh_names: true,
            collect_by_rows: true,
            judge_under_lock: true,
            sync_removal: true,
            moves_compare: true,
            refused_remove: true,
            readers_look_again: true,
        }
    }
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accident {
    /// An object, a part or a row that waits for GC refers to a blob that has no row.
    DanglingReference,
    /// A blob lies in a segment that is about to be removed.
    CondemnedReference,
    /// A blob that is referred to lies in a segment whose bytes are not all there, or would not be after a cut.
    RowWithoutBytes,
    /// A reader did not find the bytes of an object that is there.
    ReadFailed,
    /// If everybody stopped, something would stay for ever.
    Leak,
}

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

    /// A name for new bytes. Nobody has it, and nobody who is under way still means an earlier bearer.
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

    /// `remove_if_nobodys`: whoever took over may have had nothing to remove yet, and be about to forget it.
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
        self.mishaps(rules, &mut steps);
        steps
    }

    fn write(&self, writer: u8, rules: &Rules, steps: &mut Steps) {
        let at = usize::from(writer);
        let who = Who::Writer(writer);
        if self.writers[at] == Write::Idle && self.left.writers[at] > 0 {
            for key in 0..KEYS {
                for content in 0..CONTENTS {
                    self.begin(who, key, content, rules, steps, |next, write| {
                        next.left.writers[at] -= 1;
                        next.writers[at] = write;
                    });
                }
            }
            return;
        }
        self.proceed(
            who,
            self.writers[at],
            rules,
            steps,
            |next, write| next.writers[at] = write,
            |next, key, reference| {
                next.replace(key, reference);
            },
        );
    }

    fn upload(&self, rules: &Rules, steps: &mut Steps) {
        if self.uploader == Write::Idle && self.part == Reference::Nothing && self.left.uploads > 0 {
            for content in 0..CONTENTS {
                self.begin(Who::Uploader, 0, content, rules, steps, |next, write| {
                    next.left.uploads -= 1;
                    next.uploader = write;
                });
            }
        }
        let put = |next: &mut Self, _, reference| next.part = reference;
        self.proceed(Who::Uploader, self.uploader, rules, steps, |next, write| next.uploader = write, put);
        if self.part != Reference::Nothing {
            for key in 0..KEYS {
                let mut next = self.clone();
                let part = std::mem::replace(&mut next.part, Reference::Nothing);
                next.replace(key, part);
                steps.push((format!("the upload is completed as key {key}"), next));
            }
            let mut next = self.clone();
            next.part_expires();
            steps.push(("the upload is aborted".to_owned(), next));
        }
    }

    /// `Ingest` begins: the row, then the file.
    fn begin(
        &self,
        who: Who,
        key: u8,
        content: u8,
        rules: &Rules,
        steps: &mut Steps,
        set: impl Fn(&mut Self, Write),
    ) {
        let Some(segment) = self.fresh(content, rules) else { return };
        let mut next = self.clone();
        if rules.register_first {
            next.segment(segment).row = Row::Open(who);
            next.segment(segment).content = content;
            set(&mut next, Write::Registered { key, segment });
            steps.push((
                format!("{who:?} registers segment {segment} for content {content}, key {key}"),
                next,
            ));
        } else {
            *next.segment(segment) = Segment { row: Row::None, file: File::Volatile, content, torn: false };
            set(&mut next, Write::Written { key, segment });
            steps.push((format!("{who:?} writes segment {segment} for content {content}, key {key}"), next));
        }
    }

    /// A write goes on: bytes, sync, commit.
    fn proceed(
        &self,
        who: Who,
        write: Write,
        rules: &Rules,
        steps: &mut Steps,
        set: impl Fn(&mut Self, Write),
        put: impl Fn(&mut Self, u8, Reference),
    ) {
        let mut next = self.clone();
        match write {
            Write::Idle => {}
            Write::Registered { key, segment } => {
                let content = next.segment(segment).content;
                // Who was condemned meanwhile does not know, and writes all the same.
                next.segment(segment).file = File::Volatile;
                next.segment(segment).content = content;
                set(&mut next, Write::Written { key, segment });
                steps.push((format!("{who:?} writes segment {segment}"), next));
            }
            Write::Written { key, segment } => {
                if !rules.register_first && next.segment(segment).row == Row::None {
                    next.segment(segment).row = Row::Open(who);
                }
                if !rules.sync_before_commit {
                    let mut hasty = next.clone();
                    hasty.commit(who, key, segment, rules, &set, &put);
                    steps.push((format!("{who:?} commits segment {segment}, not synced"), hasty));
                }
                if next.segment(segment).file != File::Volatile {
                    // Removed by the collector: the rename fails, and with it the write.
                    set(&mut next, Write::Idle);
                    steps.push((format!("{who:?} finds segment {segment} gone"), next));
                    return;
                }
                next.segment(segment).file = File::Durable;
                set(&mut next, Write::Synced { key, segment });
                steps.push((format!("{who:?} syncs segment {segment}"), next));
            }
            Write::Synced { key, segment } => {
                next.commit(who, key, segment, rules, &set, &put);
                steps.push((format!("{who:?} commits segment {segment} as key {key}"), next));
            }
        }
    }

    fn commit(
        &mut self,
        who: Who,
        key: u8,
        segment: u8,
        rules: &Rules,
        set: &impl Fn(&mut Self, Write),
        put: &impl Fn(&mut Self, u8, Reference),
    ) {
        if let Some(reference) = self.place(who, segment, rules) {
            put(self, key, reference);
        } else if rules.refused_remove {
            self.remove_if_nobodys(segment);
        }
        set(self, Write::Idle);
    }

    fn delete(&self, steps: &mut Steps) {
        if self.left.deletes == 0 {
            return;
        }
        for key in 0..KEYS {
            if self.objects[usize::from(key)] != Reference::Nothing {
                let mut next = self.clone();
                next.left.deletes -= 1;
                next.replace(key, Reference::Nothing);
                steps.push((format!("key {key} is deleted"), next));
            }
        }
    }

    fn copy(&self, rules: &Rules, steps: &mut Steps) {
        if let Some((content, generation)) = self.copier {
            for key in 0..KEYS {
                let mut next = self.clone();
                next.copier = None;
                let there = next.blob(content).is_some_and(|blob| blob.generation == generation);
                if there || !rules.copies_check {
                    next.replace(key, Reference::Blob { content, generation });
                }
                steps.push((format!("the copier refers to content {content} as key {key}"), next));
            }
        } else if self.left.copies > 0 {
            for key in 0..KEYS {
                if let Reference::Blob { content, generation } = self.objects[usize::from(key)] {
                    let mut next = self.clone();
                    next.left.copies -= 1;
                    next.copier = Some((content, generation));
                    steps.push((format!("the copier looks up key {key}"), next));
                }
            }
        }
    }

    /// `Rewriter`: copies, then points.
    fn relocate(&self, rules: &Rules, steps: &mut Steps) {
        let mut next = self.clone();
        match self.mover {
            Move::Idle if self.left.moves > 0 => {
                for content in 0..CONTENTS {
                    let Some(from) = self.blobs[usize::from(content)] else { continue };
                    let Some(to) = self.fresh(content, rules) else { continue };
                    let mut next = self.clone();
                    next.left.moves -= 1;
                    *next.segment(to) =
                        Segment { row: Row::Open(Who::Mover), file: File::None, content, torn: false };
                    next.mover = Move::Copying { content, from, to };
                    steps.push((format!("the mover begins segment {to} for content {content}"), next));
                }
            }
            Move::Idle => {}
            Move::Copying { content, from, to } => {
                let source = self.segments[usize::from(from.segment)];
                if matches!(source.file, File::Durable | File::Volatile) && source.content == content {
                    next.segment(to).file = File::Volatile;
                    next.mover = Move::Written { content, from, to };
                    steps.push((format!("the mover copies segment {} to {to}", from.segment), next));
                } else {
                    // `settle_segment(None)`; the leaf is quarantined only if it still lies there.
                    if next.segment(to).row == Row::Open(Who::Mover) {
                        next.segment(to).row = Row::Condemned;
                    }
                    next.mover = Move::Idle;
                    if self.blobs[usize::from(content)] == Some(from) {
                        next.reader = Read::Failed;
                    }
                    steps.push((format!("the mover finds segment {} gone", from.segment), next));
                }
            }
            Move::Written { content, from, to } => {
                if next.segment(to).file == File::Volatile {
                    next.segment(to).file = File::Durable;
                    next.mover = Move::Synced { content, from, to };
                    steps.push((format!("the mover syncs segment {to}"), next));
                } else {
                    next.mover = Move::Idle;
                    steps.push((format!("the mover finds segment {to} gone"), next));
                }
            }
            Move::Synced { content, from, to } => {
                next.mover = Move::Idle;
                if !rules.fence || next.segment(to).row == Row::Open(Who::Mover) {
                    if next.segment(to).row == Row::Open(Who::Mover) {
                        next.segment(to).row = Row::Sealed;
                    }
                    let now = *next.blob(content);
                    let there = if rules.moves_compare { now == Some(from) } else { now.is_some() };
                    if there {
                        if let Some(blob) = next.blob(content) {
                            blob.segment = to;
                        }
                        next.condemn(from.segment);
                    }
                    next.condemn(to);
                } else if rules.refused_remove {
                    next.remove_if_nobodys(to);
                }
                steps.push((format!("the mover points content {content} at segment {to}"), next));
            }
        }
    }

    fn read(&self, rules: &Rules, steps: &mut Steps) {
        match self.reader {
            Read::Idle if self.left.reads > 0 => {
                for key in 0..KEYS {
                    let Reference::Blob { content, .. } = self.objects[usize::from(key)] else { continue };
                    let Some(blob) = self.blobs[usize::from(content)] else { continue };
                    let mut next = self.clone();
                    next.left.reads -= 1;
                    next.reader = Read::Located { content, blob };
                    steps.push((format!("a reader looks up key {key}"), next));
                }
            }
            Read::Located { content, blob } => {
                let segment = self.segments[usize::from(blob.segment)];
                let mut next = self.clone();
                let found = matches!(segment.file, File::Durable | File::Volatile);
                next.reader = if found {
                    if segment.content == content && !segment.torn { Read::Idle } else { Read::Failed }
                } else {
                    match self.blobs[usize::from(content)].filter(|now| now.generation == blob.generation) {
                        // Deleted and collected since: that is no damage.
                        None => Read::Idle,
                        Some(now) if now != blob && rules.readers_look_again => {
                            Read::Located { content, blob: now }
                        }
                        Some(_) => Read::Failed,
                    }
                };
                steps.push((format!("the reader opens segment {}", blob.segment), next));
            }
            Read::Idle | Read::Failed => {}
        }
    }

    fn collect(&self, rules: &Rules, steps: &mut Steps) {
        for (at, &(content, _)) in self.deleting.iter().enumerate() {
            if at > 0 && self.deleting[at - 1] == self.deleting[at] {
                continue;
            }
            let mut next = self.clone();
            next.deleting.remove(at);
            next.candidates[usize::from(content)] = true;
            steps.push((format!("a deleted row of content {content} is purged"), next));
        }
        let mut next = self.clone();
        match self.collector {
            Collect::Idle => self.collect_next(rules, steps),
            Collect::Listed { content } => {
                next.judge(content, Some(true));
                next.collector = Collect::Idle;
                steps.push((format!("content {content}, not in the old listing, is swept"), next));
            }
            Collect::Unlinked { segment } => {
                next.segment(segment).file = File::None;
                next.collector = Collect::Forget { segment };
                steps.push((format!("the removal of segment {segment} is synced"), next));
            }
            Collect::Forget { segment } => {
                next.segment(segment).row = Row::None;
                if next.segment(segment).file == File::None {
                    *next.segment(segment) = FREE;
                }
                next.collector = Collect::Idle;
                steps.push((format!("segment {segment} is forgotten"), next));
            }
            Collect::Stray { segment } => {
                next.segment(segment).file = File::None;
                next.collector = Collect::Idle;
                steps.push((format!("the stray file {segment} is removed"), next));
            }
        }
    }

    fn collect_next(&self, rules: &Rules, steps: &mut Steps) {
        for content in 0..CONTENTS {
            if !self.candidates[usize::from(content)] {
                continue;
            }
            let mut next = self.clone();
            if rules.judge_under_lock {
                next.judge(content, None);
                steps.push((format!("content {content} is swept"), next));
            } else if let Some(blob) = self.blobs[usize::from(content)]
                && !self.is_referred_to(content, blob.generation)
            {
                next.collector = Collect::Listed { content };
                steps.push((format!("a listing shows no reference to content {content}"), next));
            }
        }
        for name in 0..6_u8 {
            let segment = self.segments[usize::from(name)];
            if segment.row == Row::Condemned {
                let mut next = self.clone();
                next.segment(name).file = match segment.file {
                    File::Durable | File::Unlinked => File::Unlinked,
                    File::Volatile | File::None => File::None,
                };
                next.collector = if rules.sync_removal {
                    Collect::Unlinked { segment: name }
                } else {
                    Collect::Forget { segment: name }
                };
                steps.push((format!("segment {name} is unlinked"), next));
            }
            let lives = self.blobs.iter().flatten().any(|blob| blob.segment == name);
            if !rules.collect_by_rows && !lives && segment.file == File::Durable {
                let mut next = self.clone();
                next.collector = Collect::Stray { segment: name };
                steps.push((format!("a listing finds the stray file {name}"), next));
            }
        }
    }

    fn mishaps(&self, rules: &Rules, steps: &mut Steps) {
        let _ = rules;
        if self.left.cuts > 0 {
            // What is not durable may be there, be torn, or be gone: every combination.
            for fate in 0..3_u8.pow(2) {
                steps.push((
                    format!("the power is cut (fate {fate}) and everything starts again"),
                    self.cut(fate),
                ));
            }
        }
        if self.left.deaths > 0 {
            for name in 0..6_u8 {
                if let Row::Open(who) = self.segments[usize::from(name)].row {
                    let mut next = self.clone();
                    next.left.deaths -= 1;
                    next.segment(name).row = Row::Condemned;
                    steps.push((format!("{who:?} is taken for dead"), next));
                }
            }
        }
        if self.left.vanish > 0 {
            for writer in 0..2 {
                let (Write::Registered { segment, .. }
                | Write::Written { segment, .. }
                | Write::Synced { segment, .. }) = self.writers[writer]
                else {
                    continue;
                };
                // `Announced` and `Staged` are dropped: the row is condemned, the staged file removed.
                let mut next = self.clone();
                next.left.vanish -= 1;
                if matches!(next.segment(segment).row, Row::Open(_)) {
                    next.segment(segment).row = Row::Condemned;
                }
                if next.segment(segment).file == File::Volatile {
                    next.segment(segment).file = File::None;
                }
                next.writers[writer] = Write::Idle;
                steps.push((format!("the client of writer {writer} goes away"), next));
            }
        }
    }

    /// A power cut and the start after it. `fate` says what becomes of files that were being written, and of
    /// removals that were not synced; within each kind all share it, and there is rarely more than one of a kind.
    fn cut(&self, fate: u8) -> Self {
        let mut next = self.clone();
        next.left.cuts -= 1;
        next.writers = [Write::Idle; 2];
        next.uploader = Write::Idle;
        next.copier = None;
        next.mover = Move::Idle;
        next.reader = Read::Idle;
        next.collector = Collect::Idle;
        let (written, removed) = (fate % 3, fate / 3);
        for segment in &mut next.segments {
            match segment.file {
                File::Volatile => {
                    segment.file = if written == 0 { File::None } else { File::Durable };
                    segment.torn = written == 1;
                }
                File::Unlinked => segment.file = if removed == 0 { File::None } else { File::Durable },
                File::None | File::Durable => {}
            }
            if matches!(segment.row, Row::Open(_)) {
                segment.row = Row::Condemned;
            }
            if segment.row == Row::None && segment.file == File::None {
                *segment = FREE;
            }
        }
        next
    }
}
