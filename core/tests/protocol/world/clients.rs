//! What clients do: write, upload in parts, delete, copy, read.

use super::{CONTENTS, File, KEYS, Read, Reference, Row, Segment, Steps, Who, World, Write};
use crate::rules::Rules;

impl World {
    pub(super) fn write(&self, writer: u8, rules: &Rules, steps: &mut Steps) {
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

    pub(super) fn upload(&self, rules: &Rules, steps: &mut Steps) {
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

    pub(super) fn delete(&self, steps: &mut Steps) {
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

    pub(super) fn copy(&self, rules: &Rules, steps: &mut Steps) {
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

    pub(super) fn read(&self, rules: &Rules, steps: &mut Steps) {
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
}
