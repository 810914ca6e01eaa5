//! Events that no participant causes: power cuts, writers taken for dead, clients that vanish.

use super::{Collect, FREE, File, Move, Read, Row, Steps, World, Write};

impl World {
    pub(super) fn mishaps(&self, steps: &mut Steps) {
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
