//! Credentials of a tier that change while the server runs.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::StorageClass;
use juststorage_compat_tests::{Database, Options, Server, wait};

use super::peer::Peer;

/// An access key in files is read again: the one that it takes the place of may be revoked.
#[tokio::test(flavor = "multi_thread")]
async fn an_access_key_in_files_may_change() {
    let peer = Peer::gateway().await;
    let create = || peer.run(&["key", "create", "--kind", "s3", "--tenant", "default", "--json"]);
    let folder = tempfile::tempdir().unwrap();
    let (id, secret) = (folder.path().join("id"), folder.path().join("secret"));
    let write = |credential: &serde_json::Value| {
        std::fs::write(&id, credential["access_key"].as_str().unwrap()).unwrap();
        std::fs::write(&secret, credential["secret_key"].as_str().unwrap()).unwrap();
    };
    let first = create();
    write(&first);
    let settings = vec![
        ("JUSTSTORAGE_COLD_URL", Peer::url("cold")),
        ("JUSTSTORAGE_COLD_AWS_ENDPOINT", peer.options()[0].1.clone()),
        ("JUSTSTORAGE_COLD_AWS_ACCESS_KEY_ID_FILE", id.display().to_string()),
        ("JUSTSTORAGE_COLD_AWS_SECRET_ACCESS_KEY_FILE", secret.display().to_string()),
    ];
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    let client = server.s3();
    client.create_bucket().bucket("bucket").send().await.unwrap();
    let put = async |key: &str| {
        let put = client.put_object().bucket("bucket").key(key).storage_class(StorageClass::StandardIa);
        put.body(ByteStream::from(key.as_bytes().to_vec())).send().await.is_ok()
    };
    assert!(put("before").await);
    let second = create();
    write(&second);
    peer.run(&["key", "revoke", first["id"].as_str().unwrap()]);
    wait::until("the new access key is used", Duration::from_secs(60), async || {
        put("after").await.then_some(())
    })
    .await;
}
