//! What is remembered before something is sent: of all that is sent at the same time, in one transaction.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::trouble::Trouble;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, MirrorNote, MirrorNotes, VersionNote};
use crate::application::ports::sink::Undelivered;
use crate::domain::address::Key;
use crate::domain::object::ObjectId;
use crate::domain::space::SpaceId;

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
pub(super) struct Notes {
    asked: mpsc::Sender<Asked>,
    metadata: Arc<dyn MetadataStore>,
}

impl Notes {
    pub(super) fn new(metadata: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>) -> Self {
        let (sender, receiver) = mpsc::channel(TOGETHER_MAX);
        tokio::spawn(write(metadata.clone(), clock, receiver));
        Self { asked: sender, metadata }
    }

    /// Durable when this returns.
    pub(super) async fn write(&self, note: impl Into<Note>) -> Result<(), Trouble> {
        let (reply, answer) = oneshot::channel();
        self.asked.send((note.into(), reply)).await.map_err(|_| away("it is stopping".to_owned()))?;
        answer.await.map_err(|_| away("it is stopping".to_owned()))?.map_err(away)
    }

    /// Forgets that versions of a key were sent. Once it is begun it is made, also if nobody waits for it any more.
    pub(super) async fn forget(
        &self,
        space: SpaceId,
        key: &Key,
        versions: Vec<ObjectId>,
    ) -> Result<(), Trouble> {
        let (metadata, key) = (self.metadata.clone(), key.clone());
        Ok(to_its_end(async move { metadata.forget_versions(space, &key, &versions).await }).await??)
    }
}

/// Does `work` in a task of its own. A delivery is left where it is while others are acknowledged. If it was left within a
/// transaction, the transaction would stay open, and would keep the acknowledgement from its turn.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Trouble> {
    tokio::spawn(work).await.map_err(|_| away("it is stopping".to_owned()))
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` passes it
fn away(why: String) -> Trouble {
    Trouble::Undelivered(Undelivered::Away(format!("this store: {why}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_is_left_goes_on_to_its_end() {
        let (answer, answered) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let mut waiting = Box::pin(to_its_end(async move {
            let answered = answered.await.is_ok();
            let _ = end.send(answered);
        }));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting);
        let _ = answer.send(());
        assert_eq!(ended.await, Ok(true));
    }
}
