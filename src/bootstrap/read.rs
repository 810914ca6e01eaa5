//! Reading of the file.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use juststorage_core::application::access::{GivenSecret, NewKeyRequest};
use juststorage_core::application::admin::{
    Declared, DeclaredBucket, DeclaredCredential, DeclaredTenant, SpaceChange,
};
use juststorage_core::domain::address::{BucketName, KeyPrefix, Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::limits::LimitSetting as Limit;
use juststorage_core::domain::object_lock::LockConfig;
use juststorage_core::domain::policy::Policy;
use juststorage_core::domain::principal::{NamespacePattern, Rights};
use juststorage_core::domain::settings::Setting;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::storage_class::StorageClass;
use juststorage_native_api::space_change;
use serde_json::json;
use toml::{Table, Value};

use super::fields::Fields;
use crate::config::amount;
use crate::config::secrets::read_file;
use crate::home::HOME_TENANT;

/// Largest bootstrap file, and largest document that it names, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

const TENANT_FIELDS: &[&str] = &[
    "name",
    "quota_bytes",
    "quota_objects",
    "requests_per_second",
    "concurrent_requests",
    "upload_bytes_per_second",
    "download_bytes_per_second",
];
const BUCKET_FIELDS: &[&str] = &[
    "name",
    "namespace",
    "tenant",
    "versioning",
    "default_class",
    "object_lock",
    "lifecycle",
    "cors",
    "tags",
    "policy",
    "public",
];
const CREDENTIAL_FIELDS: &[&str] = &[
    "kind",
    "tenant",
    "namespaces",
    "prefixes",
    "rights",
    "description",
    "access_key",
    "secret_key",
    "secret_key_file",
    "secret_key_env",
    "token",
    "token_file",
    "token_env",
];

/// An environment, as a function of the variable's name.
type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The context of the entries.
struct Reading<'a> {
    /// Directory of the file, which relative paths begin at.
    directory: PathBuf,
    variable: Variable<'a>,
    /// Whether every user of the machine can read the file itself.
    open: bool,
    warnings: Vec<String>,
}

/// The declarations of the file at `path`, and warnings for the operator. The error names entry and field, and no
/// secret.
pub(super) fn read(path: &Path, variable: Variable<'_>) -> Result<(Declared, Vec<String>), String> {
    let text = bounded(path)?;
    // The message of the parser quotes no line, since it may hold a secret.
    let file: Table = toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    let mut reading = Reading {
        directory: path.parent().unwrap_or(Path::new("")).to_owned(),
        variable,
        open: is_open(path),
        warnings: Vec::new(),
    };
    let mut declared = Declared::default();
    for (kind, value) in file {
        let Value::Array(entries) = value else {
            return Err(format!("{kind}: entries are written [[tenant]], [[bucket]] and [[credential]]"));
        };
        for (index, entry) in entries.into_iter().enumerate() {
            match kind.as_str() {
                "tenant" => declared.tenants.push(tenant(Fields::of(&kind, "name", index, entry)?)?),
                "bucket" => {
                    declared.buckets.push(reading.bucket(Fields::of(&kind, "name", index, entry)?)?);
                }
                "credential" => {
                    let fields = Fields::of(&kind, "access_key", index, entry)?;
                    declared.credentials.push(reading.credential(fields)?);
                }
                _ => {
                    return Err(format!(
                        "{kind}: is no kind of entry; these are: tenant, bucket, credential"
                    ));
                }
            }
        }
    }
    Ok((declared, reading.warnings))
}

/// The text of a file, which must not be larger than [`FILE_BYTES_MAX`].
fn bounded(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{} has more than 4 MiB", path.display()));
    }
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))
}

/// Whether every user of the machine can read a file.
fn is_open(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

fn tenant(mut fields: Fields) -> Result<DeclaredTenant, String> {
    let name = fields.read("name", Tenant::new)?;
    let tenant = name.ok_or_else(|| fields.refuse("name", "is required"))?;
    let mut limit = |field| limit(&mut fields, field);
    let declared = DeclaredTenant {
        tenant,
        requests_per_second: limit("requests_per_second")?,
        concurrent_requests: limit("concurrent_requests")?,
        upload_bytes_per_second: limit("upload_bytes_per_second")?,
        download_bytes_per_second: limit("download_bytes_per_second")?,
        quota_bytes: limit("quota_bytes")?,
        quota_objects: limit("quota_objects")?,
    };
    fields.finish(TENANT_FIELDS)?;
    Ok(declared)
}

/// A number, or a text such as `1TiB`, `unlimited` or `default`.
fn limit(fields: &mut Fields, field: &str) -> Result<Option<Limit>, String> {
    match fields.take(field) {
        None => Ok(None),
        Some(Value::Integer(number)) => match u64::try_from(number) {
            Ok(number) => Ok(Some(Limit::At(number))),
            Err(_) => Err(fields.refuse(field, "must not be negative")),
        },
        Some(Value::String(text)) => match text.as_str() {
            "unlimited" => Ok(Some(Limit::Unlimited)),
            "default" => Ok(Some(Limit::Default)),
            text => match amount::parse(text) {
                Ok(number) => Ok(Some(Limit::At(number))),
                Err(reason) => Err(fields.refuse(field, format!("{reason}; or unlimited, or default"))),
            },
        },
        Some(_) => Err(fields.refuse(field, "must be a number, or a text such as \"1TiB\"")),
    }
}

fn home(fields: &mut Fields) -> Result<Tenant, String> {
    let named = fields.read("tenant", Tenant::new)?;
    named.map_or_else(|| Tenant::new(HOME_TENANT).map_err(|invalid| invalid.to_string()), Ok)
}

impl Reading<'_> {
    fn bucket(&self, mut fields: Fields) -> Result<DeclaredBucket, String> {
        let name = fields.read("name", BucketName::new)?;
        let name = name.ok_or_else(|| fields.refuse("name", "is required"))?;
        let namespace = match fields.read("namespace", Namespace::new)? {
            Some(namespace) => namespace,
            // Every bucket name is a namespace.
            None => Namespace::new(name.as_str()).map_err(|invalid| fields.refuse("name", invalid))?,
        };
        let space = SpaceAddress::new(namespace, home(&mut fields)?);
        let versioning = fields.flag("versioning")?;
        let versioning = versioning.map(|on| if on { Versioning::Enabled } else { Versioning::Off });
        let default_class = fields.read("default_class", |text| {
            let known = [StorageClass::Hot, StorageClass::Cold];
            known.into_iter().find(|class| class.as_str() == text).ok_or("must be hot or cold")
        })?;
        let object_lock = lock(&mut fields)?;
        let mut documents = Vec::new();
        for field in ["lifecycle", "cors", "tags"] {
            match self.document(&mut fields, field)? {
                None => {}
                Some(SpaceChange::Set(setting)) => documents.push(setting),
                Some(_) => return Err(fields.refuse(field, "is not such a document")),
            }
        }
        if let Some(policy) = self.policy(&mut fields, &name)? {
            documents.push(Setting::Policy(Arc::new(policy)));
        }
        fields.finish(BUCKET_FIELDS)?;
        Ok(DeclaredBucket { name, space, versioning, default_class, object_lock, documents })
    }

    /// A table as the admin API has it, or the path of a JSON file with one.
    fn document(&self, fields: &mut Fields, field: &str) -> Result<Option<SpaceChange>, String> {
        let body = match fields.take(field) {
            None => return Ok(None),
            Some(Value::String(path)) => {
                bounded(&self.directory.join(path)).map_err(|reason| fields.refuse(field, reason))?
            }
            Some(value) => json(&value).map_err(|reason| fields.refuse(field, reason))?,
        };
        change(field, &body).map(Some).map_err(|reason| fields.refuse(field, reason))
    }

    fn policy(&self, fields: &mut Fields, bucket: &BucketName) -> Result<Option<Policy>, String> {
        let public = fields.text("public")?;
        let (field, text) = match (fields.text("policy")?, public.as_deref()) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(fields.refuse("public", "cannot be set together with policy")),
            (None, Some("read")) => ("public", public_read(bucket)),
            (None, Some(_)) => return Err(fields.refuse("public", "must be read")),
            (Some(path), None) => {
                let text = bounded(&self.directory.join(path));
                ("policy", text.map_err(|reason| fields.refuse("policy", reason))?)
            }
        };
        Policy::parse(&text).map(Some).map_err(|invalid| fields.refuse(field, invalid.reason))
    }

    fn credential(&mut self, mut fields: Fields) -> Result<DeclaredCredential, String> {
        let kind = fields.text("kind")?;
        let secret = match kind.as_deref() {
            Some("s3") => {
                let access_key = fields.text("access_key")?;
                let access_key = access_key.ok_or_else(|| fields.refuse("access_key", "is required"))?;
                GivenSecret::S3 { access_key, secret_key: self.secret(&mut fields, "secret_key")? }
            }
            Some("api") => GivenSecret::Api { token: self.secret(&mut fields, "token")? },
            Some(_) => return Err(fields.refuse("kind", "must be s3 or api")),
            None => return Err(fields.refuse("kind", "is required: s3 or api")),
        };
        // Here, where the entry has no name of its own: a token of the wrong shape must not be quoted.
        secret.validate().map_err(|invalid| fields.refuse(invalid.field, invalid.reason))?;
        let namespaces = fields.list("namespaces")?.map(|names| {
            names.iter().map(|name| NamespacePattern::parse(name)).collect::<Result<Vec<_>, _>>()
        });
        let namespaces =
            namespaces.transpose().map_err(|invalid| fields.refuse("namespaces", invalid.reason))?;
        let prefixes = fields
            .list("prefixes")?
            .map(|all| all.iter().map(|prefix| KeyPrefix::new(prefix)).collect::<Result<Vec<_>, _>>())
            .transpose()
            .map_err(|invalid| fields.refuse("prefixes", invalid.reason))?;
        let rights =
            fields.list("rights")?.map_or_else(|| "read,write,delete".to_owned(), |all| all.join(","));
        let rights = Rights::parse(&rights).map_err(|invalid| fields.refuse("rights", invalid.reason))?;
        let request = NewKeyRequest {
            kind: secret.kind(),
            tenant: home(&mut fields)?,
            namespaces,
            prefixes,
            rights,
            description: fields.text("description")?.unwrap_or_default(),
            expires_at: None,
        };
        fields.finish(CREDENTIAL_FIELDS)?;
        Ok(DeclaredCredential { request, secret })
    }

    /// The secret that one of `field`, `field_file` and `field_env` gives.
    fn secret(&mut self, fields: &mut Fields, field: &str) -> Result<String, String> {
        let [of_file, of_variable] = ["file", "env"].map(|end| format!("{field}_{end}"));
        let given = [field, &of_file, &of_variable].iter().filter(|field| fields.has(field)).count();
        if given != 1 {
            let rule = format!("exactly one of {field}, {of_file} and {of_variable} is required");
            return Err(fields.refuse(field, rule));
        }
        if let Some(path) = fields.text(&of_file)? {
            let path = self.directory.join(path);
            self.warn_if(is_open(&path), &path.display().to_string(), fields);
            return read_file(&path).map_err(|reason| fields.refuse(&of_file, reason));
        }
        if let Some(name) = fields.text(&of_variable)? {
            let value = (self.variable)(&name).filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| {
                fields.refuse(&of_variable, format!("the environment variable {name} is not set"))
            })?;
            return value.into_string().map_err(|_| {
                fields.refuse(&of_variable, format!("the environment variable {name} is not UTF-8"))
            });
        }
        let secret = fields.text(field)?.unwrap_or_default();
        self.warn_if(self.open, "the file itself", fields);
        Ok(secret)
    }

    fn warn_if(&mut self, open: bool, place: &str, fields: &Fields) {
        if open {
            let entry = fields.entry();
            self.warnings.push(format!(
                "{entry}: every user of this machine can read its secret: {place} should have \
                                        mode 0600"
            ));
        }
    }
}

fn lock(fields: &mut Fields) -> Result<Option<LockConfig>, String> {
    match fields.take("object_lock") {
        None | Some(Value::Boolean(false)) => Ok(None),
        Some(Value::Boolean(true)) => Ok(Some(LockConfig::default())),
        Some(value) => {
            let body = json(&value).map_err(|reason| fields.refuse("object_lock", reason))?;
            match change("object-lock", &body) {
                Ok(SpaceChange::ObjectLock(lock)) => Ok(Some(lock)),
                Ok(_) => Err(fields.refuse("object_lock", "is not such a document")),
                Err(reason) => Err(fields.refuse("object_lock", reason)),
            }
        }
    }
}

/// A policy by which everybody may read every object of a bucket, and list none.
fn public_read(bucket: &BucketName) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "PublicRead",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{bucket}/*"),
        }],
    })
    .to_string()
}

fn json(value: &Value) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

/// The change that a document of the admin API asks for.
fn change(setting: &str, body: &str) -> Result<SpaceChange, String> {
    space_change(setting, body.as_bytes()).map_err(|error| {
        let text = error.to_string();
        // Of a table of this file, the place in its JSON says nothing.
        text.split(" at line ").next().unwrap_or(&text).to_owned()
    })
}
