//! Against a server that speaks the protocol, and does what a test wants. `compat-tests/tests/events/nats.rs` has the real one.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::*;
use crate::domain::event::{EventKind, Facts, Overflow, TargetKind, user_name};
use crate::domain::space::SpaceId;
use crate::domain::timestamp::Timestamp;

const SUBJECT: &str = "s3.events";
const NONCE: &str = "a-nonce-of-this-test";
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const USER: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

/// What a server does with a message.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    /// A stream has it.
    Keeps,
    /// It answers with this.
    Says(&'static str),
    /// No stream has the subject.
    HasNoStream,
    Nothing,
    /// As on a subject that the user may not publish on.
    Refuses,
    Ends,
}

/// How a server introduces itself.
#[derive(Clone, Copy)]
enum Greets {
    Well,
    With(&'static str),
    Never,
}

struct Inside {
    does: Mutex<Does>,
    greets: Greets,
    connections: AtomicUsize,
    /// What clients said of themselves.
    hellos: Mutex<Vec<Value>>,
    /// Subject, headers and body of what was published.
    taken: Mutex<Vec<(String, String, String)>>,
}

struct Server {
    port: u16,
    inside: Arc<Inside>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(does: Does, greets: Greets) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inside = Arc::new(Inside {
            does: Mutex::new(does),
            greets,
            connections: AtomicUsize::new(0),
            hellos: Mutex::default(),
            taken: Mutex::default(),
        });
        let shared = inside.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { port, inside, task }
    }

    fn does(&self, does: Does) {
        *self.inside.does.lock().unwrap() = does;
    }

    fn taken(&self) -> Vec<(String, String, String)> {
        self.inside.taken.lock().unwrap().clone()
    }

    fn connections(&self) -> usize {
        self.inside.connections.load(Ordering::SeqCst)
    }

    fn target(&self, more: Value) -> OutboxTarget {
        target(&format!("nats://127.0.0.1:{}", self.port), more)
    }
}

/// One connection, to its end.
async fn serve(stream: TcpStream, inside: Arc<Inside>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let info = match inside.greets {
        Greets::Well => {
            let info = json!({"max_payload": 4096, "headers": true, "nonce": NONCE, "server_id": "test"});
            format!("INFO {info}\r\n")
        }
        Greets::With(text) => text.to_owned(),
        Greets::Never => String::new(),
    };
    stream.write_all(info.as_bytes()).await.ok()?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let (verb, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let answer = match verb {
            "CONNECT" => {
                inside.hellos.lock().unwrap().push(serde_json::from_str(rest).unwrap());
                String::new()
            }
            "PING" => "PONG\r\n".to_owned(),
            "HPUB" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let reply = (words.len() == 4).then(|| words[1].to_owned());
                let sizes: Vec<usize> =
                    words[words.len() - 2..].iter().map(|word| word.parse().unwrap()).collect();
                let mut message = vec![0; sizes[1] + 2];
                stream.read_exact(&mut message).await.ok()?;
                let text = String::from_utf8(message).unwrap();
                let (head, body) = text.split_at(sizes[0]);
                let does = *inside.does.lock().unwrap();
                inside.taken.lock().unwrap().push((
                    words[0].to_owned(),
                    head.to_owned(),
                    body.trim_end().to_owned(),
                ));
                did(does, reply)?
            }
            _ => String::new(),
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn did(does: Does, reply: Option<String>) -> Option<String> {
    let message =
        |body: &str| reply.as_ref().map(|reply| format!("MSG {reply} 1 {}\r\n{body}\r\n", body.len()));
    Some(match does {
        Does::Keeps => message(r#"{"stream":"EVENTS","seq":1}"#).unwrap_or_default(),
        Does::Says(body) => message(body).unwrap_or_default(),
        Does::HasNoStream => {
            format!("HMSG {} 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", reply.unwrap_or_default())
        }
        Does::Nothing => String::new(),
        Does::Refuses => "-ERR 'Permissions Violation for Publish to \"s3.events\"'\r\n".to_owned(),
        Does::Ends => return None,
    })
}

fn target(url: &str, more: Value) -> OutboxTarget {
    let mut settings = json!({"url": url, "subject": SUBJECT, "allow_private": true, "timeout_seconds": 20});
    let Value::Object(more) = more else { panic!("no object: {more}") };
    settings.as_object_mut().unwrap().extend(more);
    OutboxTarget {
        name: TargetName::new("bus").unwrap(),
        kind: TargetKind::Nats,
        settings: settings.to_string(),
        secret: None,
        rows_max: 1,
        overflow: Overflow::Drop,
        keep: Duration::ZERO,
        created_at: Timestamp(0),
    }
}

fn row(key: &str) -> OutboxRow {
    OutboxRow {
        seq: 1,
        space: SpaceId(1),
        key: key.to_owned(),
        event_id: Uuid::from_u128(7),
        event: Ok((EventKind::Test, Facts { bucket: "photos".to_owned(), ..Facts::default() })),
        created_at: Timestamp(0),
    }
}

/// Its secrets are not sealed.
fn sink() -> NatsSink {
    NatsSink::new("here".to_owned(), Arc::new(|_, sealed| Some(sealed.to_vec())))
}

fn away(outcome: Result<(), Undelivered>) -> String {
    match outcome {
        Err(Undelivered::Away(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_is_taken_once_a_stream_has_it() {
    let (server, sink) = (Server::start(Does::Keeps, Greets::Well).await, sink());
    sink.deliver(&server.target(json!({})), &row("k")).await.unwrap();
    sink.deliver(&server.target(json!({"format": "cloudevents"})), &row("k")).await.unwrap();
    let taken = server.taken();
    let id = Uuid::from_u128(7).to_string();
    for ((subject, head, body), of) in taken.iter().zip(["application/json", "application/cloudevents+json"])
    {
        assert_eq!(subject, SUBJECT);
        assert!(head.contains(&format!("Nats-Msg-Id: {id}\r\n")) && head.contains(of), "{head}");
        assert!(serde_json::from_str::<Value>(body).unwrap().is_object());
    }
    assert_eq!(taken.len(), 2);
}

/// Whatever goes wrong, the event is not taken, and what fails tells about what.
#[tokio::test]
async fn nothing_is_taken_without_an_acknowledgement() {
    let (server, sink) = (Server::start(Does::HasNoStream, Greets::Well).await, sink());
    let deliver = async || sink.deliver(&server.target(json!({})), &row("k")).await;
    assert!(away(deliver().await).contains("no stream has the subject"));
    server.does(Does::Says(
        r#"{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}"#,
    ));
    assert!(away(deliver().await).contains("maximum messages exceeded"));
    server.does(Does::Says("hello"));
    assert!(away(deliver().await).contains("no stream"));
    server.does(Does::Says(
        r#"{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}"#,
    ));
    assert!(matches!(deliver().await, Err(Undelivered::Refused(_))), "others may be smaller");
    let large = row(&"k".repeat(5000));
    let large = OutboxRow { event: Ok((EventKind::Put, Facts::default())), ..large };
    let refused = sink.deliver(&server.target(json!({})), &large).await;
    assert!(matches!(refused, Err(Undelivered::Refused(ref why)) if why.contains("4096")), "{refused:?}");
    assert_eq!(server.connections(), 1, "none of these ends the connection");
    for (does, says) in [(Does::Refuses, "Permissions Violation"), (Does::Ends, "ended the connection")] {
        server.does(does);
        assert!(away(deliver().await).contains(says), "{says}");
    }
    server.does(Does::Nothing);
    let slow = sink.deliver(&server.target(json!({"timeout_seconds": 1})), &row("k")).await;
    assert_eq!(away(slow), "no answer within 1 s");
    server.does(Does::Keeps);
    deliver().await.unwrap();
}

/// Where the operator says so, what the server has read is taken; what it refuses is not.
#[tokio::test]
async fn the_server_may_be_who_takes_it() {
    let (server, sink) = (Server::start(Does::Nothing, Greets::Well).await, sink());
    let of_server = server.target(json!({"taken_by": "server"}));
    sink.deliver(&of_server, &row("k")).await.unwrap();
    server.does(Does::Refuses);
    assert!(away(sink.deliver(&of_server, &row("k")).await).contains("Permissions Violation"));
    server.does(Does::Ends);
    assert!(away(sink.deliver(&of_server, &row("k")).await).contains("ended the connection"));
    assert_eq!(server.taken().len(), 3);
}

#[tokio::test]
async fn the_store_proves_itself_as_the_secret_says() {
    let (server, sink) = (Server::start(Does::Keeps, Greets::Well).await, sink());
    let file = format!(
        "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n\
         -----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n"
    );
    for secret in ["a-token", "me:secret", SEED, &file] {
        let target = OutboxTarget { secret: Some(secret.as_bytes().to_vec()), ..server.target(json!({})) };
        sink.deliver(&target, &row("k")).await.unwrap();
    }
    let hellos = server.inside.hellos.lock().unwrap().clone();
    assert_eq!(hellos[0]["auth_token"], "a-token");
    assert_eq!((&hellos[1]["user"], &hellos[1]["pass"]), (&json!("me"), &json!("secret")));
    assert_eq!((&hellos[2]["nkey"], &hellos[3]["jwt"]), (&json!(USER), &json!("a.b.c")));
    let Ok(NatsSecret::Nkey(seed)) = NatsSecret::parse(SEED) else { panic!("a seed") };
    let key = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let public = ring::signature::KeyPair::public_key(&key).as_ref().to_vec();
    assert_eq!(user_name(&public), USER);
    for hello in &hellos[2..] {
        let signature = base64::Engine::decode(
            &base64::engine::general_purpose::URL_SAFE_NO_PAD,
            hello["sig"].as_str().unwrap(),
        );
        UnparsedPublicKey::new(&ED25519, &public).verify(NONCE.as_bytes(), &signature.unwrap()).unwrap();
    }
    let lost = NatsSink::new("here".to_owned(), Arc::new(|_, _| None));
    let target = OutboxTarget { secret: Some(vec![1]), ..server.target(json!({})) };
    assert!(away(lost.deliver(&target, &row("k")).await).contains("master key"));
}

/// As a webhook: what is judged is the address, however it is named.
#[tokio::test]
async fn an_address_is_reached_only_where_it_is_allowed() {
    let (server, sink) = (Server::start(Does::Keeps, Greets::Well).await, sink());
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let closed = target(&format!("nats://{host}:{}", server.port), json!({"allow_private": false}));
        away(sink.deliver(&closed, &row("k")).await);
    }
    assert_eq!(server.connections(), 0);
}

/// Each wait has an end, and what is no NATS server is told so.
#[tokio::test]
async fn what_is_no_server_ends() {
    let greetings = [
        (Greets::With("HTTP/1.1 400 Bad Request\r\n\r\n"), "no NATS server"),
        (Greets::With("PING\r\n"), "does not say what it is"),
        (Greets::With("INFO nothing\r\n"), "cannot be read"),
        (Greets::With("-ERR 'maximum connections exceeded'\r\n"), "maximum connections exceeded"),
        (Greets::With("INFO {\"max_payload\":1000}\r\n"), "no headers"),
        (Greets::With("INFO {\"headers\":true,\"tls_required\":true}\r\n+OK\r\n"), "more than it was asked"),
        (Greets::With("INFO {\"headers\":true,\"tls_required\":true}\r\n"), "TLS"),
        (Greets::Never, "no answer within 1 s"),
    ];
    for (greets, says) in greetings {
        let (server, sink) = (Server::start(Does::Keeps, greets).await, sink());
        let why = away(sink.deliver(&server.target(json!({"timeout_seconds": 1})), &row("k")).await);
        assert!(why.contains(says) && server.taken().is_empty(), "{says}: {why}");
    }
}

/// Deliveries share a connection, each gets its own answer, and the connection of a target that is gone goes.
#[tokio::test]
async fn deliveries_share_a_connection() {
    let (server, sink) = (Server::start(Does::Keeps, Greets::Well).await, sink());
    let target = server.target(json!({}));
    let rows: Vec<_> = (0..100).map(|n| row(&n.to_string())).collect();
    let outcomes = join_all(rows.iter().map(|row| sink.deliver(&target, row))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!((server.connections(), server.taken().len()), (1, 100));
    sink.keep(&[]);
    sink.deliver(&target, &row("k")).await.unwrap();
    assert_eq!(server.connections(), 2);
}
