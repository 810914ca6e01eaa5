//! NATS: each event is published on a subject. It is taken once a stream of JetStream has acknowledged it, or, where the operator
//! wants that, once the server has read it.
//!
//! The protocol is spoken here, and not by the crate async-nats: `docs/decisions/0040-nats.md` says why.

mod connection;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;

use super::payload::payload;
use super::webhook::OpenSecret;
use crate::application::ports::metadata::{OutboxRow, OutboxTarget};
use crate::application::ports::sink::{Sink, Undelivered};
use crate::domain::event::{NatsSecret, TakenBy, TargetName, TargetSettings};
use crate::infrastructure::outbound::GuardedResolver;
use connection::{Connection, Shown};
use wire::Message;

/// JetStream's number for a message that is larger than its stream takes.
const TOO_LARGE_FOR_THE_STREAM: u64 = 10054;

/// Room for what a header takes in a message, beyond its value.
const HEADERS_BYTES: usize = 128;

/// Publishes events on subjects of NATS servers.
pub struct NatsSink {
    region: String,
    open: OpenSecret,
    /// One for each target: its connection is kept.
    targets: Mutex<HashMap<TargetName, Arc<Known>>>,
}

/// A target as it was, and the connection to it. Deliveries share one, and wait while it is made.
struct Known {
    target: OutboxTarget,
    settings: TargetSettings,
    secret: Option<NatsSecret>,
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
}

impl NatsSink {
    /// Of a store in `region`.
    pub fn new(region: String, open: OpenSecret) -> Self {
        Self { region, open, targets: Mutex::default() }
    }

    fn targets(&self) -> MutexGuard<'_, HashMap<TargetName, Arc<Known>>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, target: &OutboxTarget) -> Result<Arc<Known>, String> {
        let mut targets = self.targets();
        if let Some(known) = targets.get(&target.name)
            && known.target == *target
        {
            return Ok(known.clone());
        }
        let settings: TargetSettings = serde_json::from_str(&target.settings)
            .map_err(|error| format!("its settings cannot be read: {error}"))?;
        let secret = match &target.secret {
            None => None,
            Some(sealed) => {
                let text =
                    (self.open)(&target.name, sealed).and_then(|secret| String::from_utf8(secret).ok());
                let text = text.ok_or("its secret cannot be decrypted: was the master key changed?")?;
                Some(NatsSecret::parse(&text).map_err(|invalid| invalid.to_string())?)
            }
        };
        let known = Arc::new(Known {
            target: target.clone(),
            settings,
            secret,
            connection: tokio::sync::Mutex::default(),
        });
        targets.insert(target.name.clone(), known.clone());
        Ok(known)
    }
}

impl Known {
    /// The connection that stands, or a new one: its name is looked up, and the address judged, again.
    async fn connection(&self) -> Result<Arc<Connection>, String> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = held.as_ref().filter(|connection| connection.stands()) {
            return Ok(connection.clone());
        }
        let reach = self.settings.reach().map_err(|invalid| invalid.to_string())?;
        let made =
            Connection::open(&self.settings, self.secret.as_ref(), GuardedResolver::new(reach)).await?;
        Ok(held.insert(Arc::new(made)).clone())
    }

    /// The next delivery connects anew, unless another one did already.
    async fn give_up(&self, connection: &Arc<Connection>) {
        let mut held = self.connection.lock().await;
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, connection)) {
            *held = None;
        }
    }

    async fn send(&self, id: String, content_type: &str, body: String) -> Result<(), Undelivered> {
        let connection = self.connection().await.map_err(Undelivered::Away)?;
        if body.len() + id.len() + content_type.len() + HEADERS_BYTES > connection.max_payload {
            let most = connection.max_payload;
            return Err(Undelivered::Refused(format!("the server takes messages of {most} bytes at most")));
        }
        let shown = match self.settings.taken_by.unwrap_or_default() {
            TakenBy::Stream => Shown::Reply,
            TakenBy::Server => Shown::Pong,
        };
        // A stream drops what it has by this id, within its window.
        let headers = vec![("Nats-Msg-Id", id), ("Content-Type", content_type.to_owned())];
        match connection.publish(headers, Bytes::from(body), shown).await {
            Ok(None) => Ok(()),
            Ok(Some(reply)) => taken(&reply),
            Err(why) => {
                self.give_up(&connection).await;
                Err(Undelivered::Away(why))
            }
        }
    }
}

/// Whether a stream says that it has a message for good.
fn taken(reply: &Message) -> Result<(), Undelivered> {
    if reply.status == Some(503) {
        return Err(Undelivered::Away("no stream has the subject".to_owned()));
    }
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let error = &answer["error"];
    if error.is_object() {
        let why = error["description"].as_str().unwrap_or_default().escape_debug();
        let why = format!("the stream does not take it: {why}");
        let about_it = error["err_code"].as_u64() == Some(TOO_LARGE_FOR_THE_STREAM);
        return Err(if about_it { Undelivered::Refused(why) } else { Undelivered::Away(why) });
    }
    if answer["stream"].is_string() && answer["seq"].as_u64().is_some() {
        return Ok(());
    }
    Err(Undelivered::Away("somebody answers who is no stream".to_owned()))
}

#[async_trait]
impl Sink for NatsSink {
    async fn deliver(&self, target: &OutboxTarget, row: &OutboxRow) -> Result<(), Undelivered> {
        let known = self.known(target).map_err(Undelivered::Away)?;
        let (kind, facts) = row.event.as_ref().map_err(|error| Undelivered::Refused(error.clone()))?;
        let sent = payload(known.settings.format, &self.region, row, *kind, facts);
        let patience = known.settings.patience();
        let send = known.send(row.event_id.to_string(), sent.content_type, sent.body);
        if let Ok(outcome) = tokio::time::timeout(patience, send).await {
            return outcome;
        }
        // What does not answer may be stuck: all begins anew.
        self.targets().remove(&target.name);
        Err(Undelivered::Away(format!("no answer within {} s", patience.as_secs())))
    }

    fn keep(&self, targets: &[TargetName]) {
        self.targets().retain(|name, _| targets.contains(name));
    }
}

#[cfg(test)]
mod tests;
