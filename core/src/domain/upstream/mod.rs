//! A space that is bound to an upstream: the store that its data is leaving.
//!
//! What each mode reads and leaves behind, which mode may follow which, and what an upstream's address must be. What proves
//! the bytes of an object is in [`proof`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::invalid::Invalid;
use super::timestamp::Timestamp;

pub mod clients;
pub mod compare;
pub mod proof;

/// How far a space has left its upstream. Later modes are further away; every mode may go back to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Requests are answered by this store alone; the upstream is surveyed.
    Observe,
    /// What is not here is read from the upstream, proved, and kept. Writes and deletes stay here.
    ReadThrough,
    /// As before, and every write and delete also goes to the upstream.
    Mirror,
    /// Requests are answered by this store alone: everything is here.
    Detached,
}

impl Mode {
    /// Every mode, in order.
    pub const ALL: [Self; 4] = [Self::Observe, Self::ReadThrough, Self::Mirror, Self::Detached];

    /// The number kept in the database; 0 is a space without an upstream.
    pub fn code(self) -> i16 {
        match self {
            Self::Observe => 1,
            Self::ReadThrough => 2,
            Self::Mirror => 3,
            Self::Detached => 4,
        }
    }

    /// Reads the number kept in the database; the inner `None` is a space without an upstream.
    #[allow(clippy::option_option)] // unreadable, unbound, a mode
    pub fn from_code(code: i16) -> Option<Option<Self>> {
        if code == 0 {
            return Some(None);
        }
        Self::ALL.into_iter().find(|mode| mode.code() == code).map(Some)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::ReadThrough => "read-through",
            Self::Mirror => "mirror",
            Self::Detached => "detached",
        }
    }

    /// Reads its name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refused = || Invalid::new("mode", "must be observe, read-through or mirror");
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or_else(refused)
    }

    /// Whether an object that is not here is looked for upstream.
    pub fn reads_through(self) -> bool {
        matches!(self, Self::ReadThrough | Self::Mirror)
    }
}

/// Why a mode may not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A space is detached by `detach`, which first compares both sides.
    #[error("a space is detached by detach, which compares both sides first")]
    Detach,
    /// The last comparison found what the store does not have.
    #[error("the comparison of both sides is not clean: see what verify found")]
    NotClean,
    /// Nothing was compared, or not in this mode.
    #[error("both sides were not compared in this mode: run verify first")]
    NotCompared,
    /// The last comparison is too old.
    #[error("both sides were last compared more than an hour ago: run verify again")]
    Old,
    /// Changes wait to be sent to the upstream.
    #[error(
        "{0} changes wait to be sent to the upstream: wait, or go back to read-through while clients write"
    )]
    Waiting(u64),
    /// Changes were not sent to the upstream, and a pass over all keys has not made that good yet.
    #[error("changes were dropped as too many waited: set the mode mirror again, and wait for its pass")]
    Dropped,
    /// Clients may have written to the upstream meanwhile, and what is here would win.
    #[error(
        "clients may have written to the upstream meanwhile, and what is here would win: run refresh in the mode observe first, \
         or say that what is here wins (keep_here)"
    )]
    NotRefreshed,
    /// As before, of what a refresh has left.
    #[error(
        "refresh found what it cannot decide: see its findings, or say that what is here wins (keep_here)"
    )]
    Undecided,
    /// Somebody else writes to the upstream.
    #[error("somebody else changed objects upstream within the last hour: see changed_there in the status")]
    ChangedThere,
}

/// Decides a mode that an operator sets.
pub fn plan_mode(asked: Mode) -> Result<Mode, Refused> {
    match asked {
        Mode::Detached => Err(Refused::Detach),
        Mode::Observe | Mode::ReadThrough | Mode::Mirror => Ok(asked),
    }
}

/// What a comparison of both sides came to, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Whether it found nothing.
    pub clean: bool,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// How old a comparison may be on which a space is detached: whoever still writes to the upstream may have done so since.
pub const COMPARED_WITHIN: Duration = Duration::from_secs(60 * 60);

/// What is known of the mirror of a space, when it is to be detached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mirrored {
    /// Changes that wait to be sent.
    pub waiting: u64,
    /// Whether changes were dropped.
    pub dropped: bool,
    /// When an object was last found upstream that somebody else had changed.
    pub changed_at: Option<Timestamp>,
}

/// Decides whether a space may be detached, on the last comparison that was made by its present settings.
pub fn plan_detach(compared: Option<Compared>, mirrored: Mirrored, now: Timestamp) -> Result<Mode, Refused> {
    match compared {
        _ if mirrored.waiting > 0 => Err(Refused::Waiting(mirrored.waiting)),
        _ if mirrored.dropped => Err(Refused::Dropped),
        _ if mirrored.changed_at.is_some_and(|at| at.plus(COMPARED_WITHIN) >= now) => {
            Err(Refused::ChangedThere)
        }
        None => Err(Refused::NotCompared),
        Some(Compared { clean: false, .. }) => Err(Refused::NotClean),
        Some(Compared { finished_at, .. }) if finished_at.plus(COMPARED_WITHIN) < now => Err(Refused::Old),
        Some(_) => Ok(Mode::Detached),
    }
}

/// Decides whether a space may read through again that did not, while the upstream was the store of its clients. `remembers` is
/// whether anything of it was fetched, sent or removed here, `refreshed` the last refresh by its present settings, and `keep` whether
/// the operator says that what is here wins.
pub fn plan_return(
    from: Option<Mode>,
    to: Mode,
    (remembers, keep): (bool, bool),
    refreshed: Option<Compared>,
    now: Timestamp,
) -> Result<(), Refused> {
    let comes_again = to.reads_through() && from.is_some_and(|from| !from.reads_through());
    if !comes_again || !remembers || keep {
        return Ok(());
    }
    match refreshed {
        Some(Compared { clean: false, .. }) => Err(Refused::Undecided),
        Some(Compared { finished_at, .. }) if finished_at.plus(COMPARED_WITHIN) >= now => Ok(()),
        Some(_) | None => Err(Refused::NotRefreshed),
    }
}

/// How a bucket is named in a request's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// `https://endpoint/bucket/key`.
    #[default]
    Path,
    /// `https://bucket.endpoint/key`.
    Virtual,
}

impl Addressing {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Virtual => "virtual",
        }
    }

    /// Reads its name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "path" => Ok(Self::Path),
            "virtual" => Ok(Self::Virtual),
            _ => Err(Invalid::new("addressing", "must be path or virtual")),
        }
    }
}

/// Where an upstream is, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `http://host:port` or `https://host:port`.
    pub endpoint: String,
    /// The bucket there.
    pub bucket: String,
    /// What the keys there begin with, which is left out here.
    pub prefix: String,
    /// Region of the signatures.
    pub region: String,
    /// How its bucket is named.
    pub addressing: Addressing,
    /// The public part of its credential.
    pub access_key: String,
    /// Whether it may be at a private or loopback address.
    pub allow_private: bool,
    /// Requests per second that background work may make; `None`: as fast as it answers.
    #[serde(default)]
    pub requests_per_second: Option<u32>,
    /// Bytes per second that background work may read; `None`: as fast as they come.
    #[serde(default)]
    pub bytes_per_second: Option<u64>,
    /// How changes are sent to it in the mode [`Mode::Mirror`].
    #[serde(default)]
    pub mirror: MirrorSettings,
}

/// How changes are sent to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MirrorSettings {
    /// Changes that may wait; of a key only the last one waits.
    pub rows_max: u64,
    /// Whether a change over that is refused. Otherwise it is made, and the upstream not told of it until a pass over all keys.
    pub refuse: bool,
    /// Seconds that a change waits until the upstream has it, before it is answered; `None`: it is answered when it is here.
    pub wait_seconds: Option<u32>,
}

/// Longest that a change waits for the upstream, in seconds: well within what clients wait for an answer.
const MIRROR_WAIT_MAX: u32 = 50;

/// Changes that may wait unless the operator says otherwise.
const MIRROR_ROWS_DEFAULT: u64 = 10_000_000;

/// Most changes that may wait.
const MIRROR_ROWS_MAX: u64 = 100_000_000;

impl Default for MirrorSettings {
    fn default() -> Self {
        Self { rows_max: MIRROR_ROWS_DEFAULT, refuse: false, wait_seconds: None }
    }
}

impl MirrorSettings {
    /// Whether a change is refused for which there is no room: also where it is answered only when the upstream has it, which it
    /// would never have.
    pub fn refuses(&self) -> bool {
        self.refuse || self.wait_seconds.is_some()
    }
}

/// Longest value of a target, in bytes.
const VALUE_BYTES_MAX: usize = 1024;

impl Target {
    /// Checks the form of every value. Whether there is such an upstream is found out by asking it.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.validate_endpoint()?;
        let plain = |text: &str| {
            !text.is_empty()
                && text.len() <= VALUE_BYTES_MAX
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if !plain(&self.bucket) || self.bucket.len() > 255 {
            return Err(Invalid::new("upstream_bucket", "must be the name of a bucket"));
        }
        if !plain(&self.region) {
            return Err(Invalid::new("region", "must be the name of a region, such as us-east-1"));
        }
        let visible = |text: &str| {
            !text.is_empty() && text.len() <= VALUE_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic())
        };
        if !visible(&self.access_key) {
            return Err(Invalid::new("access_key", "must be 1 to 1024 visible characters"));
        }
        if self.prefix.len() > 512 || self.prefix.chars().any(char::is_control) {
            let reason = "must be at most 512 bytes, without control characters";
            return Err(Invalid::new("prefix", reason));
        }
        for (field, zero) in [
            ("requests_per_second", self.requests_per_second == Some(0)),
            ("bytes_per_second", self.bytes_per_second == Some(0)),
        ] {
            if zero {
                return Err(Invalid::new(field, "must be at least 1"));
            }
        }
        if !(1..=MIRROR_ROWS_MAX).contains(&self.mirror.rows_max) {
            return Err(Invalid::new("mirror_rows_max", "must be 1 to 100000000"));
        }
        if self.mirror.wait_seconds.is_some_and(|wait| !(1..=MIRROR_WAIT_MAX).contains(&wait)) {
            return Err(Invalid::new("mirror_wait_seconds", "must be 1 to 50"));
        }
        Ok(())
    }

    fn validate_endpoint(&self) -> Result<(), Invalid> {
        let refused = || {
            Invalid::new("endpoint", "must be http://host:port or https://host:port, without path and query")
        };
        let rest = self
            .endpoint
            .strip_prefix("http://")
            .or_else(|| self.endpoint.strip_prefix("https://"))
            .ok_or_else(refused)?;
        let host = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        if rest.is_empty() || rest.len() > 512 || !rest.bytes().all(host) {
            return Err(refused());
        }
        Ok(())
    }

    /// The host of the endpoint, without brackets and port.
    pub fn host(&self) -> &str {
        let rest = self.endpoint.split_once("://").map_or(self.endpoint.as_str(), |(_, rest)| rest);
        if let Some(inside) = rest.strip_prefix('[') {
            return inside.split_once(']').map_or(inside, |(host, _)| host);
        }
        rest.rsplit_once(':').map_or(rest, |(host, _)| host)
    }

    /// The name of `key` there.
    pub fn remote(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// A space's upstream as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// How far the space has left it.
    pub mode: Mode,
    /// Where it is.
    pub target: Target,
    /// The secret key, sealed.
    pub sealed: Vec<u8>,
}

impl Binding {
    /// What the secret is sealed for, so that no other sealed secret can be put in its place: the space's number, the
    /// access key, and the endpoint that is to get it.
    pub fn sealed_for(space: i64, target: &Target) -> String {
        format!("upstream/{space}/{}/{}", target.access_key, target.endpoint)
    }
}

/// The response header that names the [`Source`] of an answer.
pub const SOURCE_HEADER: &str = "x-juststorage-source";

/// The header by which a request tells which stores it came through. A store that finds itself in it refuses: the upstream of
/// one of its spaces is the store itself.
pub const VIA_HEADER: &str = "x-juststorage-via";

/// Where the answer to a read came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// It was here.
    Local,
    /// It was passed on from the upstream, and is not kept by this request.
    Upstream,
    /// It was fetched from the upstream and proved, and is here from now on.
    Pulled,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 3] = [Self::Local, Self::Upstream, Self::Pulled];

    /// Its name, in the response header and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Upstream => "upstream",
            Self::Pulled => "pulled",
        }
    }
}

/// What this store knows of a key of a space that has an upstream, beside its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its object was pulled, and nothing has removed that since.
    Pulled,
    /// It was removed or replaced here: the upstream is not asked for it any more.
    Owned,
    /// It was written here, where nothing was, and brought to the upstream.
    Brought,
}

impl Fate {
    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::Pulled => 1,
            Self::Owned => 2,
            Self::Brought => 3,
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Pulled, Self::Owned, Self::Brought].into_iter().find(|fate| fate.code() == code)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn target() -> Target {
        Target {
            endpoint: "https://minio.example:9000".into(),
            bucket: "old".into(),
            prefix: String::new(),
            region: "us-east-1".into(),
            addressing: Addressing::Path,
            access_key: "OLDKEY".into(),
            allow_private: false,
            requests_per_second: None,
            bytes_per_second: None,
            mirror: MirrorSettings::default(),
        }
    }

    #[test]
    fn a_space_is_detached_on_a_clean_comparison_only() {
        assert_eq!(plan_mode(Mode::Detached), Err(Refused::Detach));
        for mode in [Mode::Observe, Mode::ReadThrough, Mode::Mirror] {
            assert_eq!(plan_mode(mode), Ok(mode), "every mode may go to an earlier one");
        }
        let (then, last) = (Timestamp(1000), Timestamp(1000).plus(COMPARED_WITHIN));
        let compared = |clean| Some(Compared { clean, finished_at: then });
        let quiet = Mirrored::default();
        assert_eq!(plan_detach(None, quiet, then), Err(Refused::NotCompared));
        assert_eq!(plan_detach(compared(false), quiet, then), Err(Refused::NotClean));
        assert_eq!(plan_detach(compared(true), quiet, last), Ok(Mode::Detached));
        assert_eq!(plan_detach(compared(true), quiet, Timestamp(last.0 + 1)), Err(Refused::Old));
        for (mirrored, refused) in [
            (Mirrored { waiting: 1, ..quiet }, Refused::Waiting(1)),
            (Mirrored { dropped: true, ..quiet }, Refused::Dropped),
            (Mirrored { changed_at: Some(then), ..quiet }, Refused::ChangedThere),
        ] {
            assert_eq!(plan_detach(compared(true), mirrored, last), Err(refused));
        }
        let long_ago = Mirrored { changed_at: Some(Timestamp(-1)), ..quiet };
        assert_eq!(plan_detach(compared(true), long_ago, last), Ok(Mode::Detached));
    }

    #[test]
    fn a_space_comes_again_after_a_refresh_only() {
        use Mode::{Detached, Mirror, Observe, ReadThrough};
        let (then, last) = (Timestamp(1000), Timestamp(1000).plus(COMPARED_WITHIN));
        let refreshed = |clean| Some(Compared { clean, finished_at: then });
        let plan = |from, to, refreshed| plan_return(from, to, (true, false), refreshed, last);
        for (from, to) in [(Observe, ReadThrough), (Observe, Mirror), (Detached, ReadThrough)] {
            assert_eq!(plan(Some(from), to, None), Err(Refused::NotRefreshed), "{from:?}");
            assert_eq!(plan(Some(from), to, refreshed(false)), Err(Refused::Undecided));
            assert_eq!(plan(Some(from), to, refreshed(true)), Ok(()));
            let late = Timestamp(last.0 + 1);
            let old = plan_return(Some(from), to, (true, false), refreshed(true), late);
            assert_eq!(old, Err(Refused::NotRefreshed));
            for (remembers, keep) in [(false, false), (true, true)] {
                assert_eq!(plan_return(Some(from), to, (remembers, keep), None, last), Ok(()));
            }
        }
        for (from, to) in [(None, ReadThrough), (Some(ReadThrough), Mirror), (Some(Mirror), Observe)] {
            assert_eq!(plan(from, to, None), Ok(()), "it does not come again");
        }
    }

    #[test]
    fn modes_have_numbers_and_names() {
        for mode in Mode::ALL {
            assert_eq!(Mode::from_code(mode.code()), Some(Some(mode)));
            assert_eq!(Mode::parse(mode.as_str()), Ok(mode));
        }
        assert_eq!((Mode::from_code(0), Mode::from_code(9)), (Some(None), None));
        assert_eq!(Mode::ALL.map(Mode::reads_through), [false, true, true, false]);
    }

    #[test]
    fn a_target_is_an_endpoint_and_nothing_else() {
        assert_eq!(target().validate(), Ok(()));
        for endpoint in [
            "minio:9000",
            "ftp://minio",
            "https://",
            "https://user@minio",
            "https://minio/path",
            "https://minio?x",
            "https://minio#x",
            "http://mi nio",
        ] {
            let refused = Target { endpoint: endpoint.into(), ..target() }.validate().unwrap_err();
            assert_eq!(refused.field, "endpoint", "{endpoint}");
        }
        for (wrong, field) in [
            (Target { bucket: "a/b".into(), ..target() }, "upstream_bucket"),
            (Target { region: String::new(), ..target() }, "region"),
            (Target { access_key: "a b".into(), ..target() }, "access_key"),
            (Target { prefix: "a\nb".into(), ..target() }, "prefix"),
            (Target { requests_per_second: Some(0), ..target() }, "requests_per_second"),
            (Target { bytes_per_second: Some(0), ..target() }, "bytes_per_second"),
            (
                Target { mirror: MirrorSettings { rows_max: 0, ..MirrorSettings::default() }, ..target() },
                "mirror_rows_max",
            ),
        ] {
            assert_eq!(wrong.validate().unwrap_err().field, field);
        }
    }

    #[test]
    fn the_host_is_told_from_the_port() {
        for (endpoint, host) in [
            ("https://minio.example:9000", "minio.example"),
            ("http://127.0.0.1", "127.0.0.1"),
            ("http://[::1]:9000", "::1"),
        ] {
            assert_eq!(Target { endpoint: endpoint.into(), ..target() }.host(), host);
        }
    }

    /// A sealed secret is bound to the place that gets it: an endpoint that is changed needs the secret again.
    #[test]
    fn a_secret_is_sealed_for_one_endpoint() {
        let here = Binding::sealed_for(1, &target());
        let elsewhere = Target { endpoint: "https://other".into(), ..target() };
        assert_ne!(here, Binding::sealed_for(1, &elsewhere));
        assert_ne!(here, Binding::sealed_for(2, &target()));
    }
}
