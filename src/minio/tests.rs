//! Exports as MinIO writes them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::Path;

use juststorage_core::application::access::GivenSecret;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::principal::Right;
use juststorage_core::domain::space::Versioning;
use juststorage_core::domain::timestamp::Timestamp;

use super::{Import, Left, read};

const SECRET: &str = "a-secret-of-16-bytes-or-more";

fn import(files: &[(&str, &str)]) -> Result<Import, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    of(folder.path())
}

fn of(folder: &Path) -> Result<Import, String> {
    read(&[folder.to_owned()], &Tenant::new("acme").unwrap(), Timestamp(1_800_000_000_000))
}

/// What is said of somebody.
fn why<'i>(import: &'i Import, of: &str, what: &str) -> Option<&'i str> {
    let left: Option<&Left> = import.left.iter().find(|left| left.of == of && left.what == what);
    left.map(|left| left.why.as_str())
}

#[test]
fn buckets_come_with_what_is_set_on_them() {
    let xmlns = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
    let enabled =
        format!("<VersioningConfiguration {xmlns}><Status>Enabled</Status></VersioningConfiguration>");
    let off = format!("<VersioningConfiguration {xmlns}></VersioningConfiguration>");
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},
        "Action":["s3:GetObject"],"Resource":["arn:aws:s3:::photos/*"]}]}"#;
    let all = import(&[
        ("photos/versioning.xml", &enabled),
        ("photos/policy.json", policy),
        ("photos/lifecycle.xml", "<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status><Filter>\
          <Prefix>tmp/</Prefix></Filter><Expiration><Days>7</Days></Expiration></Rule></LifecycleConfiguration>"),
        ("photos/tagging.xml", "<Tagging><TagSet><Tag><Key>team</Key><Value>search</Value></Tag></TagSet></Tagging>"),
        ("photos/quota.json", r#"{"quota":1073741824,"size":0,"quotatype":"hard"}"#),
        ("photos/notification.xml", "<NotificationConfiguration></NotificationConfiguration>"),
        ("plain/versioning.xml", &off),
        ("plain/quota.json", r#"{"quota":0,"size":0,"rate":0,"requests":0}"#),
        ("plain/notification.xml", "<NotificationConfiguration><QueueConfiguration><Id>1</Id></QueueConfiguration>\
          </NotificationConfiguration>"),
        ("plain/policy.json", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",
          "Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}]}"#),
        ("locked/versioning.xml", &enabled),
        ("locked/object-lock.xml", "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>\
          </ObjectLockConfiguration>"),
        ("locked/lifecycle.xml", "<LifecycleConfiguration><Rule><ID>a</ID><Status>Enabled</Status><Transition>\
          <Days>1</Days><StorageClass>MYTIER</StorageClass></Transition></Rule></LifecycleConfiguration>"),
    ])
    .unwrap();
    all.declared.validate().unwrap();
    let named: Vec<_> = all.declared.buckets.iter().map(|bucket| bucket.name.as_str()).collect();
    assert_eq!(named, ["locked", "photos", "plain"]);
    let [locked, photos, plain] = &all.declared.buckets[..] else { unreachable!() };
    assert_eq!((photos.versioning, photos.documents.len()), (Some(Versioning::Enabled), 3));
    assert_eq!((plain.versioning, plain.documents.len()), (Some(Versioning::Off), 0));
    assert!(locked.object_lock.is_some() && locked.documents.is_empty());
    assert_eq!(photos.space.to_string(), "photos/acme");
    assert!(why(&all, "bucket photos", "quota").unwrap().contains("1073741824"));
    assert!(why(&all, "bucket photos", "notifications").is_none(), "none are set");
    assert!(why(&all, "bucket plain", "notifications").is_some());
    assert!(why(&all, "bucket plain", "policy").unwrap().contains("another bucket"));
    assert!(why(&all, "bucket locked", "lifecycle rules").is_some());
    assert!(import(&[]).is_err());
}

/// What each of these users may do here, as `rights in namespaces under prefixes`.
fn granted(import: &Import) -> BTreeMap<String, String> {
    let said = import.declared.credentials.iter().map(|credential| {
        let GivenSecret::S3 { access_key, secret_key } = &credential.secret else { unreachable!() };
        assert_eq!(secret_key, SECRET);
        let request = &credential.request;
        let rights: Vec<_> = request.rights.iter().map(Right::as_str).collect();
        let all = |texts: Option<Vec<String>>| texts.map_or("*".to_owned(), |texts| texts.join(","));
        let namespaces =
            all(request.namespaces.as_ref().map(|all| all.iter().map(ToString::to_string).collect()));
        let prefixes =
            all(request.prefixes.as_ref().map(|all| all.iter().map(ToString::to_string).collect()));
        (access_key.clone(), format!("{} in {namespaces} under {prefixes}", rights.join(",")))
    });
    said.collect()
}

#[test]
fn users_may_what_they_might_and_no_more() {
    let policy = |actions: &str, resources: &str, more: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{actions}],"Resource":[{resources}]{more}}}]}}"#
        )
    };
    let read = r#""s3:GetObject","s3:ListBucket""#;
    let policies = [
        ("all-of-one", policy(r#""s3:*""#, r#""arn:aws:s3:::one","arn:aws:s3:::one/*""#, "")),
        ("begins", policy(read, r#""arn:aws:s3:::team-*""#, "")),
        ("under", policy(read, r#""arn:aws:s3:::one/in/*","arn:aws:s3:::one/out/*""#, "")),
        (
            "conditional",
            policy(
                read,
                r#""arn:aws:s3:::*""#,
                r#","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#,
            ),
        ),
        (
            "denies",
            r#"{"Statement":[{"Effect":"Deny","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::*"}]}"#
                .to_owned(),
        ),
        ("read-two", policy(read, r#""arn:aws:s3:::one/*","arn:aws:s3:::two/*""#, "")),
        ("wildcards", policy(r#""s3:Get*","s3:List*","s3:Put*""#, r#""arn:aws:s3:::one/*""#, "")),
    ];
    let policies: Vec<_> = policies.into_iter().map(|(name, text)| format!("\"{name}\":{text}")).collect();
    let users = [
        "one",
        "begins",
        "under",
        "conditional",
        "denied",
        "apart",
        "canned",
        "admin",
        "group",
        "nothing",
        "wild",
    ];
    let mut of_users: Vec<_> = users
        .iter()
        .map(|name| format!(r#""{name}":{{"secretKey":"{SECRET}","status":"enabled"}}"#))
        .collect();
    of_users.push(format!(r#""off":{{"secretKey":"{SECRET}","status":"disabled"}}"#));
    of_users.push(r#""short":{"secretKey":"12345678","status":"enabled"}"#.to_owned());
    let mappings = [
        ("one", "all-of-one"),
        ("begins", "begins"),
        ("under", "under"),
        ("conditional", "conditional"),
        ("denied", "readwrite,denies"),
        ("apart", "read-two,all-of-one"),
        ("canned", "readonly"),
        ("admin", "consoleAdmin"),
        ("short", "readwrite"),
        ("wild", "wildcards"),
    ];
    let mappings: Vec<_> = mappings
        .iter()
        .map(|(user, policy)| format!(r#""{user}":{{"version":0,"policy":"{policy}"}}"#))
        .collect();
    let braced = |all: &[String]| format!("{{{}}}", all.join(","));
    let account = |name: &str, more: &str| {
        format!(r#""{name}":{{"accessKey":"{name}","secretKey":"{SECRET}","status":"on",{more}}}"#)
    };
    let own = policy(read, r#""arn:aws:s3:::one/in/*""#, "");
    let accounts = [
        account(
            "inherits",
            r#""parent":"one","claims":{"sa-policy":"inherited-policy"},"sessionPolicy":null,"expiration":"1970-01-01T00:00:00Z""#,
        ),
        account(
            "narrow",
            &format!(r#""parent":"one","claims":{{"sa-policy":"embedded-policy"}},"sessionPolicy":{own}"#),
        ),
        account("outside", &format!(r#""parent":"begins","sessionPolicy":{own}"#)),
        account("of-root", r#""parent":"minioadmin","sessionPolicy":null"#),
        account("expired", r#""parent":"one","expiration":"2020-01-01T00:00:00Z""#),
        account("ldap", r#""parent":"uid=a,dc=b","claims":{"ldapUser":"uid=a,dc=b"}"#),
    ];
    let all = import(&[
        ("iam-assets/policies.json", &braced(&policies)),
        ("iam-assets/users.json", &braced(&of_users)),
        ("iam-assets/user_mappings.json", &braced(&mappings)),
        ("iam-assets/groups.json", r#"{"writers":{"version":1,"status":"enabled","members":["group"]}}"#),
        ("iam-assets/group_mappings.json", r#"{"writers":{"version":0,"policy":"readwrite"}}"#),
        ("iam-assets/svcaccts.json", &braced(&accounts)),
        ("iam-assets/stsuser_mappings.json", r#"{"uid=x":{"policy":"readwrite"}}"#),
    ])
    .unwrap();
    all.declared.validate().unwrap();
    let expected = [
        ("admin", "read,write,delete in * under *"),
        ("begins", "read in team-* under *"),
        ("canned", "read in * under *"),
        ("group", "read,write,delete in * under *"),
        ("inherits", "read,write,delete in one under *"),
        ("narrow", "read in one under in/"),
        ("of-root", "read,write,delete in * under *"),
        ("one", "read,write,delete in one under *"),
        ("under", "read in one under in/,out/"),
        ("wild", "read,write in one under *"),
    ];
    let expected = expected.map(|(user, said)| (user.to_owned(), said.to_owned()));
    assert_eq!(granted(&all), BTreeMap::from(expected));
    for (of, says) in [
        ("user conditional", "condition"),
        ("user denied", "denies"),
        ("user apart", "differ between buckets"),
        ("user nothing", "no policy"),
        ("user off", "disabled"),
        ("user short", "16 to 256"),
        ("access key outside", "overlap"),
        ("access key expired", "expired"),
        ("access key ldap", "identity provider"),
    ] {
        let why = why(&all, of, "the credential");
        assert!(why.is_some_and(|why| why.contains(says)), "{of}: {why:?}");
    }
    assert!(why(&all, "user uid=x", "the user").is_some());
    assert!(why(&all, "user canned", "its exact actions").unwrap().contains("list"));
    assert!(why(&all, "user admin", "administration").is_some());
    assert!(why(&all, "user under", "its listings").is_none(), "it might list below its prefixes alone");
    assert!(!all.left.iter().any(|left| format!("{left:?}").contains(SECRET)));
}

/// The files of an export that a MinIO of February 2026 wrote, with an own name of its secrets.
#[test]
fn an_export_of_a_real_store_comes_whole() {
    let secret = |of: &str| format!(r#""secretKey":"{SECRET}","status":"{of}""#);
    let account = |name: &str, parent: &str, ends: &str| {
        let on = secret("on");
        format!(
            r#""{name}":{{"parent":"{parent}","accessKey":"{name}",{on},"groups":null,"claims":{{"accessKey":"{name}","parent":"{parent}","sa-policy":"inherited-policy"}},"sessionPolicy":null,"name":"","description":"","expiration":"{ends}"}}"#
        )
    };
    let accounts = format!(
        "{{{},{}}}",
        account("svcalice000000000000", "alice", "1970-01-01T00:00:00Z"),
        account("svcbob0000000000000", "bob", "2027-12-02T12:20:44Z"),
    );
    let (enabled, disabled) = (secret("enabled"), secret("disabled"));
    let users = format!(
        r#"{{"alice":{{{enabled}}},"bob":{{{enabled}}},"carol":{{{enabled}}},"dave":{{{disabled}}},"erin":{{{enabled}}}}}"#
    );
    let all = import(&[
        ("locked/notification.xml", r#"<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></NotificationConfiguration>"#),
        ("locked/quota.json", r#"{"quota":0,"size":0,"rate":0,"requests":0}"#),
        ("locked/object-lock.xml", "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>"),
        ("locked/versioning.xml", r#"<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>"#),
        ("locked/bucket-targets.json", "<BucketTargets></BucketTargets>"),
        ("photos/tagging.xml", "<Tagging><TagSet><Tag><Key>team</Key><Value>search</Value></Tag><Tag><Key>env</Key><Value>prod</Value></Tag></TagSet></Tagging>"),
        ("photos/lifecycle.xml", "<LifecycleConfiguration><Rule><ID>dc7bn31ksdu841d8cbrg</ID><Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>90</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays></NoncurrentVersionExpiration></Rule><Rule><ID>dc7bn39ksdu84ber4ga0</ID><Status>Enabled</Status><Filter><Tag><Key>team</Key><Value>search</Value></Tag></Filter><Expiration><Days>30</Days></Expiration></Rule><ExpiryUpdatedAt>2026-12-01T12:20:29.123163688Z</ExpiryUpdatedAt></LifecycleConfiguration>"),
        ("photos/versioning.xml", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
        ("plain/versioning.xml", "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"),
        ("plain/quota.json", r#"{"quota":10737418240,"size":0,"rate":0,"requests":0,"quotatype":"hard"}"#),
        ("plain/policy.json", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetBucketLocation","s3:ListBucket"],"Resource":["arn:aws:s3:::plain"]},{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::plain/*"]}]}"#),
        ("iam-assets/users.json", &users),
        ("iam-assets/svcaccts.json", &accounts),
        ("iam-assets/groups.json", r#"{"readers":{"version":1,"status":"enabled","members":["erin"],"updatedAt":"2026-12-01T12:20:40.450588201Z"}}"#),
        ("iam-assets/group_mappings.json", r#"{"readers":{"version":0,"policy":"readonly","updatedAt":"2026-12-01T12:20:41.737467849Z"}}"#),
        ("iam-assets/user_mappings.json", r#"{"alice":{"version":0,"policy":"team","updatedAt":"2026-12-01T12:20:31.698033179Z"},"bob":{"version":0,"policy":"readwrite","updatedAt":"2026-12-01T12:20:33.709579724Z"},"carol":{"version":0,"policy":"nodelete","updatedAt":"2026-12-01T12:20:36.657230768Z"}}"#),
        ("iam-assets/stsuser_mappings.json", "{}"),
        ("iam-assets/policies.json", r#"{"consoleAdmin":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:*"]},{"Effect":"Allow","Action":["kms:*"]},{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]},"diagnostics":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:Prometheus","admin:Profiling"],"Resource":["arn:aws:s3:::*"]}]},"nodelete":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]},{"Effect":"Deny","Action":["s3:DeleteObject"],"Resource":["arn:aws:s3:::photos/*"]}]},"readonly":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetBucketLocation","s3:GetObject"],"Resource":["arn:aws:s3:::*"]}]},"readwrite":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]},"team":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:DeleteObject","s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::photos/team/*"]},{"Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::photos"]}]},"writeonly":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject"],"Resource":["arn:aws:s3:::*"]}]}}"#),
    ])
    .unwrap();
    all.declared.validate().unwrap();
    let expected = [
        ("alice", "read,write,delete in photos under team/"),
        ("bob", "read,write,delete in * under *"),
        ("erin", "read in * under *"),
        ("svcalice000000000000", "read,write,delete in photos under team/"),
        ("svcbob0000000000000", "read,write,delete in * under *"),
    ];
    let expected = expected.map(|(user, said)| (user.to_owned(), said.to_owned()));
    assert_eq!(granted(&all), BTreeMap::from(expected));
    let buckets: Vec<_> =
        all.declared.buckets.iter().map(|bucket| (bucket.name.as_str(), bucket.documents.len())).collect();
    assert_eq!(buckets, [("locked", 0), ("photos", 2), ("plain", 1)]);
    let left: Vec<_> = all.left.iter().map(|left| (left.of.as_str(), left.what)).collect();
    assert_eq!(
        left,
        [
            ("user alice", "its exact actions"),
            // Its policy lets it list the whole bucket.
            ("user alice", "its listings"),
            ("user carol", "the credential"),
            ("user dave", "the credential"),
            ("user erin", "its exact actions"),
            ("access key svcalice000000000000", "its exact actions"),
            ("access key svcalice000000000000", "its listings"),
            ("bucket plain", "suspended versioning"),
            ("bucket plain", "quota"),
        ]
    );
}

/// A file that cannot be understood is named, and quoted nowhere: it may hold secrets.
#[test]
fn a_broken_file_is_named_and_not_quoted() {
    let broken = import(&[("iam-assets/users.json", r#"{"a": {"secretKey": "hidden-hidden-hidden", }"#)]);
    let error = broken.err().unwrap();
    assert!(error.contains("users.json") && !error.contains("hidden"), "{error}");
}
