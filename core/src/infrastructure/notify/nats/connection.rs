//! A connection to a NATS server: made to an address within reach, over TLS where the URL or the server says so, and shared by
//! the deliveries to a target.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures::StreamExt as _;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::ServerName;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;
use tokio_util::codec::FramedRead;
use tokio_util::task::AbortOnDropHandle;
use tower_service::Service as _;

use super::wire::{Message, Said, Wire, publish};
use crate::domain::event::{NatsSecret, TargetSettings, user_name};
use crate::infrastructure::outbound::{GuardedConnector, GuardedResolver};
use crate::infrastructure::trust;

/// The port of a URL that names none.
const PORT: u16 = 4222;

/// Messages that wait to be written.
const WAITING_MAX: usize = 64;

/// Bytes of what a server says that are told to operators.
const TOLD_BYTES_MAX: usize = 200;

/// Anything that bytes go over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
type Boxed = Box<dyn Stream>;

/// What a server says of itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Info {
    max_payload: usize,
    headers: bool,
    tls_required: bool,
    nonce: String,
}

/// What shows that a message was taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// A message on its reply subject.
    Reply,
    /// That the server has read what came behind it.
    Pong,
}

/// What became of a message: what was replied, if that was waited for. Or the connection ended, and why.
pub(super) type NatsOutcome = Result<Option<Message>, String>;

struct Asked {
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    shown: Shown,
    outcome: oneshot::Sender<NatsOutcome>,
}

/// A connection. It ends with this value.
pub(super) struct Connection {
    asks: mpsc::Sender<Asked>,
    /// Largest message, with its headers.
    pub(super) max_payload: usize,
    task: AbortOnDropHandle<()>,
}

impl Connection {
    /// Connects as `settings` say. The texts of errors hold no secret.
    pub(super) async fn open(
        settings: &TargetSettings,
        secret: Option<&NatsSecret>,
        resolver: GuardedResolver,
    ) -> Result<Self, String> {
        let url: Uri = settings.url.parse().map_err(|error| format!("its URL cannot be used: {error}"))?;
        let subject = settings.subject.clone().ok_or("it has no subject")?;
        let (stream, info) = reach(&url, resolver).await?;
        if !info.headers {
            return Err("the server takes no headers: NATS 2.2 or newer is required".to_owned());
        }
        let (read, mut write) = tokio::io::split(stream);
        let mut said = FramedRead::new(read, Wire::default());
        let inbox = format!("_INBOX.{}", uuid::Uuid::new_v4().simple());
        let hello = format!("CONNECT {}\r\nSUB {inbox}.* 1\r\nPING\r\n", greeting(secret, &info)?);
        write.write_all(hello.as_bytes()).await.map_err(|error| broke(&error))?;
        write.flush().await.map_err(|error| broke(&error))?;
        loop {
            match next(&mut said).await? {
                Said::Pong => break,
                Said::Error(why) => return Err(told(&why)),
                Said::Ping => write.write_all(b"PONG\r\n").await.map_err(|error| broke(&error))?,
                Said::Info(_) | Said::Ok | Said::Message(_) => {}
            }
        }
        let (asks, asked) = mpsc::channel(WAITING_MAX);
        let session =
            Session { subject, inbox, said, write, replies: HashMap::new(), pongs: VecDeque::new() };
        let task = AbortOnDropHandle::new(tokio::spawn(session.run(asked)));
        Ok(Self { asks, max_payload: info.max_payload, task })
    }

    /// Whether it stands, as far as is known.
    pub(super) fn stands(&self) -> bool {
        !self.task.is_finished()
    }

    /// Publishes, and waits until it is shown that this was taken.
    pub(super) async fn publish(
        &self,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
        shown: Shown,
    ) -> NatsOutcome {
        let (outcome, heard) = oneshot::channel();
        let ended = || "the connection ended".to_owned();
        self.asks.send(Asked { headers, body, shown, outcome }).await.map_err(|_| ended())?;
        heard.await.map_err(|_| ended())?
    }
}

/// A stream to a server, and what that says first.
async fn reach(url: &Uri, resolver: GuardedResolver) -> Result<(Boxed, Info), String> {
    let host = url.host().unwrap_or_default();
    let authority: Authority = format!("{host}:{}", url.port_u16().unwrap_or(PORT))
        .parse()
        .map_err(|error| format!("its URL cannot be used: {error}"))?;
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    let uri = Uri::from_parts(parts).map_err(|error| error.to_string())?;
    let stream = GuardedConnector::new(resolver).call(uri).await.map_err(|error| chain(error.as_ref()))?;
    let mut said = FramedRead::new(stream.into_inner(), Wire::default());
    let info: Info = match next(&mut said).await? {
        Said::Info(text) => serde_json::from_slice(&text)
            .map_err(|error| format!("no NATS server: what it says of itself cannot be read: {error}"))?,
        Said::Error(why) => return Err(told(&why)),
        _ => return Err("no NATS server: it does not say what it is".to_owned()),
    };
    if !said.read_buffer().is_empty() {
        // Behind TLS it would be taken as part of what the server proves.
        return Err("no NATS server: it says more than it was asked".to_owned());
    }
    let stream = said.into_inner();
    if !info.tls_required && url.scheme_str() != Some("tls") {
        return Ok((Box::new(stream), info));
    }
    // The authorities are read from the disk.
    let config = tokio::task::spawn_blocking(trust::client).await.map_err(|error| error.to_string())??;
    let name =
        ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    Ok((Box::new(stream.map_err(|error| format!("TLS: {error}"))?), info))
}

/// The argument of `CONNECT`.
fn greeting(secret: Option<&NatsSecret>, info: &Info) -> Result<Value, String> {
    let signed = |seed: &[u8; 32]| {
        if info.nonce.is_empty() {
            return Err("the server asks for no signature: it has no users with nkeys".to_owned());
        }
        let key = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|error| error.to_string())?;
        let signature = URL_SAFE_NO_PAD.encode(key.sign(info.nonce.as_bytes()));
        Ok((user_name(key.public_key().as_ref()), signature))
    };
    let proof: Map<String, Value> = match secret {
        None => Map::new(),
        Some(NatsSecret::Token(token)) => [("auth_token".to_owned(), json!(token))].into_iter().collect(),
        Some(NatsSecret::Password(user, password)) => {
            [("user".to_owned(), json!(user)), ("pass".to_owned(), json!(password))].into_iter().collect()
        }
        Some(NatsSecret::Nkey(seed)) => {
            let (name, signature) = signed(seed)?;
            [("nkey".to_owned(), json!(name)), ("sig".to_owned(), json!(signature))].into_iter().collect()
        }
        Some(NatsSecret::Credentials(jwt, seed)) => {
            let (_, signature) = signed(seed)?;
            [("jwt".to_owned(), json!(jwt)), ("sig".to_owned(), json!(signature))].into_iter().collect()
        }
    };
    let mut greeting = json!({
        "verbose": false, "pedantic": false, "echo": false, "headers": true, "no_responders": true, "protocol": 1,
        "name": "juststorage", "lang": "rust", "version": env!("CARGO_PKG_VERSION"), "tls_required": info.tls_required,
    });
    if let Some(all) = greeting.as_object_mut() {
        all.extend(proof);
    }
    Ok(greeting)
}

/// What goes on over a connection.
struct Session {
    subject: String,
    inbox: String,
    said: FramedRead<ReadHalf<Boxed>, Wire>,
    write: WriteHalf<Boxed>,
    /// Who waits for a message on a subject of the inbox.
    replies: HashMap<u64, oneshot::Sender<NatsOutcome>>,
    /// Who waits for the server to have read so far, in order.
    pongs: VecDeque<oneshot::Sender<NatsOutcome>>,
}

impl Session {
    async fn run(mut self, mut asked: mpsc::Receiver<Asked>) {
        let why = self.serve(&mut asked).await.err().unwrap_or_else(|| "the connection ended".to_owned());
        asked.close();
        let waiting = self.replies.into_values().chain(self.pongs);
        for outcome in waiting {
            let _ = outcome.send(Err(why.clone()));
        }
        while let Ok(ask) = asked.try_recv() {
            let _ = ask.outcome.send(Err(why.clone()));
        }
    }

    async fn serve(&mut self, asked: &mut mpsc::Receiver<Asked>) -> Result<(), String> {
        let mut number = 0;
        loop {
            tokio::select! {
                ask = asked.recv() => {
                    let Some(ask) = ask else { return Ok(()) };
                    number += 1;
                    self.put(ask, number).await.map_err(|error| broke(&error))?;
                }
                said = next(&mut self.said) => match said? {
                    Said::Ping => {
                        self.write.write_all(b"PONG\r\n").await.map_err(|error| broke(&error))?;
                        self.write.flush().await.map_err(|error| broke(&error))?;
                    }
                    Said::Pong => if let Some(outcome) = self.pongs.pop_front() {
                        let _ = outcome.send(Ok(None));
                    },
                    // Which message it is about is not said, so all that are under way have failed.
                    Said::Error(why) => return Err(told(&why)),
                    Said::Message(message) => {
                        let number = message.subject.rsplit('.').next().and_then(|number| number.parse().ok());
                        if let Some(outcome) = number.and_then(|number: u64| self.replies.remove(&number)) {
                            let _ = outcome.send(Ok(Some(message)));
                        }
                    }
                    Said::Info(_) | Said::Ok => {}
                },
            }
        }
    }

    async fn put(&mut self, ask: Asked, number: u64) -> std::io::Result<()> {
        let headers: Vec<_> = ask.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = format!("{}.{number}", self.inbox);
        // Those that nobody waits for any more.
        self.replies.retain(|_, outcome| !outcome.is_closed());
        let frame = match ask.shown {
            Shown::Reply => {
                self.replies.insert(number, ask.outcome);
                publish(&self.subject, Some(&reply), &headers, &ask.body)
            }
            Shown::Pong => {
                self.pongs.push_back(ask.outcome);
                let mut frame = publish(&self.subject, None, &headers, &ask.body);
                frame.extend_from_slice(b"PING\r\n");
                frame
            }
        };
        self.write.write_all(&frame).await?;
        self.write.flush().await
    }
}

async fn next<T: AsyncRead + Unpin>(said: &mut FramedRead<T, Wire>) -> Result<Said, String> {
    match said.next().await {
        Some(Ok(said)) => Ok(said),
        Some(Err(error)) => Err(broke(&error)),
        None => Err("the server ended the connection".to_owned()),
    }
}

fn broke(error: &std::io::Error) -> String {
    error.to_string()
}

fn told(why: &str) -> String {
    format!("the server says: {}", &why[..why.floor_char_boundary(TOLD_BYTES_MAX)])
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
