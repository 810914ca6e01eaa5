//! Who acts in a world and how often, the rules that they keep, and what must not come of it.

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
