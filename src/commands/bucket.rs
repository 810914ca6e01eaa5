//! `juststorage bucket`.

use axum::http::Method;
use juststorage_core::application::spaces::NewBucket;
use juststorage_core::domain::address::{BucketName, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::space::Bucket;
use serde_json::{Value, json};

use super::output::{Output, cell, rfc3339, table};
use super::session::Session;
use crate::cli::BucketCommand;
use crate::config::StorageConfig;
use crate::exit_error::ExitError;
use crate::remote::{Remote, escaped};

/// Buckets read at a time.
const PAGE: u32 = 1000;

/// Creates, lists or deletes buckets.
pub(super) async fn run(
    storage: StorageConfig,
    command: BucketCommand,
    output: Output,
) -> Result<(), ExitError> {
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

/// As [`run`], on the store of a server.
pub(super) async fn run_remote(
    remote: &Remote,
    command: BucketCommand,
    output: Output,
) -> Result<(), ExitError> {
    const PATH: &str = "/v1/admin/buckets";
    match command {
        BucketCommand::Create { name, namespace, tenant } => {
            let new = json!({
                "name": name.as_str(),
                "namespace": namespace.as_ref().map(Namespace::as_str),
                "tenant": tenant.as_ref().map(Tenant::as_str),
            });
            let made = remote.call(Method::POST, PATH, Some(&new)).await?;
            let text = |field: &str| made[field].as_str().unwrap_or_default();
            output.print(&made, || format!("bucket {name} names {}/{}", text("namespace"), text("tenant")))
        }
        BucketCommand::List { tenant } => {
            let only = tenant.map_or_else(String::new, |tenant| format!("?tenant={tenant}"));
            let found = remote.all(&format!("{PATH}{only}"), "buckets").await?;
            output.print(&Value::Array(found.clone()), || listed(&found))
        }
        BucketCommand::Delete { name } => {
            remote.call(Method::DELETE, &format!("{PATH}/{}", escaped(name.as_str())), None).await?;
            gone(&name, output)
        }
    }
}

async fn create(
    session: &Session,
    name: &BucketName,
    namespace: Option<Namespace>,
    tenant: Option<Tenant>,
    output: Output,
) -> Result<(), ExitError> {
    let namespace = match namespace {
        Some(namespace) => namespace,
        // Every bucket name is a namespace.
        None => Namespace::new(name.as_str()).map_err(|invalid| ExitError::No(invalid.to_string()))?,
    };
    let space = SpaceAddress::new(namespace, tenant.unwrap_or_else(|| session.operator.tenant.clone()));
    let new = NewBucket { space: Some(space), ..NewBucket::default() };
    let bucket = session.store.create_bucket(&session.operator, name, new).await?;
    output.print(&json(&bucket), || format!("bucket {name} names {}", bucket.space.address))
}

async fn list(session: &Session, tenant: Option<&Tenant>, output: Output) -> Result<(), ExitError> {
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
    let shown: Vec<_> = buckets.iter().map(json).collect();
    output.print(&Value::Array(shown.clone()), || listed(&shown))
}

fn listed(buckets: &[Value]) -> String {
    let row =
        |bucket: &Value| ["name", "namespace", "tenant", "created_at"].map(|field| cell(&bucket[field]));
    table(["BUCKET", "NAMESPACE", "TENANT", "CREATED"], &buckets.iter().map(row).collect::<Vec<_>>())
}

fn gone(name: &BucketName, output: Output) -> Result<(), ExitError> {
    output.print(&json!({ "name": name.as_str(), "deleted": true }), || format!("bucket {name} is gone"))
}

async fn delete(session: &Session, name: &BucketName, output: Output) -> Result<(), ExitError> {
    session.store.delete_bucket(&session.operator, name).await?;
    gone(name, output)
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
