//! The ports, method by method: each hands over to the file that knows.

mod catalogue;
mod identity;
mod objects;
mod outbox;
mod spaces;
mod upkeep;
mod upstreams;

use async_trait::async_trait;

use crate::application::ports::metadata::{MetadataError, MetadataStore};
use crate::infrastructure::metadata::SqlMetadata;
use crate::infrastructure::metadata::read::usage;

type Answer<T> = Result<T, MetadataError>;

#[async_trait]
impl MetadataStore for SqlMetadata {
    async fn check(&self) -> Answer<()> {
        Ok(usage::check(&self.db).await?)
    }

    async fn size(&self) -> Answer<u64> {
        Ok(usage::size(&self.db).await?)
    }

    async fn close(&self) {
        self.db.close().await;
    }
}
