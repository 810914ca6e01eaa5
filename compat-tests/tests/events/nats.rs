//! NATS as a target, with the server of the package `nats-server`, which `scripts/prepare clients` installs.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use juststorage_compat_tests::tls::Certificate;
use juststorage_compat_tests::{Database, Options, Server, ports, s3, tools, wait};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{BUCKET, LONG, admin};

/// A user's seed, and its public key: of the documentation of nkeys.
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const USER: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const TOKEN: &str = "the-token-of-this-test";

/// A NATS server. It ends with this value.
struct Bus {
    port: u16,
    directory: TempDir,
    child: Child,
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Bus {
    /// With a stream's files, an nkey for the store and a password for the test.
    async fn with_streams() -> Self {
        let directory = tempfile::Builder::new().prefix("juststorage-nats-").tempdir().unwrap();
        let config = format!(
            "jetstream {{ store_dir: \"{}\" }}\n\
             authorization {{ users: [ {{ nkey: {USER}, permissions: {{ publish: \"s3.>\", subscribe: \"_INBOX.>\" }} }}, \
             {{ user: test, password: \"{TOKEN}\" }} ] }}\n",
            directory.path().join("streams").display()
        );
        Self::start(directory, &config).await
    }

    /// With TLS and a token, and no streams.
    async fn with_tls(certificate: &Certificate) -> Self {
        let directory = tempfile::Builder::new().prefix("juststorage-nats-").tempdir().unwrap();
        let config = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\" }}\nauthorization {{ token: \"{TOKEN}\" }}\n",
            certificate.path().display(),
            certificate.key().display()
        );
        Self::start(directory, &config).await
    }

    async fn start(directory: TempDir, config: &str) -> Self {
        let port = ports::free();
        std::fs::write(directory.path().join("config"), format!("listen: \"127.0.0.1:{port}\"\n{config}"))
            .unwrap();
        let child = Self::spawn(&directory);
        let bus = Self { port, directory, child };
        bus.listens().await;
        bus
    }

    fn spawn(directory: &TempDir) -> Child {
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(directory.path().join("config")).env("PATH", tools::path());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nats-server starts")
    }

    async fn listens(&self) {
        let port = self.port;
        wait::until("NATS listens", LONG, async || TcpStream::connect(("127.0.0.1", port)).ok().map(drop))
            .await;
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn again(&mut self) {
        self.child = Self::spawn(&self.directory);
        self.listens().await;
    }

    /// Asks the server something.
    fn ask(&self, subject: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let (hello, body) = (json!({"verbose": false, "user": "test", "pass": TOKEN}), body.to_string());
        write!(stream, "CONNECT {hello}\r\nSUB in 1\r\nPUB {subject} in {}\r\n{body}\r\n", body.len())
            .unwrap();
        let mut reader = BufReader::new(stream);
        let size = loop {
            let mut line = String::new();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0, "{subject}: no answer");
            assert!(!line.starts_with("-ERR"), "{subject}: {line}");
            if line.starts_with("MSG in 1 ") {
                break line.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
            }
        };
        let mut answer = vec![0; size];
        reader.read_exact(&mut answer).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    /// What the stream has: the id and the body of each message.
    fn kept(&self) -> Vec<(String, Value)> {
        let last = self.ask("$JS.API.STREAM.INFO.EVENTS", &json!({}))["state"]["last_seq"].as_u64().unwrap();
        let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
        (1..=last)
            .map(|seq| {
                let message =
                    self.ask("$JS.API.STREAM.MSG.GET.EVENTS", &json!({"seq": seq}))["message"].take();
                let headers = String::from_utf8(decoded(&message["hdrs"])).unwrap();
                let id =
                    headers.split_once("Nats-Msg-Id: ").unwrap().1.split('\r').next().unwrap().to_owned();
                (id, serde_json::from_slice(&decoded(&message["data"])).unwrap())
            })
            .collect()
    }
}

async fn declare(server: &Server, url: &str, more: Value) {
    let mut body = json!({
        "kind": "nats", "url": url, "subject": "s3.events", "allow_private": true, "timeout_seconds": 2,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, target) = admin(server, Method::PUT, "/targets/bus", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{target}");
}

async fn tested(server: &Server) -> Value {
    admin(server, Method::POST, "/targets/bus/test", None).await.1
}

/// Events wait without a stream, arrive once there is one, and all of them although NATS is killed.
#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_in_a_stream() {
    if !tools::are_there("events on NATS", &["nats-server"]) {
        return;
    }
    let mut bus = Bus::with_streams().await;
    let server = Server::start(Database::Sqlite).await;
    server.made(SEED);
    declare(&server, &format!("nats://127.0.0.1:{}", bus.port), json!({"secret": SEED})).await;
    let alone = tested(&server).await;
    assert!(alone["error"].as_str().is_some_and(|why| why.contains("no stream")), "{alone}");
    let made = bus.ask(
        "$JS.API.STREAM.CREATE.EVENTS",
        &json!({"name": "EVENTS", "subjects": ["s3.>"], "storage": "file"}),
    );
    assert_eq!(made["config"]["name"], "EVENTS", "{made}");
    assert_eq!(tested(&server).await, json!({"delivered": true, "error": null}));

    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let rules = json!({"rules": [{"id": "all", "arn": "arn:juststorage:sqs::bus:nats", "events": ["s3:ObjectCreated:*"]}]});
    let (status, set) =
        admin(&server, Method::PUT, "/spaces/photos/default/notifications", Some(rules)).await;
    assert!(status.is_success(), "{set}");
    let mut written = Vec::new();
    for n in 0..60 {
        match n {
            20 => bus.kill(),
            40 => bus.again().await,
            _ => {}
        }
        let (key, body) = (format!("k{}", n % 3), Bytes::from(n.to_string()));
        let tag = s3::put(&server.s3(), BUCKET, &key, body).await;
        written.push((key, tag.trim_matches('"').to_owned()));
    }
    wait::until("nothing waits", LONG, async || {
        let (_, target) = admin(&server, Method::GET, "/targets/bus", None).await;
        (target["waiting"] == 0).then_some(())
    })
    .await;
    let (mut ids, mut arrived) = (HashSet::new(), Vec::new());
    for (id, event) in bus.kept() {
        let object = &event["Records"][0]["s3"]["object"];
        if let (Some(key), true) = (object["key"].as_str(), ids.insert(id)) {
            arrived.push((key.to_owned(), object["eTag"].as_str().unwrap().to_owned()));
        }
    }
    for key in ["k0", "k1", "k2"] {
        let of = |all: &[(String, String)]| -> Vec<String> {
            all.iter().filter(|(one, _)| one == key).map(|(_, tag)| tag.clone()).collect()
        };
        assert_eq!(of(&arrived), of(&written), "{key}");
    }
    let (_, target) = admin(&server, Method::GET, "/targets/bus", None).await;
    assert_eq!(
        (&target["kind"], &target["taken_by"], &target["signed"]),
        (&json!("nats"), &json!("stream"), &json!(true))
    );
}

/// The certificate is for the host of the URL, and the token is what lets the store in.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_proves_itself_over_tls() {
    if !tools::are_there("events on NATS over TLS", &["nats-server"]) {
        return;
    }
    let (certificate, other) = (Certificate::of_a_server(), Certificate::of_a_server());
    let bus = Bus::with_tls(&certificate).await;
    for (trusted, token, says) in [
        (&certificate, TOKEN, None),
        (&certificate, "another-token", Some("Authorization")),
        (&other, TOKEN, Some("TLS")),
    ] {
        let settings = vec![("SSL_CERT_FILE", trusted.path().display().to_string())];
        let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::default() }).await;
        server.made(TOKEN);
        // A server with TLS demands it, whatever the URL says.
        for url in [format!("tls://localhost:{}", bus.port), format!("nats://127.0.0.1:{}", bus.port)] {
            declare(&server, &url, json!({"secret": token, "taken_by": "server"})).await;
            let answer = tested(&server).await;
            match says {
                None => assert_eq!(answer["delivered"], true, "{url}: {answer}"),
                Some(says) => assert!(answer["error"].as_str().unwrap().contains(says), "{url}: {answer}"),
            }
        }
    }
}
