//! The examples of `docs/api.md` and `docs/admin.md` work as printed.

use std::path::Path;

use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_examples_work_as_printed() {
    let server = Server::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(axum::serve(listener, server.router.clone()).into_future());
    let text = [include_str!("../../../docs/api.md"), include_str!("../../../docs/admin.md")].concat();
    // Every block of shell lines, in order, as one script: later examples use what earlier ones made.
    let blocks: Vec<_> =
        text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 8);
    let script = blocks.concat().replace("127.0.0.1:8080", &address);
    let folder = tempfile::TempDir::new().unwrap();
    let output = run(&script, folder.path()).await;
    serving.abort();
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{errors}");
    assert!(printed.contains("\"size_bytes\":5"), "{printed}");
    assert!(printed.contains("\"code\":\"object_not_found\""), "{printed}");
    assert!(
        printed.contains("\"quota_bytes\":1099511627776") && printed.contains("\"by\":\"rights\""),
        "{printed}"
    );
}

async fn run(script: &str, folder: &Path) -> std::process::Output {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(folder).kill_on_drop(true);
    command.output().await.unwrap()
}
