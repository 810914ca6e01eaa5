//! The ports, method by method: each hands over to the file that knows.

mod catalogue;
mod identity;
mod mirrors;
mod objects;
mod outbox;
mod spaces;
mod upkeep;
mod upstreams;

use std::sync::Arc;

use async_trait::async_trait;

use crate::application::ports::metadata::{MetadataError, MetadataStore};
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::read::usage;
use crate::infrastructure::metadata::session::fence::Fence;

type Answer<T> = Result<T, MetadataError>;

#[async_trait]
impl MetadataStore for SqlMetadata {
    async fn check(&self) -> Answer<()> {
        Ok(usage::check(&self.db).await?)
    }

    async fn size(&self) -> Answer<u64> {
        Ok(usage::size(&self.db).await?)
    }

    fn under_lease(&self, name: &'static str) -> Arc<dyn MetadataStore> {
        let fence = Fence::new(name, self.held.clone());
        Arc::new(Self { db: self.db.fenced(fence), ..self.clone() })
    }

    async fn close(&self) {
        self.db.close().await;
    }
}
