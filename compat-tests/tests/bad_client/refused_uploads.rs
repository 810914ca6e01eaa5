//! Clients that send what is refused, and want to know why.

use juststorage_compat_tests::{Database, Options, Server, tools};
use serde_json::Value;

/// Over HTTP/2 too, where a stream that ends before its body does is an error to curl 7.88 and httpx: the answer is lost.
#[tokio::test]
async fn a_refused_upload_is_told_why() {
    let settings = vec![
        ("JUSTSTORAGE_AUTH", "required".to_owned()),
        // As if the disk were full.
        ("JUSTSTORAGE_RESERVE_BYTES", "900TiB".to_owned()),
    ];
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    let token = |rights: &str| {
        let create = ["key", "create", "--kind", "api", "--tenant", "default", "--json", "--rights", rights];
        let made: Value = serde_json::from_str(&server.run_ok(&create)).unwrap();
        made["token"].as_str().unwrap().to_owned()
    };
    let given = [
        ("NATIVE_URL", server.native_url().to_owned()),
        ("READER", token("read")),
        ("WRITER", token("read,write")),
    ];
    tools::run_with(&server, "refused_uploads.py", "openapi", &given);
}
