//! Secrets of event targets, sealed as those of credentials are.

use super::authenticate::Access;
use crate::application::error::{Error, Result};
use crate::domain::event::TargetName;

/// What a secret is bound to: no credential is looked up by a name with a slash.
fn lookup(name: &TargetName) -> String {
    format!("event-target/{name}")
}

impl Access {
    /// The secret of a target, as it is stored.
    pub(crate) fn seal_target_secret(&self, name: &TargetName, secret: &str) -> Result<Vec<u8>> {
        self.master_keys.seal(&lookup(name), secret.as_bytes()).ok_or(Error::Internal)
    }

    /// The secret of a target; `None` if neither master key opens what is stored.
    pub fn open_target_secret(&self, name: &TargetName, sealed: &[u8]) -> Option<Vec<u8>> {
        self.master_keys.open(&lookup(name), sealed)
    }

    /// Seals the secrets of all targets with the current master key. Returns how many were sealed with the previous one until
    /// now, and the targets whose secret neither opens.
    pub(super) async fn reseal_targets(&self) -> Result<(u64, Vec<TargetName>)> {
        let (mut resealed, mut lost) = (0, Vec::new());
        for mut target in self.metadata.outbox_targets().await? {
            let Some(sealed) = &target.secret else { continue };
            if self.master_keys.is_current(&lookup(&target.name), sealed) {
                continue;
            }
            let Some(secret) = self.open_target_secret(&target.name, sealed) else {
                lost.push(target.name);
                continue;
            };
            let sealed = self.master_keys.seal(&lookup(&target.name), &secret).ok_or(Error::Internal)?;
            target.secret = Some(sealed);
            self.metadata.put_outbox_target(&target).await?;
            resealed += 1;
        }
        Ok((resealed, lost))
    }
}
