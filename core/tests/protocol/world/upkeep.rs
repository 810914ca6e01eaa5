//! What upkeep does: moves bytes, and removes what nothing refers to.

use super::{CONTENTS, Collect, FREE, File, Move, Read, Row, Segment, Steps, Who, World};
use crate::rules::Rules;

impl World {
    /// `Rewriter`: copies, then points.
    pub(super) fn relocate(&self, rules: &Rules, steps: &mut Steps) {
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

    pub(super) fn collect(&self, rules: &Rules, steps: &mut Steps) {
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
}
