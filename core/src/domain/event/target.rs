//! Where events go: declared by the operator, named by the owners of spaces.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::nats::NatsSecret;
use crate::domain::address::Tenant;
use crate::domain::invalid::Invalid;
use crate::domain::reach::Reach;
use crate::domain::space::SpaceId;

/// Most rows that may wait for one target.
pub const ROWS_MAX: u64 = 100_000_000;

/// Rows that may wait for a target unless its operator says otherwise.
const ROWS_DEFAULT: u64 = 1_000_000;

/// How long delivered rows are kept unless the operator says otherwise.
const KEEP_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// Longest time that delivered rows are kept.
const KEEP_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Longest time that a delivery may take: well within a lease, so that two servers never deliver at once.
pub const WEBHOOK_PATIENCE_MAX: Duration = Duration::from_secs(20);

/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Bytes of a secret. A credentials file has a JWT in it.
const WEBHOOK_SECRET_BYTES: RangeInclusive<usize> = 16..=1024;
const NATS_SECRET_BYTES: RangeInclusive<usize> = 1..=16384;

/// Most deliveries at once, and how many there are unless the operator says otherwise.
const CONCURRENCY_MAX: u32 = 64;
const CONCURRENCY_DEFAULT: u32 = 8;

/// How events reach a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// A POST of each event.
    Webhook,
    /// A subject of a NATS server.
    Nats,
    /// Another object store, which is kept as this one is.
    Mirror,
}

impl TargetKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Webhook, Self::Nats, Self::Mirror];

    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::Webhook => 1,
            Self::Nats => 2,
            Self::Mirror => 3,
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Checks a secret: of a webhook it is what signs, of a NATS server what proves this store.
    pub fn validate_secret(self, secret: &str) -> Result<(), Invalid> {
        let (sizes, rule) = match self {
            Self::Nats => (NATS_SECRET_BYTES, "must be 1 to 16384 bytes"),
            _ => (WEBHOOK_SECRET_BYTES, "must be 16 to 1024 bytes"),
        };
        if !sizes.contains(&secret.len()) {
            return Err(Invalid::new("secret", rule));
        }
        if self == Self::Nats { NatsSecret::parse(secret).map(drop) } else { Ok(()) }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Nats => "nats",
            Self::Mirror => "mirror",
        }
    }
}

/// A target's name, unique in the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetName(String);

impl TargetName {
    /// 1 to 63 lower-case letters, digits, `-` and `_`, beginning with a letter or digit.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        if first && text.len() <= 63 && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        let rule = "must be 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit";
        Err(Invalid::new("name", rule))
    }

    /// The name of a target that the store itself makes for a purpose: no operator's name has a dot.
    pub fn internal(purpose: &str, id: i64) -> Self {
        Self(format!("{purpose}.{id}"))
    }

    /// The target by which changes of a space reach its upstream.
    pub fn mirror_of(space: SpaceId) -> Self {
        Self::internal("mirror", space.0)
    }

    /// Reads a name kept in the database.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What becomes of an event for which there is no room any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// The change is refused, so that nothing is missed.
    Refuse,
    /// The event is dropped, counted and logged, so that writes go on.
    #[default]
    Drop,
}

impl Overflow {
    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::Refuse => 1,
            Self::Drop => 2,
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Refuse, Self::Drop].into_iter().find(|overflow| overflow.code() == code)
    }
}

/// What an event looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadFormat {
    /// S3's event message.
    #[default]
    S3,
    /// `CloudEvents` 1.0, structured, around S3's record.
    CloudEvents,
}

/// What shows that a NATS server has taken an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TakenBy {
    /// A stream of `JetStream` acknowledges it: it is kept there.
    #[default]
    Stream,
    /// The server has read it. Who has not subscribed then misses it.
    Server,
}

/// What an operator says about a webhook or a NATS server. Its secret is kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetSettings {
    /// Where it is.
    pub url: String,
    /// What events look like.
    pub format: PayloadFormat,
    /// The NATS subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What shows that a NATS server has taken an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<TakenBy>,
    /// Tenants whose spaces may name it; `None` for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<String>>,
    /// Whether private and loopback addresses are reached.
    pub allow_private: bool,
    /// Further ranges that are reached.
    pub allow_networks: Vec<String>,
    /// Seconds that a delivery may take.
    pub timeout_seconds: u32,
    /// Deliveries at once, each of another key.
    pub concurrency: u32,
    /// Rows that may wait.
    pub rows_max: u64,
    /// What becomes of an event over it.
    pub overflow: Overflow,
    /// Seconds that delivered rows are kept, to be delivered again on request.
    pub keep_seconds: u64,
    /// Whether nothing is delivered for now; events wait.
    pub paused: bool,
}

impl Default for TargetSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            format: PayloadFormat::default(),
            subject: None,
            taken_by: None,
            tenants: None,
            allow_private: false,
            allow_networks: Vec::new(),
            timeout_seconds: 10,
            concurrency: CONCURRENCY_DEFAULT,
            rows_max: ROWS_DEFAULT,
            overflow: Overflow::default(),
            keep_seconds: KEEP_DEFAULT.as_secs(),
            paused: false,
        }
    }
}

impl TargetSettings {
    /// Checks everything but whether the URL's name leads somewhere. Whether a host that is an address is within reach is
    /// checked; a name is judged at each connection.
    pub fn validate(&self, kind: TargetKind) -> Result<(), Invalid> {
        let check =
            |ok: bool, field, rule: &'static str| if ok { Ok(()) } else { Err(Invalid::new(field, rule)) };
        self.validate_url(kind)?;
        let subject = self.subject.as_deref();
        let fits = |b: u8| b.is_ascii_graphic() && !b"*>".contains(&b);
        let is_subject =
            |s: &str| s.len() <= 255 && s.bytes().all(fits) && s.split('.').all(|part| !part.is_empty());
        // What begins with it is for the server's own commands.
        let fit = subject.is_none_or(|s| is_subject(s) && !s.starts_with('$'));
        let rule =
            "must be 1 to 255 visible characters without * and >, no part of it empty, and not begin with $";
        check(fit, "subject", rule)?;
        check(self.taken_by.is_none() || kind == TargetKind::Nats, "taken_by", "is for nats only")?;
        check(
            (subject.is_some()) == (kind == TargetKind::Nats),
            "subject",
            "is required for nats, and only there",
        )?;
        for tenant in self.tenants.iter().flatten() {
            Tenant::new(tenant).map_err(|invalid| Invalid::new("tenants", invalid.reason))?;
        }
        let seconds = u64::from(self.timeout_seconds);
        let most = WEBHOOK_PATIENCE_MAX.as_secs();
        check((1..=most).contains(&seconds), "timeout_seconds", "must be 1 to 20")?;
        check((1..=CONCURRENCY_MAX).contains(&self.concurrency), "concurrency", "must be 1 to 64")?;
        check((1..=ROWS_MAX).contains(&self.rows_max), "rows_max", "must be 1 to 100000000")?;
        check(self.keep_seconds <= KEEP_MAX.as_secs(), "keep_seconds", "must be at most 2592000")
    }

    fn validate_url(&self, kind: TargetKind) -> Result<(), Invalid> {
        let refuse = |reason: String| Err(Invalid::new("url", reason));
        let schemes: &[&str] = if kind == TargetKind::Nats { &["nats", "tls"] } else { &["http", "https"] };
        let Some((scheme, rest)) = self.url.split_once("://").filter(|(scheme, _)| schemes.contains(scheme))
        else {
            return refuse(format!("must begin with {}", schemes.map_to_text()));
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let visible = self.url.bytes().all(|b| b.is_ascii_graphic());
        if self.url.len() > URL_BYTES_MAX || !visible || rest.contains('#') || authority.is_empty() {
            return refuse(format!("must be a URL such as {scheme}://hooks.example/events"));
        }
        if authority.contains('@') {
            return refuse("must not have a user or password in it".to_owned());
        }
        self.reach()?.admit_host(host_of(authority)).map_err(|out| Invalid::new("url", out.to_string()))
    }

    /// The addresses that it may lead to.
    pub fn reach(&self) -> Result<Reach, Invalid> {
        Reach::new(self.allow_private, &self.allow_networks)
    }

    /// Whether spaces of `tenant` may name it.
    pub fn admits(&self, tenant: &Tenant) -> bool {
        self.tenants.as_ref().is_none_or(|tenants| tenants.iter().any(|name| name == tenant.as_str()))
    }

    /// How long a delivery may take.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds))
    }

    /// How long delivered rows are kept.
    pub fn keep(&self) -> Duration {
        Duration::from_secs(self.keep_seconds)
    }
}

/// The host of `host:port`.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

trait MapToText {
    fn map_to_text(&self) -> String;
}

impl MapToText for [&str] {
    fn map_to_text(&self) -> String {
        self.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(url: &str) -> TargetSettings {
        TargetSettings { url: url.to_owned(), ..TargetSettings::default() }
    }

    #[test]
    fn a_webhook_is_a_url_within_reach() {
        for url in ["https://hooks.example/x?y=1", "http://8.8.8.8:80", "https://[2606:4700::1]:8443/"] {
            assert_eq!(hook(url).validate(TargetKind::Webhook), Ok(()), "{url}");
        }
        for url in [
            "",
            "hooks.example",
            "ftp://hooks.example",
            "https://",
            "https://user:pass@hooks.example",
            "https://hooks.example/#x",
            "https://hooks.example/a b",
            "http://127.0.0.1/",
            "http://[::1]:9000/",
            "http://169.254.169.254/latest",
            "http://[::ffff:169.254.169.254]/",
            "nats://hooks.example",
        ] {
            assert!(hook(url).validate(TargetKind::Webhook).is_err(), "{url}");
        }
        let inside = TargetSettings { allow_private: true, ..hook("http://127.0.0.1:9/") };
        assert_eq!(inside.validate(TargetKind::Webhook), Ok(()));
        let metadata = TargetSettings { allow_private: true, ..hook("http://169.254.169.254/") };
        assert!(metadata.validate(TargetKind::Webhook).is_err());
    }

    #[test]
    fn a_nats_target_has_a_subject() {
        let nats =
            |url: &str, subject: &str| TargetSettings { subject: Some(subject.to_owned()), ..hook(url) };
        for url in ["nats://nats.example", "tls://nats.example:4222"] {
            assert_eq!(nats(url, "s3.events.photos").validate(TargetKind::Nats), Ok(()), "{url}");
        }
        for subject in
            ["", "a b", "a.*", "a.>", "a..b", ".a", "a.", "$JS.API.STREAM.DELETE.x", &"a".repeat(256)]
        {
            assert!(nats("nats://nats.example", subject).validate(TargetKind::Nats).is_err(), "{subject:?}");
        }
        for url in ["https://nats.example", "nats://127.0.0.1", "nats://u:p@nats.example"] {
            assert!(nats(url, "a").validate(TargetKind::Nats).is_err(), "{url}");
        }
        assert!(hook("nats://nats.example").validate(TargetKind::Nats).is_err(), "no subject");
        let taken = TargetSettings { taken_by: Some(TakenBy::Server), ..hook("https://hooks.example") };
        assert!(taken.validate(TargetKind::Webhook).is_err());
        assert!(
            TargetKind::Nats.validate_secret("short").is_ok()
                && TargetKind::Nats.validate_secret("").is_err()
        );
        assert!(TargetKind::Webhook.validate_secret("short").is_err());
    }

    #[test]
    fn bounds_are_kept() {
        let good = hook("https://hooks.example/");
        for bad in [
            TargetSettings { timeout_seconds: 0, ..good.clone() },
            TargetSettings { timeout_seconds: 21, ..good.clone() },
            TargetSettings { concurrency: 0, ..good.clone() },
            TargetSettings { rows_max: 0, ..good.clone() },
            TargetSettings { keep_seconds: u64::MAX, ..good.clone() },
            TargetSettings { tenants: Some(vec!["A B".to_owned()]), ..good.clone() },
            TargetSettings { subject: Some("a".to_owned()), ..good.clone() },
        ] {
            assert!(bad.validate(TargetKind::Webhook).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_plain() {
        for name in ["a", "0-a_b"] {
            assert!(TargetName::new(name).is_ok(), "{name}");
        }
        for name in ["", "-a", "A", "a.b", "a:b", &"a".repeat(64)] {
            assert!(TargetName::new(name).is_err(), "{name}");
        }
    }
}
