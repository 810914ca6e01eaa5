//! What is remembered before something is sent: of all that is sent at the same time, in one transaction.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::trouble::Trouble;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{MetadataStore, MirrorNote};
use crate::application::ports::sink::Undelivered;

/// Notes of one transaction.
const TOGETHER_MAX: usize = 64;

type Asked = (MirrorNote, oneshot::Sender<Result<(), String>>);

/// Writes notes.
pub(super) struct Notes(mpsc::Sender<Asked>);

impl Notes {
    pub(super) fn new(metadata: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>) -> Self {
        let (sender, receiver) = mpsc::channel(TOGETHER_MAX);
        tokio::spawn(write(metadata, clock, receiver));
        Self(sender)
    }

    /// Durable when this returns.
    pub(super) async fn write(&self, note: MirrorNote) -> Result<(), Trouble> {
        let away = |why: String| Trouble::Undelivered(Undelivered::Away(format!("this store: {why}")));
        let (reply, answer) = oneshot::channel();
        self.0.send((note, reply)).await.map_err(|_| away("it is stopping".to_owned()))?;
        answer.await.map_err(|_| away("it is stopping".to_owned()))?.map_err(away)
    }
}

async fn write(metadata: Arc<dyn MetadataStore>, clock: Arc<dyn Clock>, mut receiver: mpsc::Receiver<Asked>) {
    let mut asked: Vec<Asked> = Vec::new();
    while receiver.recv_many(&mut asked, TOGETHER_MAX).await > 0 {
        let (notes, replies): (Vec<_>, Vec<_>) = asked.drain(..).unzip();
        let written = metadata.note_mirrored(&notes, clock.now()).await.map_err(|error| error.to_string());
        for reply in replies {
            // Who gave up waiting looks again later.
            let _ = reply.send(written.clone());
        }
    }
}
