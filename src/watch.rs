//! Files that are read again when they change: signing keys and certificates, which expire while the server runs.
//!
//! Their content is compared once a second. Change notifications are faster, but miss some replacements (a symbolic
//! link two directories above, a network file system), and these files are small.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Interval between two checks.
const EVERY: Duration = Duration::from_secs(1);

/// Longest file, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// Watches files until it is ended or dropped.
pub struct Watch(tokio_util::sync::DropGuard);

impl Default for Watch {
    fn default() -> Self {
        Self(CancellationToken::new().drop_guard())
    }
}

impl Watch {
    /// Calls `changed` whenever the content of one of `files` differs from before, at first from `known`. If it
    /// refuses the content, or a file cannot be read, this is logged, and the old content stays in force.
    pub fn follow<const N: usize>(
        &self,
        files: [PathBuf; N],
        known: [String; N],
        changed: impl Fn(&[String; N]) -> Result<(), String> + Send + Sync + 'static,
    ) {
        let stopped = self.0.token().clone();
        let paths = files.each_ref().map(|path| path.display().to_string()).join(", ");
        tokio::spawn(async move {
            let mut known = known;
            let mut complaint = None;
            let mut ticks = tokio::time::interval(EVERY);
            while stopped.run_until_cancelled(ticks.tick()).await.is_some() {
                let files = files.clone();
                let read = tokio::task::spawn_blocking(move || read(files.each_ref())).await;
                let outcome = match read.map_err(|error| error.to_string()).flatten() {
                    Ok(now) if now == known => Ok(()),
                    Ok(now) => changed(&now).map(|()| {
                        tracing::info!(files = paths, "read again");
                        known = now;
                    }),
                    Err(error) => Err(error),
                };
                // Said once, and not every second.
                if let Err(error) = &outcome
                    && complaint.as_ref() != Some(error)
                {
                    tracing::error!(
                        files = paths,
                        error,
                        "files could not be read again; their old content stays in force"
                    );
                }
                complaint = outcome.err();
            }
        });
    }

    /// Runs `work` until it ends, or the watch does.
    pub fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.0.token().clone();
        tokio::spawn(async move { stopped.run_until_cancelled(work).await });
    }

    /// Ends the watch.
    pub fn end(self) {
        drop(self);
    }
}

/// The contents of `files`. The error names the unreadable one and the reason.
pub fn read<const N: usize>(files: [&PathBuf; N]) -> Result<[String; N], String> {
    let mut texts = [const { String::new() }; N];
    for (text, file) in texts.iter_mut().zip(files) {
        *text = read_one(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    }
    Ok(texts)
}

fn read_one(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}
