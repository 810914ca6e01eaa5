#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use juststorage_core::application::access::GivenSecret;
use juststorage_core::domain::limits::LimitSetting as Limit;
use juststorage_core::domain::settings::Setting;
use juststorage_core::domain::space::Versioning;

use super::*;

const SECRET: &str = "hush-hush-hush-hush";

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, content: &str) -> Self {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Result<Bootstrap, ConfigError> {
        let variable = |name: &str| (name == "ACME_SECRET").then(|| OsString::from(SECRET));
        Bootstrap::load_with(&self.0.path().join("bootstrap.toml"), variable)
    }
}

fn of(content: &str) -> Result<Bootstrap, ConfigError> {
    Files::new().with("bootstrap.toml", content).load()
}

#[test]
fn a_whole_file_is_read() {
    let files = Files::new()
        .with("acme.secret", &format!("{SECRET}\n"))
        .with(
            "policy.json",
            r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:s3:::own/*"}}"#,
        )
        .with("rules.json", r#"{"rules": [{"id": "old", "expiration": {"days": 30}}]}"#)
        .with(
            "bootstrap.toml",
            r#"
            [[tenant]]
            name = "acme"
            quota_bytes = "1TiB"
            quota_objects = 1000
            requests_per_second = "unlimited"

            [[bucket]]
            name = "demo"
            versioning = true
            public = "read"
            default_class = "cold"
            tags = { team = "search" }
            object_lock = { default = { mode = "governance", days = 30 } }
            lifecycle = "rules.json"
            [[bucket.cors.rules]]
            origins = ["https://app.example.com"]
            methods = ["GET"]

            [[bucket]]
            name = "own"
            tenant = "acme"
            namespace = "models"
            policy = "policy.json"
            [[bucket.lifecycle.rules]]
            id = "parts"
            abort_uploads_days = 3

            [[credential]]
            kind = "s3"
            tenant = "acme"
            namespaces = ["models", "team-*"]
            prefixes = ["reports/"]
            rights = ["read", "write"]
            access_key = "ACMEMODELS"
            secret_key_file = "acme.secret"

            [[credential]]
            kind = "s3"
            access_key = "ACMEALL"
            secret_key_env = "ACME_SECRET"

            [[credential]]
            kind = "api"
            description = "for the indexer"
            token = "js_0123456789ab0123456789abcdef0123456789abcdef"
            "#,
        );
    let loaded = files.load().unwrap();
    let Declared { tenants, buckets, credentials } = &loaded.declared;
    assert_eq!(
        (tenants[0].quota_bytes, tenants[0].quota_objects),
        (Some(Limit::At(1 << 40)), Some(Limit::At(1000)))
    );
    assert_eq!(
        (tenants[0].requests_per_second, tenants[0].concurrent_requests),
        (Some(Limit::Unlimited), None)
    );
    assert_eq!(buckets[0].space.to_string(), "demo/default");
    assert_eq!(buckets[1].space.to_string(), "models/acme");
    assert_eq!((buckets[0].versioning, buckets[1].versioning), (Some(Versioning::Enabled), None));
    let kinds: Vec<_> = buckets[0].documents.iter().map(|document| document.kind().as_str()).collect();
    assert_eq!(kinds, ["lifecycle", "cors", "tags", "policy"]);
    assert!(matches!(&buckets[0].documents[3], Setting::Policy(policy) if policy.is_public()));
    assert!(buckets[0].object_lock.unwrap().default_retention.is_some());
    let secrets: Vec<_> = credentials.iter().map(|credential| credential.secret.clone()).collect();
    for secret in &secrets[..2] {
        assert!(matches!(secret, GivenSecret::S3 { secret_key, .. } if secret_key == SECRET));
    }
    assert_eq!(credentials[0].request.rights.to_string(), "read,write");
    assert_eq!(credentials[0].request.prefixes.as_ref().unwrap()[0].as_str(), "reports/");
    assert!(credentials[1].request.prefixes.is_none());
    assert_eq!(credentials[1].request.rights.to_string(), "read,write,delete");
    assert_eq!(credentials[1].request.tenant.as_str(), "default");
    assert_eq!(secrets[2].lookup(), "0123456789ab");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    // Now everybody can read both.
    for name in ["acme.secret", "bootstrap.toml"] {
        let path = files.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let warnings = files.load().unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("ACMEMODELS") && warnings[0].contains("acme.secret"), "{warnings:?}");
    assert!(warnings[1].contains("the file itself"), "{warnings:?}");
}

#[test]
fn an_empty_file_declares_nothing() {
    assert!(of("").unwrap().declared.buckets.is_empty());
}

/// Every message names the file, the entry and the field, and repeats no secret.
#[test]
fn what_is_wrong_is_named() {
    let key = |rest: &str| format!("[[credential]]\nkind = \"s3\"\naccess_key = \"ACME\"\n{rest}");
    let secret = format!("secret_key = \"{SECRET}\"");
    let cases: &[(String, &str)] = &[
        ("[[bucket]]\nname = \"demo\"\nversionning = true".into(), "bucket demo, versionning: is no field"),
        (
            "[[bucket]]\nname = \"demo\"\nversioning = \"yes\"".into(),
            "bucket demo, versioning: must be true or false",
        ),
        ("[[bucket]]\nname = \"Up\"".into(), "bucket Up, name: bucket: must be 3 to 63 lower-case"),
        ("[[bucket]]\nversioning = true".into(), "bucket 1, name: is required"),
        ("[[bucket]]\nname = \"demo\"\npublic = \"write\"".into(), "bucket demo, public: must be read"),
        (
            "[[bucket]]\nname = \"demo\"\npublic = \"read\"\npolicy = \"p\"".into(),
            "bucket demo, public: cannot",
        ),
        ("[[bucket]]\nname = \"demo\"\npolicy = \"absent.json\"".into(), "bucket demo, policy: cannot read"),
        (
            "[[bucket]]\nname = \"demo\"\ndefault_class = \"warm\"".into(),
            "bucket demo, default_class: must be hot",
        ),
        ("[[bucket]]\nname = \"demo\"\ntags = 5".into(), "bucket demo, tags: invalid type"),
        (
            "[[bucket]]\nname = \"demo\"\n[[bucket.lifecycle.rules]]\nidd = \"x\"".into(),
            "bucket demo, lifecycle: unknown field `idd`",
        ),
        (
            "[[bucket]]\nname = \"demo\"\n[[bucket.lifecycle.rules]]\nid = \"x\"".into(),
            "bucket demo, lifecycle: ",
        ),
        (
            "[[bucket]]\nname = \"demo\"\nversioning = false\nobject_lock = true".into(),
            "bucket demo, versioning: must be enabled",
        ),
        (
            "[[bucket]]\nname = \"demo\"\n[[bucket]]\nname = \"demo\"".into(),
            "bucket demo, name: is in two entries",
        ),
        (
            "[[bucket]]\nname = \"one\"\n[[bucket]]\nname = \"two\"\nnamespace = \"one\"".into(),
            "bucket two, namespace: names the space",
        ),
        (
            "[[tenant]]\nname = \"acme\"\nquota_bytes = \"lots\"".into(),
            "tenant acme, quota_bytes: must be a whole number",
        ),
        (
            "[[tenant]]\nname = \"acme\"\nquota_bytes = -1".into(),
            "tenant acme, quota_bytes: must not be negative",
        ),
        (
            "[[tenant]]\nname = \"acme\"\nconcurrent_requests = 0".into(),
            "tenant acme, concurrent_requests: must be at least 1",
        ),
        ("[[tenants]]\nname = \"acme\"".into(), "tenants: is no kind of entry"),
        ("[tenant]\nname = \"acme\"".into(), "tenant: entries are written [[tenant]]"),
        ("[[tenant]\n".into(), "line 1: "),
        (key(""), "credential ACME, secret_key: exactly one of"),
        (
            key(&format!("{secret}\nsecret_key_env = \"ACME_SECRET\"")),
            "credential ACME, secret_key: exactly one of",
        ),
        (
            key("secret_key_env = \"NOBODY_SET_THIS\""),
            "credential ACME, secret_key_env: the environment variable NOBODY_SET_THIS",
        ),
        (key("secret_key_file = \"absent\""), "credential ACME, secret_key_file: cannot read"),
        (key("secret_key = \"hush\""), "credential ACME, secret_key: must be 16 to 256 bytes"),
        (key(&format!("{secret}\nrights = [\"fly\"]")), "credential ACME, rights: "),
        (key(&format!("{secret}\nrights = []")), "credential ACME, rights: "),
        (key(&format!("{secret}\nnamespaces = []")), "credential ACME, namespaces: "),
        (key(&format!("{secret}\nprefixes = []")), "credential ACME, prefixes: must be 1 to 16"),
        (key(&format!("{secret}\nprefixes = [\"\"]")), "credential ACME, prefixes: must each be 1 to 1024"),
        (
            key(&format!("{secret}\nprefixes = [\"a/\"]\nrights = [\"read\", \"admin\"]")),
            "credential ACME, rights: must be of read, write and delete",
        ),
        (key(&format!("{secret}\nkey_prefix = \"x\"")), "credential ACME, key_prefix: is no field"),
        (format!("[[credential]]\nkind = \"ftp\"\n{secret}"), "credential 1, kind: must be s3 or api"),
        (format!("[[credential]]\nkind = \"api\"\ntoken = \"js_{SECRET}\""), "token: must be js_ and 44"),
    ];
    for (content, expected) in cases {
        let Err(refused) = of(content) else { panic!("{content} is accepted") };
        let said = refused.to_string();
        assert!(said.starts_with("JUSTSTORAGE_BOOTSTRAP: /"), "{said}");
        assert!(
            said.contains(&format!("bootstrap.toml: {expected}")) || said.contains(expected),
            "{content}\n{said}"
        );
        assert!(!said.contains("hush"), "{said}");
    }
    let absent = Bootstrap::load(Path::new("/nonexistent.toml")).err().unwrap();
    assert!(absent.to_string().contains("/nonexistent.toml"), "{absent}");
}
