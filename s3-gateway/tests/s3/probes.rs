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

/// Refused by name, with what does the same, for every sender; unless a bucket of that name is there, and it is no client
/// of MinIO's that asks.
#[tokio::test]
async fn the_admin_api_of_minio_is_refused_by_name() {
    let server = Server::start().await;
    let s3 = server.root();
    let refused = |answer: &crate::server::Answer, piece: &str| {
        assert_eq!(answer.error(), (501, "NotImplemented".to_owned()), "{}", answer.text());
        assert!(answer.text().contains(piece), "{}", answer.text());
    };
    for (method, path, piece) in [
        ("GET", "/minio/admin/v3/info", "juststorage stats"),
        ("GET", "/minio/admin/v3/list-users", "key create"),
        ("PUT", "/minio/admin/v3/add-user?accessKey=alice", "key create"),
        ("DELETE", "/minio/admin/v3/remove-user?accessKey=alice", "key create"),
        ("PUT", "/minio/admin/v3/set-bucket-quota?bucket=photos", "limits set"),
        ("POST", "/minio/admin/v3/service?action=restart", "service manager"),
        ("GET", "/minio/v2/metrics/cluster", "/metrics"),
    ] {
        refused(&s3.call(method, path).send().await, piece);
    }
    let scraped = "GET /minio/v2/metrics/cluster HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer eyJ\r\nconnection: close\r\n\r\n";
    refused(&crate::server::raw(server.address, scraped.as_bytes(), false).await, "/metrics");
    // The answer is not kept from one who proves nothing: it tells nothing.
    let anonymous = "GET /minio/admin/v3/info HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(crate::server::raw(server.address, anonymous.as_bytes(), false).await.status, 403);

    s3.put("/minio", b"").await.ok();
    s3.put("/minio/admin/v3/info", b"an object").await.ok();
    assert_eq!(s3.get("/minio/admin/v3/info").await.ok().text(), "an object");
    assert_eq!(s3.get("/minio/admin/v3/none").await.error(), (404, "NoSuchKey".to_owned()));
    let of_minio = s3
        .call("GET", "/minio/admin/v3/info")
        .header("user-agent", "MinIO (linux; amd64) madmin-go/3.0.70 mc/DEV");
    refused(&of_minio.send().await, "juststorage stats");
    let written = s3
        .call("PUT", "/minio/admin/v3/info")
        .header("user-agent", "MinIO (linux; amd64) madmin-go/3.0.70 mc/DEV");
    refused(&written.body("gone?").send().await, "juststorage stats");
    assert_eq!(s3.get("/minio/admin/v3/info").await.ok().text(), "an object");
}
