//! Webhooks: a POST of each event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use http_body_util::Full;

use super::payload::payload;
use super::signature::{SignatureKey, sign};
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{OutboxRow, OutboxTarget};
use crate::application::ports::sink::{Sink, Undelivered};
use crate::domain::event::{TargetName, TargetSettings};
use crate::infrastructure::outbound::{GuardedResolver, OutboundClient, OutboundFailure};

/// Makes a client for what a resolver gives out. It reads the certificate authorities of this machine from its disk.
type Connect = fn(GuardedResolver) -> Result<OutboundClient, String>;

/// Opens a target's secret, given its name and what is stored.
pub type OpenSecret = Arc<dyn Fn(&TargetName, &[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// Bytes of an answer that are told to operators.
const TOLD_BYTES_MAX: usize = 200;

/// Sends events to webhooks.
pub struct WebhookSink {
    region: String,
    clock: Arc<dyn Clock>,
    open: OpenSecret,
    connect: Connect,
    /// One for each target, with what the target was then: its connections are kept.
    clients: Mutex<HashMap<TargetName, (OutboxTarget, Arc<Hook>)>>,
}

/// A target, ready to be sent to.
struct Hook {
    settings: TargetSettings,
    client: OutboundClient,
    key: Option<SignatureKey>,
}

impl WebhookSink {
    /// Of a store in `region`.
    pub fn new(region: String, clock: Arc<dyn Clock>, open: OpenSecret) -> Self {
        Self { region, clock, open, connect: OutboundClient::new, clients: Mutex::default() }
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<TargetName, (OutboxTarget, Arc<Hook>)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hook(&self, target: &OutboxTarget) -> Result<Arc<Hook>, Undelivered> {
        if let Some((known, hook)) = self.clients().get(&target.name)
            && known == target
        {
            return Ok(hook.clone());
        }
        let away = |what: String| Undelivered::Away(what);
        let settings: TargetSettings = serde_json::from_str(&target.settings)
            .map_err(|error| away(format!("its settings cannot be read: {error}")))?;
        let reach = settings.reach().map_err(|invalid| away(invalid.to_string()))?;
        let (connect, resolver) = (self.connect, GuardedResolver::new(reach));
        // A disk that does not answer stops no other task of this thread, and no other target.
        let client = tokio::task::spawn_blocking(move || connect(resolver)).await;
        let client = client.map_err(|error| away(error.to_string()))?.map_err(away)?;
        let key = match &target.secret {
            None => None,
            Some(sealed) => {
                let secret = (self.open)(&target.name, sealed);
                let lost = || away("its secret cannot be decrypted: was the master key changed?".to_owned());
                Some(SignatureKey::of(&secret.ok_or_else(lost)?))
            }
        };
        let hook = Arc::new(Hook { settings, client, key });
        self.clients().insert(target.name.clone(), (target.clone(), hook.clone()));
        Ok(hook)
    }
}

#[async_trait]
impl Sink for WebhookSink {
    async fn deliver(&self, target: &OutboxTarget, row: &OutboxRow) -> Result<(), Undelivered> {
        let hook = self.hook(target).await?;
        let (kind, facts) = row.event.as_ref().map_err(|error| Undelivered::Refused(error.clone()))?;
        let sent = payload(hook.settings.format, &self.region, row, *kind, facts);
        let (id, seconds) = (row.event_id.to_string(), self.clock.now().seconds());
        let mut request = Request::post(hook.settings.url.as_str())
            .header(CONTENT_TYPE, sent.content_type)
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds);
        if let Some(key) = &hook.key {
            request = request.header("webhook-signature", sign(key, &id, seconds, &sent.body));
        }
        let request = request
            .body(Full::new(Bytes::from(sent.body)))
            .map_err(|error| Undelivered::Away(format!("its URL cannot be used: {error}")))?;
        let answer = match hook.client.send(request, hook.settings.patience()).await {
            Ok(answer) => answer,
            Err(failure @ (OutboundFailure::OutOfReach(_) | OutboundFailure::TimedOut(_))) => {
                return Err(Undelivered::Away(failure.to_string()));
            }
            Err(OutboundFailure::Broken(why)) => return Err(Undelivered::Away(why)),
        };
        if answer.status.is_success() {
            return Ok(());
        }
        let told =
            String::from_utf8_lossy(&answer.body[..answer.body.len().min(TOLD_BYTES_MAX)]).into_owned();
        let told: String = told.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = format!("the answer is {}: {told}", answer.status);
        Err(if is_about_the_event(answer.status) {
            Undelivered::Refused(text)
        } else {
            Undelivered::Away(text)
        })
    }

    fn keep(&self, targets: &[TargetName]) {
        self.clients().retain(|name, _| targets.contains(name));
    }
}

/// Whether an answer is about this one event, so that others may be taken. All else is about the target: it is moved,
/// misconfigured, overloaded or broken.
fn is_about_the_event(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::domain::event::{Overflow, TargetKind};
    use crate::domain::timestamp::Timestamp;

    struct Midnight;

    impl Clock for Midnight {
        fn now(&self) -> Timestamp {
            Timestamp(0)
        }
    }

    fn sink(connect: Connect) -> WebhookSink {
        let sink = WebhookSink::new("here".to_owned(), Arc::new(Midnight), Arc::new(|_, _| None));
        WebhookSink { connect, ..sink }
    }

    fn target(name: &str) -> OutboxTarget {
        OutboxTarget {
            name: TargetName::new(name).unwrap(),
            kind: TargetKind::Webhook,
            settings: r#"{"url": "https://hooks.example"}"#.to_owned(),
            secret: None,
            rows_max: 1,
            overflow: Overflow::Drop,
            keep: Duration::ZERO,
            created_at: Timestamp(0),
        }
    }

    static DISK: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);

    /// Answers once another task of the same thread lets it.
    fn slow_disk(resolver: GuardedResolver) -> Result<OutboundClient, String> {
        let disk = DISK.lock().unwrap().take();
        match disk.map(|disk| disk.recv_timeout(Duration::from_secs(10))) {
            Some(Err(_)) => Err("a disk that is waited for stops everything else".to_owned()),
            _ => OutboundClient::new(resolver),
        }
    }

    #[tokio::test]
    async fn a_slow_disk_stops_no_other_task() {
        let (answer, disk) = mpsc::channel();
        *DISK.lock().unwrap() = Some(disk);
        let (sink, one, other) = (sink(slow_disk), target("one"), target("other"));
        let unstuck = async {
            // Another target has its client meanwhile.
            while DISK.lock().unwrap().is_some() {
                tokio::task::yield_now().await;
            }
            sink.hook(&other).await.map(drop)?;
            answer.send(()).map_err(|error| Undelivered::Away(error.to_string()))
        };
        let (hook, unstuck) = tokio::join!(sink.hook(&one), unstuck);
        assert_eq!((hook.map(drop), unstuck), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn the_client_of_a_removed_target_goes() {
        let sink = sink(OutboundClient::new);
        for name in ["one", "other"] {
            sink.hook(&target(name)).await.map(drop).unwrap();
        }
        sink.keep(&[TargetName::new("other").unwrap()]);
        let left: Vec<_> = sink.clients().keys().map(ToString::to_string).collect();
        assert_eq!(left, ["other"]);
    }
}
