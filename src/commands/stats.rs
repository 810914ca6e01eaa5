//! `juststorage stats`.

use std::collections::BTreeMap;

use indicatif::HumanBytes;
use juststorage_core::application::ports::metadata::SpaceUsage;
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::storage_class::StorageClass;
use serde_json::{Value, json};

use super::output::{Output, table};
use super::session::Session;
use crate::config::StorageConfig;
use crate::exit_error::ExitError;
use crate::remote::Remote;

/// Figures of a space, or of all.
#[derive(Clone, Copy, Default)]
struct Figures {
    objects: u64,
    logical: u64,
    physical: u64,
    uploads: u64,
    markers: u64,
}

impl Figures {
    fn add(&mut self, usage: &SpaceUsage) {
        self.objects += usage.objects;
        self.logical += usage.logical_bytes;
        self.physical += usage.physical_bytes;
        self.uploads += usage.upload_bytes;
        self.markers += usage.delete_markers;
    }

    /// Bytes that deduplication saves; 0 for a space that stores bytes for others, since it stored them first.
    fn saved(self) -> u64 {
        self.logical.saturating_sub(self.physical)
    }

    fn json(self) -> Value {
        json!({
            "objects": self.objects,
            "logical_bytes": self.logical,
            "physical_bytes": self.physical,
            "saved_bytes": self.saved(),
            "upload_bytes": self.uploads,
            "delete_markers": self.markers,
        })
    }

    fn cells(self, namespace: &str, tenant: &str) -> [String; 8] {
        [
            namespace.to_owned(),
            tenant.to_owned(),
            self.objects.to_string(),
            HumanBytes(self.logical).to_string(),
            HumanBytes(self.physical).to_string(),
            HumanBytes(self.saved()).to_string(),
            HumanBytes(self.uploads).to_string(),
            self.markers.to_string(),
        ]
    }
}

/// Prints the figures of every space, and their sum.
pub(super) async fn run(storage: StorageConfig, output: Output) -> Result<(), ExitError> {
    let session = Session::open(storage).await?;
    let usage = session.store.usage(&session.operator, None, None).await;
    session.close().await;
    print(&usage?, output)
}

/// As [`run`], of the store of a server.
pub(super) async fn run_remote(remote: &Remote, output: Output) -> Result<(), ExitError> {
    let answer = remote.get("/v1/admin/usage").await?;
    let read = |one: &Value| {
        let (text, count) = (|name: &str| one[name].as_str(), |name: &str| one[name].as_u64());
        let namespace = Namespace::new(text("namespace")?).ok()?;
        let class = [StorageClass::Hot, StorageClass::Cold];
        Some(SpaceUsage {
            address: SpaceAddress::new(namespace, Tenant::new(text("tenant")?).ok()?),
            class: class.into_iter().find(|class| Some(class.as_str()) == text("storage_class"))?,
            objects: count("objects")?,
            logical_bytes: count("logical_bytes")?,
            upload_bytes: count("upload_bytes")?,
            delete_markers: count("delete_markers")?,
            physical_bytes: count("physical_bytes")?,
            deleting: 0,
        })
    };
    let unread = || ExitError::Unable(format!("{}: the figures cannot be read", remote.url()));
    let figures = answer["spaces"].as_array().ok_or_else(unread)?;
    print(&figures.iter().map(read).collect::<Option<Vec<_>>>().ok_or_else(unread)?, output)
}

fn print(usage: &[SpaceUsage], output: Output) -> Result<(), ExitError> {
    let mut spaces: BTreeMap<&SpaceAddress, (Figures, BTreeMap<&str, Figures>)> = BTreeMap::new();
    let mut total = Figures::default();
    for figures in usage {
        let (whole, classes) = spaces.entry(&figures.address).or_default();
        whole.add(figures);
        classes.entry(figures.class.as_str()).or_default().add(figures);
        total.add(figures);
    }
    let space = |(address, (whole, classes)): (&&SpaceAddress, &(Figures, BTreeMap<&str, Figures>))| {
        let mut space = whole.json();
        space["namespace"] = json!(address.namespace.as_str());
        space["tenant"] = json!(address.tenant.as_str());
        space["storage_classes"] = classes.iter().map(|(class, f)| ((*class).to_owned(), f.json())).collect();
        space
    };
    output.print(
        &json!({ "spaces": spaces.iter().map(space).collect::<Vec<_>>(), "total": total.json() }),
        || {
            let mut rows: Vec<_> = spaces
                .iter()
                .map(|(address, (whole, _))| whole.cells(address.namespace.as_str(), address.tenant.as_str()))
                .collect();
            rows.push(total.cells("total", ""));
            table(
                ["NAMESPACE", "TENANT", "OBJECTS", "LOGICAL", "PHYSICAL", "SAVED", "UPLOADS", "MARKERS"],
                &rows,
            )
        },
    )
}
