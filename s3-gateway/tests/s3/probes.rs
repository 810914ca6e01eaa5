//! MinIO's health checks, beside a bucket of the name that they stand under.

use crate::server::{Server, unsigned};

#[tokio::test]
async fn minios_probes_are_answered_and_hide_no_object() {
    let server = Server::start().await;
    for path in ["live", "ready", "cluster"] {
        for method in ["GET", "HEAD"] {
            let answer = unsigned(server.address, method, &format!("/minio/health/{path}"), &[]).await;
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{method} {path}");
        }
    }
    let other = unsigned(server.address, "GET", "/minio/health/other", &[]).await;
    assert_ne!(other.status, 200);
    let s3 = server.root();
    s3.put("/minio", b"").await.ok();
    s3.put("/minio/health/live", b"an object").await.ok();
    assert_eq!(s3.get("/minio/health/live").await.ok().text(), "an object");
    // No owner of the bucket answers in the place of the server.
    let answer = unsigned(server.address, "GET", "/minio/health/live", &[]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}
