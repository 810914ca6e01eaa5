//! `juststorage bucket`.

use juststorage_core::application::spaces::NewBucket;
use juststorage_core::domain::address::{BucketName, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::space::Bucket;
use serde_json::{Value, json};

use super::Session;
use super::output::{Output, rfc3339, table};
use crate::cli::BucketCommand;
use crate::config::StorageConfig;
use crate::failure::Failure;

/// Buckets read at a time.
const PAGE: u32 = 1000;

/// Creates, lists or deletes buckets.
pub(super) async fn run(
    storage: StorageConfig,
    command: BucketCommand,
    output: Output,
) -> Result<(), Failure> {
    let session = Session::open(storage).await?;
    let result = match command {
        BucketCommand::Create { name, namespace, tenant } => {
            create(&session, &name, namespace, tenant, output).await
        }
        BucketCommand::List { tenant } => list(&session, tenant.as_ref(), output).await,
        BucketCommand::Delete { name } => delete(&session, &name, output).await,
    };
    session.close().await;
    result
}

async fn create(
    session: &Session,
    name: &BucketName,
    namespace: Option<Namespace>,
    tenant: Option<Tenant>,
    output: Output,
) -> Result<(), Failure> {
    let namespace = match namespace {
        Some(namespace) => namespace,
        // Every bucket name is a namespace.
        None => Namespace::new(name.as_str()).map_err(|invalid| Failure::No(invalid.to_string()))?,
    };
    let space = SpaceAddress::new(namespace, tenant.unwrap_or_else(|| session.operator.tenant.clone()));
    let new = NewBucket { space: Some(space), ..NewBucket::default() };
    let bucket = session.store.create_bucket(&session.operator, name, new).await?;
    output.print(&json(&bucket), || format!("bucket {name} names {}", bucket.space.address))
}

async fn list(session: &Session, tenant: Option<&Tenant>, output: Output) -> Result<(), Failure> {
    let mut buckets = Vec::new();
    loop {
        let after = buckets.last().map(|bucket: &Bucket| bucket.name.as_str().to_owned());
        let page = session.store.list_buckets(&session.operator, "", after.as_deref(), PAGE).await?;
        let full = page.len() >= PAGE as usize;
        buckets.extend(page);
        if !full {
            break;
        }
    }
    buckets.retain(|bucket| tenant.is_none_or(|tenant| bucket.space.address.tenant == *tenant));
    output.print(&buckets.iter().map(json).collect(), || {
        let rows: Vec<_> = buckets
            .iter()
            .map(|bucket| {
                let address = &bucket.space.address;
                [
                    bucket.name.to_string(),
                    address.namespace.to_string(),
                    address.tenant.to_string(),
                    rfc3339(bucket.created_at),
                ]
            })
            .collect();
        table(["BUCKET", "NAMESPACE", "TENANT", "CREATED"], &rows)
    })
}

async fn delete(session: &Session, name: &BucketName, output: Output) -> Result<(), Failure> {
    session.store.delete_bucket(&session.operator, name).await?;
    output.print(&json!({ "name": name.as_str(), "deleted": true }), || format!("bucket {name} is gone"))
}

fn json(bucket: &Bucket) -> Value {
    let address = &bucket.space.address;
    json!({
        "name": bucket.name.as_str(),
        "namespace": address.namespace.as_str(),
        "tenant": address.tenant.as_str(),
        "created_at": rfc3339(bucket.created_at),
    })
}
