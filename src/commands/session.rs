//! The store that a command opens.

use juststorage_core::application::commit::CommitterTasks;
use juststorage_core::application::pools::Pools;
use juststorage_core::application::ports::metadata::WriterId;
use juststorage_core::application::store::Store;
use juststorage_core::domain::principal::Principal;
use uuid::Uuid;

use crate::compose::Parts;
use crate::config::StorageConfig;
use crate::exit_error::ExitError;
use crate::serve::home_tenant;

/// The store as a command uses it: for an operator with all rights, possibly beside a server.
pub(super) struct Session {
    pub(super) parts: Parts,
    pub(super) store: Store,
    pub(super) operator: Principal,
    commits: CommitterTasks,
}

impl Session {
    pub(super) async fn open(storage: StorageConfig) -> Result<Self, ExitError> {
        let operator = Principal::unrestricted("operator", home_tenant()?);
        let parts = Parts::open_known(storage).await?;
        // None of these commands stages bytes, so the writer needs no registration.
        let (store, commits) = parts.store(WriterId(Uuid::new_v4()), Pools::default());
        Ok(Self { parts, store, operator, commits })
    }

    pub(super) async fn close(self) {
        self.commits.shut_down().await;
        self.parts.metadata.close().await;
    }
}
