//! What is remembered before something is sent: of all that is sent at the same time, in one transaction.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::trouble::Trouble;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, MirrorNote, MirrorNotes, VersionNote};
use crate::application::ports::sink::Undelivered;

/// Notes of one transaction.
const TOGETHER_MAX: usize = 64;

type Asked = (Note, oneshot::Sender<Result<(), String>>);

/// What is remembered of a key, of one of its versions, or of both.
#[derive(Clone)]
pub(super) struct Note {
    pub(super) key: Option<MirrorNote>,
    pub(super) version: Option<VersionNote>,
}

impl From<MirrorNote> for Note {
    fn from(note: MirrorNote) -> Self {
        Self { key: Some(note), version: None }
    }
}

impl From<VersionNote> for Note {
    fn from(note: VersionNote) -> Self {
        Self { key: None, version: Some(note) }
    }
}

/// Writes notes.
pub(super) struct Notes(mpsc::Sender<Asked>);

impl Notes {
    pub(super) fn new(metadata: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>) -> Self {
        let (sender, receiver) = mpsc::channel(TOGETHER_MAX);
        tokio::spawn(write(metadata, clock, receiver));
        Self(sender)
    }

    /// Durable when this returns.
    pub(super) async fn write(&self, note: impl Into<Note>) -> Result<(), Trouble> {
        let away = |why: String| Trouble::Undelivered(Undelivered::Away(format!("this store: {why}")));
        let (reply, answer) = oneshot::channel();
        self.0.send((note.into(), reply)).await.map_err(|_| away("it is stopping".to_owned()))?;
        answer.await.map_err(|_| away("it is stopping".to_owned()))?.map_err(away)
    }
}

async fn write(metadata: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>, mut receiver: mpsc::Receiver<Asked>) {
    let mut asked: Vec<Asked> = Vec::new();
    while receiver.recv_many(&mut asked, TOGETHER_MAX).await > 0 {
        let (mut notes, mut replies) = (MirrorNotes::default(), Vec::new());
        for (note, reply) in asked.drain(..) {
            notes.keys.extend(note.key);
            notes.versions.extend(note.version);
            replies.push(reply);
        }
        let written = metadata.note_mirrored(&notes, clock.now()).await.map_err(|error| error.to_string());
        for reply in replies {
            // Who gave up waiting looks again later.
            let _ = reply.send(written.clone());
        }
    }
}
