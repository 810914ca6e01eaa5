//! A data directory that an older release left, killed in the middle of its work, opens in this one, validates, and
//! gives back what was put into it. `fixtures/make` makes one with the binary of a release.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use juststorage_compat_tests::{Database, Options, Server, s3};

async fn opens(fixture: &str) {
    let place = tempfile::tempdir().unwrap();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{fixture}.tar.gz"));
    let unpacked = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(place.path()).status().unwrap();
    assert!(unpacked.success());
    let data = place.path().join("data");
    let key: serde_json::Value =
        serde_json::from_slice(&std::fs::read(data.join("fixture-key.json")).unwrap()).unwrap();
    // An upload under way is years old by the time that somebody runs this.
    let settings = vec![("JUSTSTORAGE_UPLOAD_EXPIRY", "36500d".to_owned())];
    let options = Options { data: Some(data), settings, ..Options::default() };
    let mut server = Server::start_with(Database::Sqlite, options).await;

    // The key was encrypted by the older binary; the bucket names the space of its tenant.
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    let client = s3::client(server.s3_url(), &text("access_key"), &text("secret_key"));
    let parts = [vec![b'p'; 5 << 20], b"the last part".to_vec()].concat();
    let large = vec![0; 2_000_000];
    let expected: [(&str, &[u8]); 6] = [
        ("cold", b"cold bytes"),
        ("empty", b""),
        ("large", &large),
        ("parts", &parts),
        ("same", b"hello, version one"),
        ("small", b"hello, version one"),
    ];
    assert_eq!(s3::keys(&client, "demo", "").await, expected.map(|(key, _)| key.to_owned()));
    for (key, bytes) in expected {
        assert!(s3::get(&client, "demo", key).await == bytes, "{key}");
    }
    let head = client.head_object().bucket("demo").key("small").send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/plain"));
    assert_eq!(head.metadata().unwrap()["origin"], "fixture");
    let uploads = client.list_multipart_uploads().bucket("demo").send().await.unwrap();
    assert_eq!(uploads.uploads().len(), 1, "the upload that was under way goes on");

    server.assert_valid();
    server.run_ok(&["scrub"]);
    s3::empty(&client, "demo").await;
    server.assert_nothing_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn format_1_opens() {
    opens("format-1").await;
}
