//! Credentials that lie in files, and are read again: whoever mounts them may change them while the program runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error, Result};
use tokio::sync::Mutex;

/// How long what was read holds.
const HOLDS: Duration = Duration::from_secs(10);

/// A value, or the file that it lies in.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    Given(String),
    InFile(PathBuf),
}

/// An access key, of which a part lies in files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct FileCredentials {
    pub(super) key_id: Secret,
    pub(super) secret_key: Secret,
    pub(super) token: Option<Secret>,
}

impl Secret {
    async fn read(&self) -> Result<String> {
        match self {
            Self::Given(value) => Ok(value.clone()),
            Self::InFile(path) => {
                let read = tokio::fs::read_to_string(path).await;
                let read = read.map_err(|error| Error::Generic {
                    store: "credentials",
                    source: format!("cannot read {}: {error}", path.display()).into(),
                })?;
                Ok(read.trim().to_owned())
            }
        }
    }
}

impl FileCredentials {
    async fn read(&self) -> Result<AwsCredential> {
        let token = match &self.token {
            Some(token) => Some(token.read().await?),
            None => None,
        };
        Ok(AwsCredential {
            key_id: self.key_id.read().await?,
            secret_key: self.secret_key.read().await?,
            token,
        })
    }
}

/// Reads them again from time to time.
pub(super) struct Reread {
    files: FileCredentials,
    last: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl Reread {
    pub(super) fn new(files: FileCredentials) -> Self {
        Self { files, last: Mutex::default() }
    }
}

impl std::fmt::Debug for Reread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reread")
    }
}

#[async_trait]
impl CredentialProvider for Reread {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        if let Some((read_at, credential)) = &*last
            && read_at.elapsed() < HOLDS
        {
            return Ok(credential.clone());
        }
        let credential = match (self.files.read().await, &*last) {
            (Ok(credential), _) => Arc::new(credential),
            // A file that is being replaced: those that held may hold still, and are refused where they do not.
            (Err(error), Some((_, credential))) => {
                tracing::warn!(%error, "the credentials of a tier cannot be read again");
                credential.clone()
            }
            (Err(error), None) => return Err(error),
        };
        *last = Some((Instant::now(), credential.clone()));
        Ok(credential)
    }
}
