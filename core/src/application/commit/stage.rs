//! Where a stage of group commit runs.
//!
//! On a thread of its own a stage does its file I/O right there, and whoever has something for it wakes that thread: one
//! hand-over. As a task it is woken through the scheduler of the runtime, which wakes a worker, which may wake another one;
//! and its file I/O goes to a third thread and back.

use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::threads;

/// What a stage runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunsOn {
    /// A task of the runtime: where what it waits for comes out of sockets, or order is decided by a test.
    Task,
    /// A thread of its own, which may block.
    Thread,
}

/// A stage that runs.
pub(super) enum Stage {
    Task(JoinHandle<()>),
    Thread { abort: CancellationToken, ended: oneshot::Receiver<()> },
}

impl Stage {
    /// Starts it. Needs a tokio runtime. Where no thread can be had it is a task.
    pub(super) fn start(on: RunsOn, name: &str, stage: impl Future<Output = ()> + Send + 'static) -> Self {
        match on {
            RunsOn::Task => Self::Task(tokio::spawn(stage)),
            RunsOn::Thread => Self::on_thread(name, stage),
        }
    }

    fn on_thread(name: &str, stage: impl Future<Output = ()> + Send + 'static) -> Self {
        let (abort, runtime) = (CancellationToken::new(), Handle::current());
        let (end, ended) = oneshot::channel();
        let aborted = abort.clone();
        // Handed over once the thread is there: it may be that there is none.
        let (hand_over, handed_over) = std::sync::mpsc::channel();
        let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let Ok(stage) = handed_over.recv() else { return };
            threads::may_block_here();
            runtime.block_on(aborted.run_until_cancelled_owned(stage));
            let _ = end.send(());
        });
        match started {
            Ok(_) => {
                // It waits for this.
                let _ = hand_over.send(stage);
                Self::Thread { abort, ended }
            }
            Err(error) => {
                tracing::warn!(%error, name, "no thread for a stage of commits: it shares those of the requests");
                Self::Task(tokio::spawn(stage))
            }
        }
    }

    /// Stops it where it is.
    pub(super) fn abort(&self) {
        match self {
            Self::Task(task) => task.abort(),
            Self::Thread { abort, .. } => abort.cancel(),
        }
    }

    /// Waits for its end.
    pub(super) async fn ended(self, name: &str) {
        match self {
            Self::Task(task) => {
                if let Err(error) = task.await {
                    tracing::error!(%error, name, "commit task ended badly");
                }
            }
            Self::Thread { ended, .. } => {
                if ended.await.is_err() {
                    tracing::error!(name, "commit thread ended badly");
                }
            }
        }
    }
}
