//! Upstreams of spaces: bound, looked at, and left by operators.

mod report;

use std::sync::Arc;

use super::mirrors::MirrorStatus;
use super::{Admin, allow_operator};
use crate::application::commit::refused;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{BoundSpace, PassKind, Refusal, SpaceRef, UpstreamPass};
use crate::application::upstream::refusal;
use crate::domain::address::SpaceAddress;
use crate::domain::invalid::Invalid;
use crate::domain::principal::Principal;
use crate::domain::space::{Space, Versioning};
use crate::domain::upstream::clients::Seen;
use crate::domain::upstream::{
    Addressing, Binding, Compared, MirrorSettings, Mode, Target, plan_detach, plan_mode, plan_return,
};

pub use report::{check_report, report_keys};

/// How often a change is decided again whose space's settings change meanwhile.
const ATTEMPTS_MAX: u32 = 16;

/// Longest secret key, in bytes.
const SECRET_BYTES_MAX: usize = 1024;

/// A change of a space's upstream: what is not named stays.
#[derive(Clone, Default)]
pub struct UpstreamChange {
    /// `http://host:port` or `https://host:port`.
    pub endpoint: Option<String>,
    /// The bucket there.
    pub bucket: Option<String>,
    /// What its keys begin with.
    pub prefix: Option<String>,
    /// Region of the signatures.
    pub region: Option<String>,
    /// How its bucket is named.
    pub addressing: Option<Addressing>,
    /// The public part of its credential.
    pub access_key: Option<String>,
    /// The secret part.
    pub secret_key: Option<String>,
    /// How far the space leaves it.
    pub mode: Option<Mode>,
    /// Whether its address may be private.
    pub allow_private: Option<bool>,
    /// Requests per second of background work; the inner `None` is no bound.
    #[allow(clippy::option_option)] // absent, none, a value
    pub requests_per_second: Option<Option<u32>>,
    /// Bytes per second of background work.
    #[allow(clippy::option_option)] // as above
    pub bytes_per_second: Option<Option<u64>>,
    /// Changes that may wait to be sent, in the mode `mirror`.
    pub mirror_rows_max: Option<u64>,
    /// Whether a change over that is refused.
    pub mirror_refuse: Option<bool>,
    /// Seconds that a change waits until the upstream has it; the inner `None`: it does not wait.
    #[allow(clippy::option_option)] // as above
    pub mirror_wait_seconds: Option<Option<u32>>,
    /// Whether what is here wins over what the upstream has by now, where a space comes again to it.
    pub keep_here: bool,
}

/// A space, its upstream, and what was done about it.
#[derive(Clone, Debug)]
pub struct UpstreamStatus {
    /// The space and what it is bound to.
    pub bound: BoundSpace,
    /// The last pass of each kind.
    pub passes: Vec<UpstreamPass>,
    /// Its mirror, if there ever was one.
    pub mirror: Option<MirrorStatus>,
}

impl UpstreamStatus {
    /// Whether every version is mirrored, and not the latest alone: where they are kept on both sides, as the last survey found.
    pub fn mirrors_versions(&self) -> bool {
        let survey = self.passes.iter().find(|pass| pass.kind == PassKind::Survey);
        let report = survey.and_then(|pass| serde_json::from_str::<serde_json::Value>(&pass.report).ok());
        let there = report.is_some_and(|report| report["settings"]["versioning"] == "Enabled");
        self.bound.space.versioning != Versioning::Off && there
    }
}

impl UpstreamChange {
    /// The target that it comes to, over what was there.
    fn target(&self, before: Option<&Target>) -> Result<Target, Invalid> {
        let required = |field, said: &Option<String>, before: Option<&String>| {
            said.clone().or_else(|| before.cloned()).ok_or_else(|| Invalid::new(field, "is required"))
        };
        let or = |said: &Option<String>, before: Option<&String>, default: &str| {
            said.clone().or_else(|| before.cloned()).unwrap_or_else(|| default.to_owned())
        };
        let endpoint = required("endpoint", &self.endpoint, before.map(|target| &target.endpoint))?;
        let target = Target {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            bucket: required("upstream_bucket", &self.bucket, before.map(|target| &target.bucket))?,
            prefix: or(&self.prefix, before.map(|target| &target.prefix), ""),
            region: or(&self.region, before.map(|target| &target.region), "us-east-1"),
            addressing: self.addressing.or(before.map(|target| target.addressing)).unwrap_or_default(),
            access_key: required("access_key", &self.access_key, before.map(|target| &target.access_key))?,
            allow_private: self
                .allow_private
                .or(before.map(|target| target.allow_private))
                .unwrap_or_default(),
            requests_per_second: self
                .requests_per_second
                .unwrap_or_else(|| before.and_then(|target| target.requests_per_second)),
            bytes_per_second: self
                .bytes_per_second
                .unwrap_or_else(|| before.and_then(|target| target.bytes_per_second)),
            mirror: self.mirror(before.map(|target| target.mirror).unwrap_or_default()),
        };
        target.validate()?;
        Ok(target)
    }

    fn mirror(&self, before: MirrorSettings) -> MirrorSettings {
        MirrorSettings {
            rows_max: self.mirror_rows_max.unwrap_or(before.rows_max),
            refuse: self.mirror_refuse.unwrap_or(before.refuse),
            wait_seconds: self.mirror_wait_seconds.unwrap_or(before.wait_seconds),
        }
    }

    fn secret(&self, before: Option<&Target>, target: &Target) -> Result<Option<&str>, Invalid> {
        let refused = |reason: &'static str| Err(Invalid::new("secret_key", reason));
        match (&self.secret_key, before) {
            (Some(secret), _) if secret.is_empty() || secret.len() > SECRET_BYTES_MAX => {
                refused("must be 1 to 1024 bytes")
            }
            (Some(secret), _) => Ok(Some(secret)),
            (None, None) => refused("is required"),
            // Otherwise who may change an endpoint could have the secret sent to one of its own.
            (None, Some(before))
                if (&before.endpoint, &before.access_key) != (&target.endpoint, &target.access_key) =>
            {
                refused("must be given again for another endpoint or access key")
            }
            (None, Some(_)) => Ok(None),
        }
    }
}

impl Admin {
    /// Spaces that have an upstream, in order of namespace and tenant, after one.
    pub async fn upstreams(
        &self,
        who: &Principal,
        after: Option<&SpaceAddress>,
        limit: u32,
    ) -> Result<Vec<UpstreamStatus>> {
        allow_operator(who)?;
        let (mut all, figures) = (Vec::new(), self.store.metadata.outbox_figures().await?);
        for bound in self.store.metadata.bound(after, limit).await? {
            let passes = self.store.metadata.passes(bound.space.id).await?;
            let mirror = self.mirror(bound.space.id, &figures).await?;
            all.push(UpstreamStatus { bound, passes, mirror });
        }
        Ok(all)
    }

    /// The upstream of a space.
    pub async fn upstream(&self, who: &Principal, address: &SpaceAddress) -> Result<UpstreamStatus> {
        allow_operator(who)?;
        let (space, binding) = self.bound(address).await?;
        let passes = self.store.metadata.passes(space.id).await?;
        let mirror = self.mirror(space.id, &self.store.metadata.outbox_figures().await?).await?;
        let changed_at = space.created_at;
        let bound = BoundSpace { space, binding: (*binding).clone(), changed_at };
        Ok(UpstreamStatus { bound, passes, mirror })
    }

    async fn bound(&self, address: &SpaceAddress) -> Result<(Space, Arc<Binding>)> {
        let space = self.store.metadata.space(&SpaceRef::Space(address.clone())).await?;
        let space = space.ok_or(Error::NoSuchSpace)?;
        let settings = self.store.settings_at(space.id, space.settings).await?;
        let binding = settings.upstream.clone().ok_or(Error::NoSuchUpstream)?;
        Ok((space, binding))
    }

    /// Binds a space to an upstream, or changes how: what `change` does not name stays. The upstream must answer, take the
    /// credential, have the bucket, and be another store.
    pub async fn set_upstream(
        &self,
        who: &Principal,
        address: &SpaceAddress,
        change: &UpstreamChange,
    ) -> Result<UpstreamStatus> {
        allow_operator(who)?;
        let mode =
            change.mode.map(plan_mode).transpose().map_err(|why| Invalid::new("mode", why.to_string()))?;
        let store = &self.store;
        store.metadata.make_space(address, store.clock.now()).await?;
        for _ in 0..ATTEMPTS_MAX {
            let space = store.metadata.space(&SpaceRef::Space(address.clone())).await?;
            let space = space.ok_or(Error::NoSuchSpace)?;
            let settings = store.settings_at(space.id, space.settings).await?;
            let before = settings.upstream.as_deref();
            let target = change.target(before.map(|binding| &binding.target))?;
            let secret = change.secret(before.map(|binding| &binding.target), &target)?;
            let sealed = match (secret, before) {
                (Some(secret), _) => store.links.sealed(space.id, &target, secret)?,
                (None, Some(before)) => before.sealed.clone(),
                (None, None) => return Err(Error::Internal),
            };
            let mode = mode.or(before.map(|binding| binding.mode)).unwrap_or(Mode::Observe);
            let from = before.map(|binding| binding.mode);
            self.check_return(&space, from, mode, change.keep_here).await?;
            let binding = Binding { mode, target, sealed };
            let link = store.links.connect(space.id, &binding)?.map_err(|error| refusal(&error))?;
            link.probe().await.map_err(|error| refusal(&error))?;
            let now = store.clock.now();
            // With the binding: a server that dies right after it leaves no mode without the work that it begins with.
            let passes: &[PassKind] = match binding.mode {
                Mode::Mirror => &[PassKind::Survey, PassKind::Mirror],
                Mode::Observe | Mode::ReadThrough | Mode::Detached => &[PassKind::Survey],
            };
            match store.metadata.bind_upstream(address, &binding, Some(space.settings), passes, now).await? {
                Err(Refusal::Changed) => {}
                bound => {
                    bound.map_err(refused)?;
                    store.policied.changed();
                    audit(who, address, &binding);
                    self.board.wake("upstream", false);
                    if binding.mode == Mode::Mirror {
                        self.board.wake("outbox", false);
                    }
                    return self.upstream(who, address).await;
                }
            }
        }
        Err(Error::Conflict)
    }

    /// Refuses a mode by which what is here would win over what clients have written to the upstream meanwhile.
    async fn check_return(&self, space: &Space, from: Option<Mode>, to: Mode, keep: bool) -> Result<()> {
        let remembers = self.store.metadata.remembers(space.id).await?;
        let refreshed = compared(&self.store.metadata.passes(space.id).await?, PassKind::Refresh, space);
        let planned = plan_return(from, to, (remembers, keep), refreshed, self.store.clock.now());
        Ok(planned.map_err(|why| Invalid::new("mode", why.to_string()))?)
    }

    /// Forgets the upstream of a space, and what was removed here and is there still. Only of a space that does not read
    /// through.
    pub async fn forget_upstream(&self, who: &Principal, address: &SpaceAddress) -> Result<()> {
        allow_operator(who)?;
        let (space, binding) = self.bound(address).await?;
        if binding.mode.reads_through() {
            return Err(
                Invalid::new("mode", "must be observe or detached: objects are still read through").into()
            );
        }
        self.store.metadata.unbind_upstream(address, space.settings).await?.map_err(refused)?;
        self.store.policied.changed();
        tracing::info!(target: "audit", principal = who.name, space = %address, "upstream forgotten");
        Ok(())
    }

    /// The clients that were seen in a space since it has an upstream, the one that was seen last first. What this process
    /// counted is among it; other servers write theirs down every few seconds.
    pub async fn upstream_clients(&self, who: &Principal, address: &SpaceAddress) -> Result<Vec<Seen>> {
        allow_operator(who)?;
        let (space, _) = self.bound(address).await?;
        self.store.write_clients().await?;
        Ok(self.store.metadata.clients(space.id).await?)
    }

    /// Begins a pass over the upstream of a space, unless one of its kind is under way.
    pub async fn begin_pass(
        &self,
        who: &Principal,
        address: &SpaceAddress,
        kind: PassKind,
    ) -> Result<UpstreamStatus> {
        self.begin(who, address, kind, "{}").await
    }

    /// Begins a refresh that also removes here what was removed upstream.
    pub async fn refresh_and_remove(
        &self,
        who: &Principal,
        address: &SpaceAddress,
    ) -> Result<UpstreamStatus> {
        self.begin(who, address, PassKind::Refresh, r#"{"remove":true}"#).await
    }

    async fn begin(
        &self,
        who: &Principal,
        address: &SpaceAddress,
        kind: PassKind,
        report: &str,
    ) -> Result<UpstreamStatus> {
        allow_operator(who)?;
        let (space, binding) = self.bound(address).await?;
        if kind == PassKind::Backfill && !binding.mode.reads_through() {
            return Err(Invalid::new("mode", "must be read-through: only then are objects kept").into());
        }
        if kind == PassKind::Refresh && binding.mode != Mode::Observe {
            let why = "must be observe: no client may use what is here while it is let go";
            return Err(Invalid::new("mode", why).into());
        }
        if kind == PassKind::Mirror && binding.mode != Mode::Mirror {
            return Err(Invalid::new("mode", "must be mirror: only then is anything sent").into());
        }
        let now = self.store.clock.now();
        let pass = UpstreamPass { report: report.to_owned(), ..UpstreamPass::new(&space, kind, now) };
        self.store.metadata.begin_pass(&pass).await?;
        self.board.wake("upstream", false);
        self.upstream(who, address).await
    }

    /// Leaves the upstream of a space: requests are answered by this store alone. Takes a comparison without findings that
    /// was made in the present mode, within the last hour.
    pub async fn detach(&self, who: &Principal, address: &SpaceAddress) -> Result<UpstreamStatus> {
        allow_operator(who)?;
        let (space, binding) = self.bound(address).await?;
        let passes = self.store.metadata.passes(space.id).await?;
        let compared = compared(&passes, PassKind::Verify, &space);
        let now = self.store.clock.now();
        let mirrored = self.mirrored(space.id).await?;
        let mode =
            plan_detach(compared, mirrored, now).map_err(|why| Invalid::new("verify", why.to_string()))?;
        let binding = Binding { mode, ..(*binding).clone() };
        let bound =
            self.store.metadata.bind_upstream(address, &binding, Some(space.settings), &[], now).await?;
        bound.map_err(refused)?;
        self.store.policied.changed();
        audit(who, address, &binding);
        self.upstream(who, address).await
    }
}

/// What the last pass of a kind came to that is done, by the present settings of its space.
fn compared(passes: &[UpstreamPass], kind: PassKind, space: &Space) -> Option<Compared> {
    let pass = passes.iter().find(|pass| pass.kind == kind && pass.revision == space.settings)?;
    let report = serde_json::from_str::<serde_json::Value>(&pass.report);
    let clean = report.is_ok_and(|report| report["clean"] == true);
    Some(Compared { clean, finished_at: pass.finished_at? })
}

fn audit(who: &Principal, address: &SpaceAddress, binding: &Binding) {
    tracing::info!(
        target: "audit",
        principal = who.name,
        space = %address,
        endpoint = binding.target.endpoint,
        bucket = binding.target.bucket,
        prefix = binding.target.prefix,
        mode = binding.mode.as_str(),
        "upstream set"
    );
}
