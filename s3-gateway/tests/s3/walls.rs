//! Every operation of the S3 front, by every kind of caller. An operation that is offered and has no row here
//! fails the test.

mod rows;
mod table;

use std::collections::BTreeSet;

use juststorage_core::application::access::{NewKey, NewKeyRequest};
use juststorage_core::application::ports::metadata::CredentialKind;
use juststorage_core::domain::address::{KeyPrefix, Tenant};
use juststorage_core::domain::principal::{NamespacePattern, Rights};
use juststorage_core::domain::timestamp::Timestamp;
use rows::{Fixture, Hidden, Row, rows};

use crate::server::{Answer, Client, Server, raw};

struct Caller {
    name: &'static str,
    /// `None`: it signs nothing.
    client: Option<Client>,
    stands: Stands,
}

enum Stands {
    /// It is not let in, with this code.
    Unproven(&'static str),
    /// Another tenant, or of this one but for other namespaces.
    Outside { own_tenant: bool },
    /// With these rights.
    Inside(&'static str),
    /// With the rights to read, write and delete, bound to prefixes of keys: of those of the table, or of others.
    Bound { own_keys: bool },
}

/// What a caller that is bound to prefixes may do to a bucket, and to no key: clients ask for it before they write.
const OF_BUCKETS: &[&str] =
    &["ListBuckets", "HeadBucket", "GetBucketLocation", "GetBucketVersioning", "GetObjectLockConfiguration"];

const ALL: &str = "read,write,delete,admin";

async fn client(
    server: &Server,
    tenant: &str,
    rights: &str,
    namespaces: Option<&[&str]>,
    expires_at: Option<Timestamp>,
) -> Client {
    bound(server, tenant, rights, namespaces, None, expires_at).await
}

async fn bound(
    server: &Server,
    tenant: &str,
    rights: &str,
    namespaces: Option<&[&str]>,
    prefixes: Option<&[&str]>,
    expires_at: Option<Timestamp>,
) -> Client {
    let request = NewKeyRequest {
        kind: CredentialKind::S3,
        tenant: Tenant::new(tenant).unwrap(),
        namespaces: namespaces
            .map(|names| names.iter().map(|name| NamespacePattern::parse(name).unwrap()).collect()),
        prefixes: prefixes.map(|all| all.iter().map(|prefix| KeyPrefix::new(prefix).unwrap()).collect()),
        rights: Rights::parse(rights).unwrap(),
        description: String::new(),
        expires_at,
    };
    match server.access.create_key(request).await.unwrap() {
        NewKey::S3 { access_key, secret_key, .. } => server.client(access_key, secret_key),
        NewKey::Api { .. } => panic!("an S3 key was asked for"),
    }
}

async fn callers(server: &Server) -> Vec<Caller> {
    let acme = async |rights| client(server, "acme", rights, None, None).await;
    let admin = acme(ALL).await;
    let revoked = acme(ALL).await;
    let keys = server.access.list_keys(None).await.unwrap();
    let id = keys.iter().find(|key| key.lookup == revoked.access_key).unwrap().id;
    server.access.revoke_key(id).await.unwrap();
    let expired = client(server, "acme", ALL, None, Some(Timestamp(1))).await;
    let stranger = client(server, "evil", ALL, None, None).await;
    let elsewhere = client(server, "acme", ALL, Some(&["wall", "other*"]), None).await;
    let keys = async |prefixes| bound(server, "acme", "read,write,delete", None, Some(prefixes), None).await;
    let (own, others) = (keys(&["k", "u", "v", "copied"]).await, keys(&["kk", "uu", "other/"]).await);
    let wrong = Client { secret_key: "not-its-secret".into(), ..admin.clone() };
    let unknown = Client { access_key: "JSNOBODY".into(), ..admin.clone() };
    let caller = |name, client: Client, stands| Caller { name, client: Some(client), stands };
    vec![
        Caller { name: "no credential", client: None, stands: Stands::Unproven("AccessDenied") },
        caller("wrong signature", wrong, Stands::Unproven("SignatureDoesNotMatch")),
        caller("unknown key", unknown, Stands::Unproven("InvalidAccessKeyId")),
        caller("expired", expired, Stands::Unproven("InvalidAccessKeyId")),
        caller("revoked", revoked, Stands::Unproven("InvalidAccessKeyId")),
        caller("other tenant", stranger, Stands::Outside { own_tenant: false }),
        caller("other namespace", elsewhere, Stands::Outside { own_tenant: true }),
        caller("read-only", acme("read").await, Stands::Inside("read")),
        caller("write-only", acme("write").await, Stands::Inside("write")),
        caller("delete-only", acme("delete").await, Stands::Inside("delete")),
        caller("admin alone", acme("admin").await, Stands::Inside("admin")),
        caller("bound to these keys", own, Stands::Bound { own_keys: true }),
        caller("bound to other keys", others, Stands::Bound { own_keys: false }),
        caller("admin", admin, Stands::Inside(ALL)),
    ]
}

async fn send(server: &Server, client: Option<&Client>, row: &Row, fixture: &Fixture) -> Answer {
    let (target, body, headers) = ((row.target)(fixture), (row.body)(fixture), (row.headers)(fixture));
    let digest = [("content-md5", md5(&body))];
    let digest = digest.into_iter().filter(|_| row.operation == "DeleteObjects");
    let headers: Vec<_> = headers.into_iter().chain(digest).collect();
    let Some(client) = client else {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{lines}\r\n{body}",
            row.method,
            server.address,
            body.len()
        );
        return raw(server.address, request.as_bytes(), false).await;
    };
    let call = client.call(row.method, target).body(body);
    headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
}

pub(crate) fn md5(text: &str) -> String {
    use base64::Engine as _;
    use md5::Digest as _;
    base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(text.as_bytes()))
}

/// With a bucket whose versions can be locked, where the operation is about that.
async fn fixture(owner: &Client, number: usize, row: &Row) -> Fixture {
    let (bucket, empty) = (format!("walls-{number}"), format!("walls-{number}-empty"));
    owner.put(&format!("/{bucket}"), b"").await.ok();
    owner.put(&format!("/{empty}"), b"").await.ok();
    owner.put(&format!("/{bucket}/k"), b"bytes").await.ok();
    if ["Lock", "Retention", "LegalHold"].iter().any(|about| row.operation.contains(about)) {
        let lockable = owner.call("PUT", format!("/{bucket}-locked"));
        lockable.header("x-amz-bucket-object-lock-enabled", "true").send().await.ok();
        owner.put(&format!("/{bucket}-locked/k"), b"bytes").await.ok();
    }
    let begun = owner.call("POST", format!("/{bucket}/u?uploads")).send().await.ok();
    let upload = begun.xml("UploadId").unwrap();
    let part = owner.put(&format!("/{bucket}/u?partNumber=1&uploadId={upload}"), b"part").await.ok();
    let etag = part.header("etag").unwrap().to_owned();
    Fixture { bucket, empty, upload, etag }
}

#[tokio::test]
async fn every_operation_by_every_caller() {
    let server = Server::start().await;
    let rows = rows();
    let offered = juststorage_s3_gateway::operations().map(|operation| operation.name);
    // A form carries its signature in its body and is tried in `forms`.
    let offered: BTreeSet<_> = offered.filter(|name| *name != "PostObject").collect();
    let listed: BTreeSet<_> = rows.iter().map(|row| row.operation).collect();
    assert_eq!(listed, offered, "every operation has a row, and every row an operation");

    let callers = callers(&server).await;
    let owner = callers.last().unwrap().client.clone().unwrap();
    let nowhere = Fixture {
        bucket: "nowhere".into(),
        empty: "nowhere-either".into(),
        upload: "018bcfe5-687b-7fff-bfff-ffffffffffff".into(),
        etag: "\"x\"".into(),
    };
    for bucket in ["barren", "barren-empty", "barren-locked"] {
        owner.put(&format!("/{bucket}"), b"").await.ok();
    }
    let barren = Fixture {
        bucket: "barren".into(),
        empty: "barren-empty".into(),
        upload: nowhere.upload.clone(),
        etag: nowhere.etag.clone(),
    };
    let mut number = 0;
    for row in &rows {
        let mut untouched = None;
        for caller in &callers {
            number += 1;
            let fixture = match untouched.take() {
                Some(fixture) => fixture,
                None => fixture(&owner, number, row).await,
            };
            if matches!(row.hidden, Hidden::Taken) && matches!(caller.stands, Stands::Outside { .. }) {
                owner.put(&format!("/{}-new", fixture.bucket), b"").await.ok();
            }
            let answer = send(&server, caller.client.as_ref(), row, &fixture).await;
            let context =
                format!("{} by {}: {} {}", row.operation, caller.name, answer.status, answer.text());
            let refused = |status: u16, code: &str| {
                assert_eq!(answer.status, status, "{context}");
                // A HEAD has no body to say more.
                assert!(row.method == "HEAD" || answer.error().1 == code, "{context}");
            };
            match &caller.stands {
                Stands::Unproven(code) => refused(403, code),
                Stands::Outside { own_tenant } => match row.hidden {
                    // As on S3: a name that cannot be taken is no secret. What is in the bucket is one, so that an
                    // empty one answers alike.
                    Hidden::Bucket => {
                        refused(403, "AccessDenied");
                        let nothing = send(&server, caller.client.as_ref(), row, &barren).await;
                        assert_eq!(shape(&answer), shape(&nothing), "{context}");
                        let missing = send(&server, caller.client.as_ref(), row, &nowhere).await;
                        assert_eq!(missing.status, 404, "{context}");
                    }
                    Hidden::Empty => {
                        assert_eq!(answer.status, 200, "{context}");
                        assert!(answer.all("Name").is_empty(), "{context}");
                    }
                    // A caller without the right to make that bucket is refused before anything is looked up.
                    Hidden::Taken if *own_tenant => refused(403, "AccessDenied"),
                    Hidden::Taken => refused(409, "BucketAlreadyExists"),
                },
                Stands::Inside(rights) if row.rights.iter().all(|right| rights.contains(right)) => {
                    assert_eq!(answer.status, row.success, "{context}");
                    assert!(row.success != 200 || !answer.text().contains("<Error>"), "{context}");
                }
                // Its answer is one for each key.
                Stands::Inside(_) if row.operation == "DeleteObjects" => {
                    assert_eq!(
                        (answer.status, answer.all("Code")),
                        (200, vec!["AccessDenied".into()]),
                        "{context}"
                    );
                }
                // Its answer is one for each key.
                Stands::Bound { own_keys } if row.operation == "DeleteObjects" => {
                    assert_eq!(answer.status, 200, "{context}");
                    assert_eq!(answer.text().contains("AccessDenied"), !own_keys, "{context}");
                }
                Stands::Bound { own_keys } if reaches(row, &fixture, *own_keys) => {
                    assert_eq!(answer.status, row.success, "{context}");
                }
                Stands::Inside(_) | Stands::Bound { .. } => refused(403, "AccessDenied"),
            }
            // A refused request changed nothing.
            if answer.status >= 400 || answer.text().contains("AccessDenied") {
                let bytes = owner.get(&format!("/{}/k", fixture.bucket)).await.ok();
                assert_eq!(bytes.text(), "bytes", "{context}");
                let parts =
                    owner.get(&format!("/{}/u?uploadId={}", fixture.bucket, fixture.upload)).await.ok();
                assert_eq!(parts.all("PartNumber").len(), 1, "{context}");
                owner.call("HEAD", format!("/{}", fixture.empty)).send().await.ok();
            }
            // Refused requests and reads leave the fixture as it was.
            if (answer.status >= 400 || ["GET", "HEAD"].contains(&row.method))
                && !matches!(row.hidden, Hidden::Taken)
            {
                untouched = Some(fixture);
            }
        }
    }
}

/// Whether a caller that is bound to prefixes, to those of the table or to others, may do this.
fn reaches(row: &Row, fixture: &Fixture, own_keys: bool) -> bool {
    let target = (row.target)(fixture);
    let path = target.trim_start_matches('/').split('?').next().unwrap();
    let allowed = if path.contains('/') { own_keys } else { OF_BUCKETS.contains(&row.operation) };
    allowed && !row.rights.contains(&"admin")
}

/// An answer without what differs from request to request.
fn shape(answer: &Answer) -> (u16, Vec<String>, Option<String>, Option<String>) {
    let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
    headers.sort();
    (answer.status, headers, answer.xml("Code"), answer.xml("Message"))
}
