//! The server: its start in the order that makes it safe, and its end in the opposite one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use juststorage_core::application::access::{Access, AuthMode, JwtKeys};
use juststorage_core::application::admin::{Admin, Events, History};
use juststorage_core::application::commit::CommitterTasks;
use juststorage_core::application::limits::TenantLimits;
use juststorage_core::application::live::LiveReplicas;
use juststorage_core::application::pools::Pools;
use juststorage_core::application::ports::metadata::WriterId;
use juststorage_core::application::reserve::Watching;
use juststorage_core::application::store::Store;
use juststorage_core::application::workers::{
    ClientsWorker, Deliveries, Heartbeat, MirrorSink, Sinks, Supervisor, TakeOver, UpstreamWorker,
    Worker as _, WorkerSetup,
};
use juststorage_core::domain::event::TargetKind;
use juststorage_core::domain::identity::Purpose;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::lifecycle::Day;
use juststorage_core::infrastructure::notify::{NatsSink, OpenSecret, WebhookSink};
use juststorage_native_api::{Build, NativeApi, Surface};
use juststorage_s3_gateway::Gateway;
use tokio_util::sync::CancellationToken;

use crate::Endpoints;
use crate::bootstrap::Bootstrap;
use crate::compose::Parts;
use crate::config::names;
use crate::config::{Config, ConfigError, JwtConfig, JwtSource, LimitsConfig, TlsConfig};
use crate::data_dir::{DataDir, Held};
use crate::descriptors::Descriptors;
use crate::exit_error::ExitError;
pub use crate::home::{HOME_TENANT, home_tenant};
use crate::http::{
    Connections, Front, Listener, NamespaceLabels, Observe, Observing, Patience, Proxies, Server, Times, Tls,
};
use crate::jwks::PublishedJwks;
use crate::master_key;
use crate::telemetry::Metrics;
use crate::version;
use crate::watch::{self, Watch};
use crate::writer;

/// Interval at which recorded values are merged into histograms.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// How long the database may take to note that this server stops.
const SAY_MAX: Duration = Duration::from_secs(1);

/// Least time for the store's own end, after that of the requests.
const STORE_END: Duration = Duration::from_secs(10);

/// A running server. Dropping it without [`Self::shut_down`] is like a crash: nothing is lost, and the next start
/// cleans up.
pub struct Running {
    endpoints: Endpoints,
    servers: Vec<Server>,
    supervisor: Supervisor,
    commits: CommitterTasks,
    parts: Parts,
    writer: WriterId,
    superseded: CancellationToken,
    grace: Duration,
    delay: Duration,
    store: Store,
    upkeep: CancellationToken,
    watch: Watch,
    _room: Watching,
    _held: Held,
}

/// Starts the server. Both fronts answer when this returns.
pub async fn start(config: Config) -> Result<Running, ExitError> {
    let metrics = Metrics::install();
    let descriptors = Descriptors::raise();
    let bootstrap = config.bootstrap.as_deref().map(Bootstrap::load).transpose()?;
    let data_dir = DataDir::make(&config.storage.data_dir)?;
    let held = data_dir.hold()?;
    data_dir.tidy()?;
    let parts = Parts::open_in(data_dir, config.storage.clone(), Purpose::Serve).await?;
    let master_keys = master_key::open(&parts, &config.master_key).await?;
    let watch = Watch::default();
    let [native_tls, s3_tls] = encrypt(&config, &watch)?;
    let admin_tls = native_tls.clone();
    let times = Times {
        idle: config.listen.idle_timeout,
        patience: Patience { stall: config.listen.stall_timeout, rate_min: config.listen.upload_rate_min },
    };
    let connections = Connections::new(descriptors.connections());
    let bind = |front, address| Listener::bind(front, address, times, connections.clone());
    let proxies = Proxies::new(config.listen.trusted_proxies.clone());
    let native = bind(Front::Native, config.listen.native).await?.with_tls(native_tls);
    let native = native.with_proxies(proxies.clone()).with_origins(config.access.origins.clone());
    let admin = match config.listen.admin {
        Some(address) => {
            Some(bind(Front::Native, address).await?.with_tls(admin_tls).with_proxies(proxies.clone()))
        }
        None => None,
    };
    let s3 = bind(Front::S3, config.listen.s3).await?.with_tls(s3_tls).with_proxies(proxies);

    let others = LiveReplicas::default();
    let writer = join(&parts, &others).await?;
    let room = parts.reserve.watch().await;
    let (store, commits) = parts.store(writer, Pools::new(descriptors.transfers()));
    let LimitsConfig { defaults, turns } = config.limits;
    let limits = TenantLimits::among(others.clone(), parts.metadata.clone(), defaults, turns);
    let store = store.with_limits(limits);
    let upstreams = parts.upstreams(master_keys.clone()).await?;
    let store = store.with_acls(config.listen.s3_acls).with_upstreams(upstreams);
    let access = Access::new(
        parts.metadata.clone(),
        parts.clock.clone(),
        master_keys,
        config.access.mode,
        Some(config.access.root.clone()),
        home_tenant()?,
    );
    if config.lifecycle_day != Day::REAL {
        tracing::warn!(day = ?config.lifecycle_day.length(), "a day of lifecycle rules is shortened: for tests only");
    }
    let access = let_tokens_in(access, &config, &watch).await?;
    let superseded = CancellationToken::new();
    let (sinks, deliveries) = (sinks(&parts, &config, &access, &store), Deliveries::default());
    let told = (sinks.clone(), deliveries.clone());
    let supervisor = start_workers(&parts, &store, writer, &config, &superseded, others, told);
    let upkeep = keep_metrics(metrics.clone());
    let history = History::since(parts.clock.now());
    let endpoints = Endpoints {
        native: native.address(),
        admin: admin.as_ref().map(Listener::address),
        s3: s3.address(),
    };
    let admin_api = Admin::new(store.clone(), access.clone())
        .with_workers(supervisor.board(), writer)
        .with_reserve(parts.reserve.clone())
        .with_history(history.clone())
        .with_deliveries(sinks, deliveries);
    if let Some(bootstrap) = bootstrap {
        bootstrap.begin(&admin_api).await?;
    }
    let listeners = Listeners { native, admin, s3 };
    let servers = serve_fronts(&config, store.clone(), access, admin_api, metrics, history, listeners)?;
    announce(&config, &endpoints);
    let (grace, delay) = (config.shutdown_grace, config.shutdown_delay);
    Ok(Running {
        endpoints,
        servers,
        supervisor,
        commits,
        parts,
        writer,
        superseded,
        grace,
        delay,
        store,
        upkeep,
        watch,
        _room: room,
        _held: held,
    })
}

/// Logs where the server answers.
fn announce(config: &Config, endpoints: &Endpoints) {
    tracing::info!(
        native = %config.listen.native_url(endpoints.native),
        s3 = %config.listen.s3_url(endpoints.s3),
        admin = endpoints.admin.map(|address| config.listen.native_url(address)),
        database = %config.storage.database,
        data = %config.storage.data_dir.display(),
        listens = %format_args!("{} {}", endpoints.native, endpoints.s3),
        auth = ?config.access.mode,
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
}

/// The certificates of both fronts, if configured; watches their files.
fn encrypt(config: &Config, watch: &Watch) -> Result<[Option<Tls>; 2], ExitError> {
    let Some(TlsConfig { certificate, key }) = &config.listen.tls else { return Ok([None, None]) };
    let refused = |setting| move |error| ExitError::Config(ConfigError::new(setting, error));
    let texts = watch::read([certificate, key]).map_err(refused(names::TLS_CERT))?;
    let tls = |front| Tls::new(front, &texts[0], &texts[1]).map_err(refused(names::TLS_CERT));
    let both = [tls(Front::Native)?, tls(Front::S3)?];
    let followers = both.clone();
    watch.follow([certificate.clone(), key.clone()], texts, move |[certificate, key]| {
        followers.iter().try_for_each(|tls| tls.replace(certificate, key))
    });
    Ok(both.map(Some))
}

/// Accepts JSON web tokens, if configured; follows the file or the URL of their signing keys.
async fn let_tokens_in(access: Access, config: &Config, watch: &Watch) -> Result<Access, ExitError> {
    let Some(JwtConfig { source, rules }) = &config.access.jwt else { return Ok(access) };
    let invalid = |error: Invalid| ConfigError::new(error.field, error.reason);
    match source {
        JwtSource::Secret(secret) => {
            let keys = JwtKeys::of_secret(secret.as_bytes()).map_err(invalid)?;
            Ok(access.with_jwt(keys, rules.clone()))
        }
        JwtSource::File(path) => {
            let [text] = watch::read([path])
                .map_err(|error| ExitError::Config(ConfigError::new(names::JWT_JWKS, error)))?;
            let access = access.with_jwt(JwtKeys::of_jwks(&text).map_err(invalid)?, rules.clone());
            let follower = access.clone();
            watch.follow([path.clone()], [text], move |[text]| {
                follower.replace_jwt_keys(JwtKeys::of_jwks(text).map_err(|invalid| invalid.to_string())?);
                Ok(())
            });
            Ok(access)
        }
        JwtSource::Url(url, pace) => {
            let source = PublishedJwks::new(url.clone())
                .map_err(|error| ExitError::Config(ConfigError::new(names::JWT_JWKS, error)))?;
            let access = access.with_published_jwt_keys(*pace, rules.clone());
            let follower = access.clone();
            watch.run(async move { follower.follow_key_set(&source).await });
            // An unreachable provider does not keep the store from serving clients that need no token.
            access.key_set_tried().await;
            Ok(access)
        }
    }
}

/// Registers this server with the others of the store, which are counted in `others`; its writer id.
///
/// The lock proves that the previous writer of this directory is dead; the claim proves that the directory is no copy. What
/// the previous writer left is settled before anything is served. That ends its registration, so ours begins after it.
async fn join(parts: &Parts, others: &LiveReplicas) -> Result<WriterId, ExitError> {
    let (metadata, clock) = (parts.metadata.as_ref(), parts.clock.as_ref());
    let writer = writer::claim(metadata, &parts.tiers, clock, &parts.data_dir, parts.storage()).await?;
    take_over(parts).from(writer).await?;
    heartbeat(parts, writer).counting(others.clone()).step().await?;
    metadata.introduce(writer, version::VERSION).await?;
    Ok(writer)
}

fn take_over(parts: &Parts) -> TakeOver {
    TakeOver::new(parts.metadata.clone(), parts.tiers.clone(), parts.clock.clone())
}

fn heartbeat(parts: &Parts, writer: WriterId) -> Heartbeat {
    Heartbeat::new(parts.metadata.clone(), parts.clock.clone(), writer)
}

/// Who delivers what the outbox holds, by the kind of target.
fn sinks(parts: &Parts, config: &Config, access: &Access, store: &Store) -> Sinks {
    let access = access.clone();
    let open: OpenSecret = Arc::new(move |name, sealed| access.open_target_secret(name, sealed));
    let region = || config.listen.region.clone();
    let webhook = WebhookSink::new(region(), parts.clock.clone(), open.clone());
    Sinks::default()
        .with(TargetKind::Webhook, Arc::new(webhook))
        .with(TargetKind::Nats, Arc::new(NatsSink::new(region(), open)))
        .with(TargetKind::Mirror, Arc::new(MirrorSink::new(store.clone())))
}

fn start_workers(
    parts: &Parts,
    store: &Store,
    writer: WriterId,
    config: &Config,
    superseded: &CancellationToken,
    others: LiveReplicas,
    (sinks, deliveries): (Sinks, Deliveries),
) -> Supervisor {
    let upkeep = WorkerSetup {
        metadata: parts.metadata.clone(),
        tiers: parts.tiers.clone(),
        clock: parts.clock.clone(),
        writer,
        superseded: superseded.clone(),
        others,
        retention: config.storage.retention,
        upload_expiry: config.upload_expiry,
        day: config.lifecycle_day,
        scrub_every: config.scrub_every,
        sinks,
        deliveries,
    };
    // By the writer's name, so that a server that comes back has its predecessor's leases at once.
    let supervisor = Supervisor::new(parts.metadata.clone(), parts.clock.clone(), writer.0);
    for worker in upkeep.workers() {
        supervisor.start(worker);
    }
    supervisor.start(Arc::new(UpstreamWorker::new(store.clone()).under_lease()));
    supervisor.start(Arc::new(ClientsWorker::new(store.clone())));
    supervisor
}

/// Merges metrics until the token is cancelled.
fn keep_metrics(metrics: Metrics) -> CancellationToken {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(METRICS_UPKEEP);
        while stopped.run_until_cancelled(ticks.tick()).await.is_some() {
            metrics.upkeep();
        }
    });
    stop
}

/// Every bound address.
struct Listeners {
    native: Listener,
    admin: Option<Listener>,
    s3: Listener,
}

fn serve_fronts(
    config: &Config,
    store: Store,
    access: Access,
    admin: Admin,
    metrics: Metrics,
    history: History,
    listeners: Listeners,
) -> Result<Vec<Server>, ExitError> {
    if config.listen.s3_sigv2 {
        tracing::warn!(
            "JUSTSTORAGE_S3_SIGV2 is on: signatures of version 2 are accepted, which AWS has withdrawn; turn it off \
             once no client needs it"
        );
    }
    if config.listen.s3_acls {
        tracing::warn!(
            "JUSTSTORAGE_S3_ACLS is on: buckets and objects whose owners make them public are read, and written to, \
             by every client that reaches the S3 address"
        );
    }
    let labels = Arc::<NamespaceLabels>::default();
    let gateway = juststorage_s3_gateway::service(Gateway {
        store: store.clone(),
        access: access.clone(),
        region: config.listen.region.clone(),
        domain: config.listen.s3_domain.clone(),
        public_url: config.listen.s3_public_url.clone(),
        tls: config.listen.tls.is_some(),
        sigv2: config.listen.s3_sigv2,
    })
    .map_err(|error| ExitError::unable("start the S3 front", error))?;
    let events = Events::default();
    let api = NativeApi {
        store,
        access,
        admin: admin.with_events(events.clone()),
        build: Build { version: version::VERSION, commit: version::commit(), date: version::date() },
        tls: config.listen.tls.is_some(),
        origins: config.access.origins.clone(),
        s3: Some(config.listen.s3_endpoint(listeners.s3.address())),
        metrics: Arc::new(move || metrics.render()),
    };
    let open = config.access.mode == AuthMode::Disabled;
    let apart = listeners.admin.is_some();
    let surface = Surface { admin: !apart, open_metrics: open, guarded: config.access.guarded };
    let observe = Observing { labels, events, history };
    let native = juststorage_native_api::router(api.clone(), surface);
    let mut servers = vec![
        listeners.native.serve(Observe::new(native, Front::Native, observe.clone())),
        listeners.s3.serve(Observe::new(gateway, Front::S3, observe.clone())),
    ];
    if let Some(listener) = listeners.admin {
        let whole = Surface { admin: true, open_metrics: true, ..surface };
        let router = juststorage_native_api::router(api, whole);
        servers.push(listener.serve(Observe::new(router, Front::Native, observe)));
    }
    Ok(servers)
}

impl Running {
    /// Addresses of the fronts.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Completes once another server has started under this server's writer id; this one must then end.
    pub async fn superseded(&self) {
        self.superseded.cancelled().await;
    }

    /// Ends gracefully: says that it is not ready, goes on for the delay, accepts no more connections, lets requests finish for
    /// the grace period or until `insist` completes, then ends workers, commits, the writer's registration and the
    /// database connections.
    pub async fn shut_down(self, insist: impl Future<Output = ()>) {
        let mut insist = std::pin::pin!(insist.fuse());
        self.store.drain();
        let said = self.parts.metadata.drain(self.writer);
        if let Err(error) = tokio::time::timeout(SAY_MAX, said).await.unwrap_or(Ok(())) {
            tracing::warn!(%error, "the other servers were not told that this one stops");
        }
        let insisted = tokio::select! {
            () = tokio::time::sleep(self.delay) => false,
            () = &mut insist => true,
        };
        let cut = CancellationToken::new();
        let all = self.servers.into_iter().map(|server| server.shut_down(cut.cancelled()));
        let requests = futures::future::join_all(all);
        let deadline = async {
            if !insisted {
                tokio::select! {
                    () = tokio::time::sleep(self.grace) => {}
                    () = &mut insist => {}
                }
            }
            cut.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = requests => {}
            () = deadline => {}
        }

        let (supervisor, commits, parts, writer) = (self.supervisor, self.commits, &self.parts, self.writer);
        let store = async {
            supervisor.shut_down().await;
            commits.shut_down().await;
            if writer::is_superseded(parts.metadata.as_ref(), writer, parts.clock.now()).await {
                tracing::error!(
                    "another server has taken this one's place and continues its unfinished work"
                );
            // A segment that is still registered for this writer is an upload that was cut off.
            } else if let Err(error) = take_over(parts).from(writer).await {
                tracing::warn!(%error, "the writer's registration could not be removed; the next start removes it");
            }
            parts.metadata.close().await;
        };
        if tokio::time::timeout(self.grace.max(STORE_END), store).await.is_err() {
            tracing::error!("the store did not end in time; the next start cleans up");
        }
        self.watch.end();
        self.upkeep.cancel();
    }
}
