use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use aws_sdk_s3::operation::RequestId as _;
use reqwest::StatusCode;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Place, Server, until};

async fn get(url: String) -> (StatusCode, String) {
    let response = reqwest::get(url).await.unwrap();
    (response.status(), response.text().await.unwrap())
}

async fn store(server: &Server, key: &str, body: &'static str) {
    let response = reqwest::Client::new()
        .post(format!("{}/v1/objects", server.native))
        .header("X-Namespace", "demo")
        .header("X-Tenant", "default")
        .header("X-Key", key)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED, "{}", response.text().await.unwrap());
}

async fn read(server: &Server, key: &str) -> String {
    get(format!("{}/v1/objects/by-key/demo/default/{key}", server.native)).await.1
}

#[tokio::test]
async fn what_one_front_wrote_the_other_reads() {
    let place = Place::new();
    let server = place.serve(&[]);
    let printed = server.printed.join("\n");
    assert!(printed.contains("JustStorage"), "{printed}");
    let s3 = server.s3();
    s3.create_bucket().bucket("demo").send().await.unwrap();

    store(&server, "native.txt", "by the native API").await;
    let object = s3.get_object().bucket("demo").key("native.txt").send().await.unwrap();
    assert_eq!(&object.body.collect().await.unwrap().into_bytes()[..], b"by the native API");

    let body = b"by the S3 front".to_vec();
    s3.put_object().bucket("demo").key("s3.txt").body(body.into()).send().await.unwrap();
    assert_eq!(read(&server, "s3.txt").await, "by the S3 front");
    server.stop();
}

#[tokio::test]
async fn probes_and_metrics_answer() {
    let place = Place::new();
    let server = place.serve(&[]);
    for path in ["health", "ready"] {
        assert_eq!(get(format!("{}/{path}", server.native)).await.0, StatusCode::OK, "{path}");
    }
    let metrics = get(format!("{}/metrics", server.native)).await.1;
    for name in ["activestorage_gc_runs_total", "activestorage_gc_deleted_blobs_total 0"] {
        assert!(metrics.contains(name), "{name} before the first event: {metrics}");
    }

    // An increase from nothing to 1 is none to Prometheus.
    let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/prometheus/alerts.yaml");
    let alerts = std::fs::read_to_string(alerts).unwrap();
    let letters = |c: char| !(c.is_ascii_lowercase() || c == '_');
    let named = alerts.split(letters).filter(|word| word.starts_with("activestorage_"));
    // Of requests there is a series for each status and namespace, of events one for each target from its declaration.
    let labelled =
        |name: &&str| *name != "activestorage_requests_total" && !name.starts_with("activestorage_outbox_");
    let named: BTreeSet<_> = named.filter(labelled).collect();
    assert!(named.len() >= 10, "{named:?}");
    for name in named {
        let mut series = metrics.lines().filter(|line| line.starts_with(name)).peekable();
        assert!(series.peek().is_some(), "no series of {name} before its first event: {metrics}");
        if name.ends_with("_total") && name != "activestorage_gc_runs_total" {
            for line in series {
                assert!(line.ends_with(" 0"), "{line}");
            }
        }
    }
    for volume in ["hot", "cold", "database"] {
        let free = format!("activestorage_free_bytes{{volume=\"{volume}\"}} ");
        let free = metrics.lines().find_map(|line| line.strip_prefix(&free)).expect("a gauge of free bytes");
        assert!(free.parse::<f64>().unwrap() > 0.0, "{volume}: {free}");
    }

    store(&server, "k", "v").await;
    read(&server, "k").await;
    let metrics = get(format!("{}/metrics", server.native)).await.1;
    for line in [
        r#"activestorage_requests_total{method="POST",status="201",namespace="demo"} 1"#,
        r#"activestorage_requests_total{method="GET",status="200",namespace="demo"} 1"#,
        r#"activestorage_request_duration_seconds_bucket{method="GET",namespace="demo",le="+Inf"} 1"#,
        r#"activestorage_objects_total{namespace="demo",tenant="default",status="committed"} 1"#,
        r#"activestorage_storage_bytes{storage_class="hot",namespace="demo"} 1"#,
        "# TYPE activestorage_requests_total counter",
        "# HELP activestorage_requests_total",
    ] {
        assert!(metrics.to_lowercase().contains(&line.to_lowercase()), "{line}: {metrics}");
    }
    server.stop();
}

/// What is used of a quota, what ends, and what the database takes up.
#[tokio::test]
async fn quotas_and_ends_have_gauges() {
    let place = Place::new();
    let server = place.serve(&["--quota-bytes", "1000"]);
    for expires in ["2d", "13d", "30d", "1h"] {
        let made = place
            .program(&["key", "create", "--kind", "api", "--tenant", "default", "--expires", expires])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }
    let limited = place.program(&["limits", "set", "acme", "--objects", "7"]).output().unwrap();
    assert!(limited.status.success(), "{limited:?}");
    store(&server, "k", "a quarter of a thousand bytes, repeated").await;
    let metrics = get(format!("{}/metrics", server.native)).await.1;
    let value = |series: &str| {
        let found = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {series}: {metrics}")).parse::<f64>().unwrap()
    };
    for (series, expected) in [
        (r#"quota_used{tenant="default",quota="bytes"}"#, 39.0),
        (r#"quota_allowed{tenant="default",quota="bytes"}"#, 1000.0),
        (r#"quota_allowed{tenant="default",quota="objects"}"#, 0.0),
        (r#"quota_allowed{tenant="acme",quota="objects"}"#, 7.0),
        (r#"quota_fullest_ratio{quota="bytes"}"#, 0.039),
        (r#"quota_fullest_ratio{quota="objects"}"#, 0.0),
        // Not the one that lasts for a month, and not the one that was made for an hour.
        ("credentials_ending", 2.0),
        ("tls_certificate_expires_timestamp_seconds", 0.0),
        ("commit_queue", 0.0),
    ] {
        let found = value(&format!("activestorage_{series}"));
        assert!((found - expected).abs() < 1e-9, "{series}: {found}");
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let first = value("activestorage_credentials_ending_timestamp_seconds") - now;
    assert!((86_400.0..=2.0 * 86_400.0).contains(&first), "the first ends in {first} s");
    assert!(value("activestorage_database_bytes") >= 4096.0);
    assert!(value("activestorage_commit_wait_seconds_count") >= 1.0);
    server.stop();
}

/// An answer, its log line and the client's own name for the request agree; the log holds no query.
#[tokio::test]
async fn requests_are_named_and_logged() {
    let place = Place::new();
    let server = place.serve(&["--log-format", "text"]);
    let response = reqwest::Client::new()
        .get(format!("{}/v1/objects/by-key/demo/default/none?secret=hush", server.native))
        .header("X-Request-Id", "trace-42")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["x-request-id"], "trace-42");
    let error = server.s3().head_bucket().bucket("none").send().await.unwrap_err();
    let id = error.into_service_error().meta().request_id().unwrap().to_owned();
    let log_file = place.file("server.log");
    server.stop();
    let log = std::fs::read_to_string(log_file).unwrap();
    let line = log.lines().find(|line| line.contains("access") && line.contains("trace-42")).expect(&log);
    assert!(line.contains("404") && line.contains("duration_ms"), "{line}");
    assert!(log.lines().any(|line| line.contains("access") && line.contains(&id)), "{id}: {log}");
    assert!(!log.contains("hush"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test]
async fn a_json_log_holds_the_endpoints_and_nothing_else_is_printed() {
    let place = Place::new();
    let log = std::fs::File::create(place.file("json.log")).unwrap();
    let mut child = place
        .program(&["--log-format", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    // The line is there once the server serves; there is no other sign to wait for.
    let mut line = String::new();
    until("the log does not say that the server serves", async || {
        let log = std::fs::read_to_string(place.file("json.log")).unwrap();
        let serving = log.lines().find(|line| line.contains("\"serving\""));
        serving.inspect(|serving| (*serving).clone_into(&mut line)).is_some()
    })
    .await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let native = line["native"].as_str().unwrap();
    assert_eq!(get(format!("{native}/health")).await.0, StatusCode::OK);
    assert!(line["s3"].is_string());
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.stdout.is_empty());
}

/// What was acknowledged before a kill -9 is there after the restart, at once, and validates.
#[tokio::test]
async fn a_killed_server_comes_back() {
    let place = Place::new();
    let server = place.serve(&[]);
    store(&server, "k", "survives").await;
    // An upload that is under way when the power goes: half of a large body.
    let address = server.native.strip_prefix("http://").unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(
        b"POST /v1/objects HTTP/1.1\r\nHost: localhost\r\nX-Namespace: demo\r\nX-Tenant: default\r\nX-Key: half\r\n\
          Content-Length: 8000000\r\n\r\n",
    )
    .await
    .unwrap();
    half.write_all(&vec![1; 4_000_000]).await.unwrap();
    server.kill();

    let server = place.serve(&[]);
    assert_eq!(read(&server, "k").await, "survives");
    let (status, _) = get(format!("{}/v1/objects/by-key/demo/default/half", server.native)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    server.stop();
    place.json(&["gc"]);
    assert_eq!(place.json(&["validate"])["findings"], serde_json::json!([]));
}

/// SIGTERM lets a request that is under way finish, and takes no new connection.
#[tokio::test]
async fn a_request_under_way_is_finished_before_the_end() {
    let place = Place::new();
    let server = place.serve(&[]);
    let address = server.native.strip_prefix("http://").unwrap().to_owned();
    let mut client = TcpStream::connect(&address).await.unwrap();
    client
        .write_all(
            b"POST /v1/objects HTTP/1.1\r\nHost: localhost\r\nX-Namespace: demo\r\nX-Tenant: default\r\nX-Key: late\r\n\
              Content-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        )
        .await
        .unwrap();
    // The interim answer says that the handler waits for the body.
    let mut interim = [0; 25];
    client.read_exact(&mut interim).await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"));
    server.signal(Signal::TERM);
    while TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    client.write_all(b"done").await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(server.wait().success());
    let server = place.serve(&[]);
    assert_eq!(read(&server, "late").await, "done");
    server.stop();
}

/// A request that does not finish in the grace period is cut off, and the end is still a good one.
#[tokio::test]
async fn the_grace_period_ends() {
    let place = Place::new();
    let server = place.serve(&["--shutdown-grace", "200ms"]);
    let address = server.native.strip_prefix("http://").unwrap().to_owned();
    let mut client = TcpStream::connect(&address).await.unwrap();
    client
        .write_all(
            b"POST /v1/objects HTTP/1.1\r\nHost: localhost\r\nX-Namespace: demo\r\nX-Tenant: default\r\nX-Key: never\r\n\
              Content-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        )
        .await
        .unwrap();
    let mut interim = [0; 25];
    client.read_exact(&mut interim).await.unwrap();
    server.signal(Signal::TERM);
    assert!(server.wait().success());
}

/// A second signal does not wait for the grace period.
#[tokio::test]
async fn a_second_signal_insists() {
    let place = Place::new();
    let server = place.serve(&["--shutdown-grace", "1d"]);
    let address = server.native.strip_prefix("http://").unwrap().to_owned();
    let mut client = TcpStream::connect(&address).await.unwrap();
    client
        .write_all(b"POST /v1/objects HTTP/1.1\r\nHost: localhost\r\nX-Namespace: demo\r\nX-Tenant: default\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        .await
        .unwrap();
    let mut interim = [0; 25];
    client.read_exact(&mut interim).await.unwrap();
    server.signal(Signal::INT);
    while TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.signal(Signal::INT);
    assert!(server.wait().success());
}

#[test]
fn what_is_kept_is_the_owners_alone() {
    let place = Place::new();
    place.serve(&[]).stop();
    let mode = |path: &str| std::fs::metadata(place.data().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("master.key"), 0o600);
}
