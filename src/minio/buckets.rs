//! Buckets of an export: a folder for each.

use std::path::Path;
use std::sync::Arc;

use juststorage_core::application::admin::DeclaredBucket;
use juststorage_core::domain::address::{BucketName, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::policy::Policy;
use juststorage_core::domain::settings::Setting;
use juststorage_core::domain::space::Versioning;
use juststorage_s3_gateway::documents;
use serde::Deserialize;

use super::{Import, file};

/// What is set on a bucket and is not taken over: its file, what it is called, what the file holds if it is set, and what to do.
const LEFT: [(&str, &str, &[&str], &str); 4] = [
    (
        "notification.xml",
        "notifications",
        &["<QueueConfiguration", "<TopicConfiguration", "<CloudFunctionConfiguration"],
        "declare their target and set them again: docs/events.md",
    ),
    (
        "bucket-encryption.xml",
        "encryption",
        &["<Rule"],
        "this store encrypts nothing: encrypt what it lies on",
    ),
    ("replication.xml", "replication", &["<Rule"], "this store replicates nothing: docs/backup.md"),
    (
        "bucket-targets.json",
        "replication targets",
        &["\"arn\""],
        "this store replicates nothing: docs/backup.md",
    ),
];

/// A quota, as MinIO writes it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Quota {
    quota: u64,
    size: u64,
}

/// Takes over the bucket that a folder is named after.
pub(super) fn read(folder: &Path, tenant: &Tenant, import: &mut Import) -> Result<(), String> {
    let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let of = format!("bucket {name}");
    let named = BucketName::new(name).and_then(|bucket| Ok((Namespace::new(name)?, bucket)));
    let (namespace, bucket) = match named {
        Ok(named) => named,
        Err(invalid) => {
            import.leave(&of, "the bucket", format!("its name cannot be used here: {}", invalid.reason));
            return Ok(());
        }
    };
    let mut declared = DeclaredBucket {
        name: bucket,
        space: SpaceAddress::new(namespace, tenant.clone()),
        versioning: None,
        default_class: None,
        object_lock: None,
        documents: Vec::new(),
    };
    if let Some(xml) = file(folder, "versioning.xml")? {
        match documents::versioning(&xml) {
            Ok(versioning) => declared.versioning = Some(versioning),
            Err(why) => import.leave(&of, "versioning", why.to_string()),
        }
    }
    if declared.versioning == Some(Versioning::Suspended) {
        declared.versioning = None;
        import.leave(
            &of,
            "suspended versioning",
            "it begins without versions: its old ones do not come here",
        );
    }
    if let Some(xml) = file(folder, "object-lock.xml")? {
        match documents::object_lock(&xml) {
            Ok(lock) => (declared.object_lock, declared.versioning) = (Some(lock), Some(Versioning::Enabled)),
            Err(why) => import.leave(&of, "object lock", why.to_string()),
        }
    }
    let read = [
        ("lifecycle rules", file(folder, "lifecycle.xml")?.map(|xml| lifecycle(&xml))),
        ("tags", file(folder, "tagging.xml")?.map(|xml| tags(&xml))),
        ("policy", file(folder, "policy.json")?.map(|json| policy(&json, name))),
    ];
    for (what, document) in read {
        match document {
            None | Some(Ok(None)) => {}
            Some(Ok(Some(document))) => declared.documents.push(document),
            Some(Err(why)) => import.leave(&of, what, format!("set it again: {why}")),
        }
    }
    if let Some(json) = file(folder, "quota.json")? {
        let quota: Quota = serde_json::from_slice(&json).unwrap_or_default();
        let bytes = quota.size.max(quota.quota);
        if bytes > 0 {
            let why =
                format!("{bytes} bytes: quotas are of tenants, `juststorage limits set {tenant} --bytes …`");
            import.leave(&of, "quota", why);
        }
    }
    for (name, what, signs, why) in LEFT {
        let text = file(folder, name)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if signs.iter().any(|sign| text.contains(sign)) {
            import.leave(&of, what, why);
        }
    }
    import.declared.buckets.push(declared);
    Ok(())
}

/// A document that may be set; `None` if nothing is.
type Read = Result<Option<Setting>, String>;

fn checked(setting: Setting) -> Read {
    setting.validate().map_err(|invalid| invalid.to_string())?;
    Ok(Some(setting))
}

fn lifecycle(xml: &[u8]) -> Read {
    checked(Setting::Lifecycle(documents::lifecycle(xml).map_err(|why| why.to_string())?))
}

fn tags(xml: &[u8]) -> Read {
    let tags = documents::tags(xml).map_err(|why| why.to_string())?;
    if tags.is_empty() { Ok(None) } else { checked(Setting::Tags(tags)) }
}

fn policy(json: &[u8], bucket: &str) -> Read {
    if json.trim_ascii().is_empty() {
        return Ok(None);
    }
    let policy =
        Policy::parse(&String::from_utf8_lossy(json)).map_err(|invalid| invalid.reason.to_string())?;
    if policy.bucket() != bucket {
        return Err("its resources name another bucket".to_owned());
    }
    checked(Setting::Policy(Arc::new(policy)))
}
