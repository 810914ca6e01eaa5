//! Logs and metrics of the process. Each has one recorder, installed once.

mod process;

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;

use crate::config::{ConfigError, LogConfig, LogFormat};

/// Starts logging to standard error. `level` is the default if the configuration has none. A second call in one
/// process changes nothing.
pub fn log(config: &LogConfig, level: &str) -> Result<(), ConfigError> {
    let directives = config.directives.as_deref().unwrap_or(level);
    let mut filter =
        EnvFilter::try_new(directives).map_err(|error| ConfigError::new("RUST_LOG", error.to_string()))?;
    // s3s logs every 4xx answer as an error; the access log has them all.
    if !directives.split(',').any(|directive| directive.trim().starts_with("s3s"))
        && let Ok(quiet) = "s3s=off".parse::<Directive>()
    {
        filter = filter.add_directive(quiet);
    }
    // Always off: it logs the signature that it expects, which a forger could use.
    if let Ok(never) = "s3s::ops::signature=off".parse::<Directive>() {
        filter = filter.add_directive(never);
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // If the log cannot be written, on a full disk for example, requests must not fail: an internal error would be
    // printed to standard error, which panics there.
    let builder = builder.log_internal_errors(false);
    // An error says that there is a subscriber already: another start in this process, or a test's own.
    let _ = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
    };
    Ok(())
}

/// Upper bounds of durations, in seconds: from a cached lookup to a transfer of many gigabytes.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Upper bounds of the number of mutations in a batch.
const BATCH: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Installs the recorder, or finds the one that was installed.
    pub fn install() -> Self {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        let handle = INSTALLED.get_or_init(|| {
            let recorder = builder().build_recorder();
            let handle = recorder.handle();
            // An error says that another recorder is installed already; this one stays empty.
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::warn!("another metrics recorder is installed: /metrics will be empty");
            }
            describe();
            exist();
            handle
        });
        Self(handle.clone())
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> String {
        process::measure();
        self.0.render()
    }

    /// Merges recorded values into histograms; without it they accumulate until the next scrape.
    pub fn upkeep(&self) {
        self.0.run_upkeep();
    }
}

fn builder() -> PrometheusBuilder {
    let buckets = [
        ("activestorage_request_duration_seconds", SECONDS),
        ("activestorage_commit_duration_seconds", SECONDS),
        ("activestorage_commit_wait_seconds", SECONDS),
        ("activestorage_upstream_wait_seconds", SECONDS),
        ("activestorage_cache_fetch_seconds", SECONDS),
        ("activestorage_pack_write_seconds", SECONDS),
        ("activestorage_commit_batch_size", BATCH),
    ];
    buckets.into_iter().fold(PrometheusBuilder::new(), |builder, (name, bounds)| {
        // The only error is an empty list of bounds.
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds).unwrap_or_default()
    })
}

/// Describes every metric.
fn describe() {
    describe_store();
    describe_cache();
    describe_upstreams();
    describe_bounds();
    describe_clients();
    describe_process();
}

/// The cache of what is read from object stores.
fn describe_cache() {
    describe_counter!("activestorage_cache_hits_total", "Pages of 64 KiB that were in memory or on the disk");
    describe_counter!("activestorage_cache_misses_total", "Pages that had to come from the object store");
    describe_counter!(
        "activestorage_cache_read_bytes_total",
        Unit::Bytes,
        "Bytes read from memory, from the disk and from the object store"
    );
    describe_counter!("activestorage_cache_damaged_total", "Pages that did not match their checksum");
    describe_counter!("activestorage_cache_evictions_total", "Pages that gave way to others");
    describe_counter!("activestorage_cache_skipped_total", "Pages not kept on the disk, which was too slow");
    describe_counter!("activestorage_cache_fetches_total", "Range requests to the object store");
    describe_counter!("activestorage_cache_fetch_failures_total", "Range requests that failed");
    describe_gauge!("activestorage_cache_fetches", "Range requests under way");
    describe_gauge!("activestorage_cache_fetches_waiting", "Range requests that wait for their turn");
    describe_histogram!(
        "activestorage_cache_fetch_seconds",
        Unit::Seconds,
        "From a range request to the first byte of its answer"
    );
    describe_gauge!(
        "activestorage_cache_bytes",
        Unit::Bytes,
        "What the cache holds, in memory and on the disk"
    );
    describe_gauge!(
        "activestorage_cache_bytes_max",
        Unit::Bytes,
        "What it may take of the disk; 0: no cache"
    );
    describe_counter!("activestorage_cache_disk_failures_total", "What the cache's disk failed to do");
    describe_gauge!("activestorage_cache_disk_usable", "Whether the cache's disk takes pages: 0 or 1");
}

/// Metrics of storage and of workers.
fn describe_store() {
    describe_counter!("activestorage_requests_total", "Requests answered, by method, status and namespace");
    describe_histogram!(
        "activestorage_request_duration_seconds",
        Unit::Seconds,
        "From a request's header to the end of its answer, by method and namespace"
    );
    describe_gauge!("activestorage_objects_total", "Objects of a space by state");
    describe_gauge!(
        "activestorage_storage_bytes",
        Unit::Bytes,
        "Physical bytes by storage class and namespace"
    );
    describe_counter!("activestorage_gc_runs_total", "Rounds of garbage collection");
    describe_counter!("activestorage_gc_deleted_blobs_total", "Blobs removed by garbage collection");
    describe_counter!(
        "activestorage_gc_deleted_bytes_total",
        Unit::Bytes,
        "Bytes of blobs removed by garbage collection"
    );
    describe_counter!("activestorage_corrupt_reads_total", "Reads of damaged or missing bytes");
    describe_gauge!("activestorage_free_bytes", Unit::Bytes, "Bytes free on the file systems of the store");
    describe_gauge!("activestorage_reserve_bytes", Unit::Bytes, "Bytes that uploads leave free there");
    describe_counter!("activestorage_unreadable_reads_total", "Reads of bytes that the disk fails to return");
    describe_counter!("activestorage_scrub_blobs_total", "Blobs that the scrubber read");
    describe_counter!("activestorage_scrub_bytes_total", Unit::Bytes, "Bytes that the scrubber read");
    describe_counter!(
        "activestorage_scrub_damaged_total",
        "Blobs that the scrubber found damaged, by storage class and finding"
    );
    describe_gauge!(
        "activestorage_scrub_damaged_blobs",
        "Damaged blobs that the last complete scrub pass found"
    );
    describe_gauge!(
        "activestorage_scrub_finished_timestamp_seconds",
        Unit::Seconds,
        "When the last complete scrub pass ended"
    );
    describe_counter!("activestorage_worker_items_total", "Items done by background workers");
    describe_counter!("activestorage_worker_failures_total", "Failed steps of background workers");
    describe_gauge!("activestorage_database_away", "Whether no server of the database accepts writes");
    describe_counter!(
        "activestorage_database_failovers_total",
        "Times that this process went over to another host of the database"
    );
    describe_gauge!("activestorage_replicas", "Servers of the store that live, by what they do");
    describe_gauge!("activestorage_stuck_items", "Items of background work that failed and were put aside");
    describe_gauge!("activestorage_backup_holds", "Backups that hold removal");
    describe_gauge!("activestorage_retained_segments", "Data files without references that are kept for now");
    describe_gauge!("activestorage_retained_bytes", Unit::Bytes, "Bytes of these data files");
    describe_counter!("activestorage_jwks_fetches_total", "Fetches of the JWK set at a URL, by result");
    describe_gauge!(
        "activestorage_jwks_fetched_timestamp_seconds",
        "When the JWK set at a URL was fetched last"
    );
    describe_histogram!("activestorage_commit_batch_size", "Mutations in one transaction");
    describe_histogram!(
        "activestorage_commit_duration_seconds",
        Unit::Seconds,
        "Duration of one durable transaction"
    );
    describe_histogram!(
        "activestorage_pack_write_seconds",
        Unit::Seconds,
        "Time to write a batch of small objects into an object store"
    );
    describe_gauge!("activestorage_small_packs", "Packs of an object store that are not merged yet");
    describe_gauge!("activestorage_outbox_rows", "Events that wait for a target");
    describe_gauge!(
        "activestorage_outbox_lag_seconds",
        Unit::Seconds,
        "How long the oldest of them has waited"
    );
    describe_counter!("activestorage_outbox_delivered_total", "Events that a target has taken");
    describe_counter!("activestorage_outbox_failures_total", "Deliveries that failed");
    describe_counter!(
        "activestorage_outbox_dropped_total",
        "Events dropped because too much waits for their target"
    );
    describe_counter!(
        "activestorage_outbox_refused_total",
        "Changes refused because too much waits for a target"
    );
    describe_gauge!("activestorage_commit_queue", "Changes that wait for their transaction");
    describe_histogram!(
        "activestorage_commit_wait_seconds",
        Unit::Seconds,
        "How long the oldest change of each transaction had waited for it"
    );
    describe_gauge!("activestorage_database_bytes", Unit::Bytes, "Bytes of the database, without its log");
    describe_counter!("activestorage_refused_full_total", "Requests refused because there was no room");
    describe_gauge!("activestorage_quarantined_blobs", "Blobs whose bytes are damaged or cannot be read");
    describe_gauge!(
        "activestorage_servers_apart",
        "Tiers in which a server that lives has another directory than this one"
    );
}

/// Metrics of upstreams.
fn describe_upstreams() {
    describe_histogram!(
        "activestorage_upstream_wait_seconds",
        Unit::Seconds,
        "Time that a change waited until the upstream of its space had it, by outcome: sent or late"
    );
    describe_counter!(
        "activestorage_upstream_reads_total",
        "Reads of spaces with an upstream, by where they were answered from"
    );
    describe_counter!("activestorage_upstream_calls_total", "Calls to upstreams, by call and outcome");
    describe_counter!(
        "activestorage_upstream_pulled_objects_total",
        "Objects fetched from upstreams and kept"
    );
    describe_counter!("activestorage_upstream_pulled_bytes_total", Unit::Bytes, "Bytes of these objects");
    describe_counter!(
        "activestorage_upstream_pull_failures_total",
        "Objects that could not be fetched from upstreams"
    );
    describe_counter!(
        "activestorage_upstream_pulls_left_total",
        "Reads passed on without fetching their object, as too many were fetched at once"
    );
    describe_counter!(
        "activestorage_upstream_mirrored_total",
        "Keys of mirrored spaces that are upstream as they are here, by what was done"
    );
    describe_counter!(
        "activestorage_upstream_mirrored_bytes_total",
        Unit::Bytes,
        "Bytes sent to the upstreams of mirrored spaces"
    );
    describe_counter!(
        "activestorage_upstream_changed_total",
        "Objects upstream that somebody else had changed when a change from here replaced or removed them"
    );
    describe_counter!("activestorage_upstream_work_items_total", "Objects done by work over upstreams");
}

/// Metrics of quotas, and of ends of certificates and credentials.
fn describe_bounds() {
    describe_gauge!(
        "activestorage_quota_used",
        "What a tenant keeps, by tenant and part of its quota: bytes or objects"
    );
    describe_gauge!(
        "activestorage_quota_allowed",
        "What a tenant may keep, by tenant and part of its quota; 0 without a limit"
    );
    describe_gauge!(
        "activestorage_quota_fullest_ratio",
        "Largest share of its quota that any tenant uses, by part of the quota"
    );
    describe_gauge!("activestorage_credentials_ending", "Credentials that end within 14 days");
    describe_gauge!(
        "activestorage_credentials_ending_timestamp_seconds",
        "When the first of these credentials ends; 0 without any"
    );
    describe_gauge!(
        "activestorage_tls_certificate_expires_timestamp_seconds",
        "When the TLS certificate ends; 0 without TLS"
    );
}

/// Metrics of requests, and of refusals.
fn describe_clients() {
    describe_counter!(
        "activestorage_refused_busy_total",
        "Requests answered 503 because a queue was full or a share was not free in time"
    );
    describe_counter!(
        "activestorage_limited_total",
        "Requests refused because their tenant's limit or quota is reached, by reason"
    );
    describe_counter!(
        "activestorage_slowed_down_milliseconds_total",
        "Time that transfers waited for their tenant's rate limit, in milliseconds"
    );
    describe_counter!("activestorage_turns_awaited_total", "Requests that waited for their tenant's turn");
    describe_gauge!(
        "activestorage_pool_held",
        "Amount that requests hold of a pool: bytes of memory, open transfers, pulls from upstreams"
    );
    describe_counter!(
        "activestorage_pool_waits_total",
        "Requests that waited for their tenant's share of a pool"
    );
    describe_counter!(
        "activestorage_pool_refused_total",
        "Requests refused because their tenant's share of a pool was not free in time"
    );
    describe_counter!("activestorage_bodies_cut_total", "Request bodies cut off: stalled, or too slow");
    describe_counter!("activestorage_answers_cut_total", "Responses cut off because the client read nothing");
    describe_counter!(
        "activestorage_failed_requests_total",
        "Requests answered with a status of 500 or more, except 501"
    );
    describe_counter!(
        "activestorage_received_bytes_total",
        Unit::Bytes,
        "Bytes of request bodies received by both fronts"
    );
    describe_counter!(
        "activestorage_sent_bytes_total",
        Unit::Bytes,
        "Bytes of answers' bodies sent by both fronts"
    );
    describe_gauge!("activestorage_connections", "Open connections of both fronts");
    describe_counter!("activestorage_connections_refused_total", "Connections refused: too many are open");
    describe_counter!(
        "activestorage_connections_displaced_total",
        "Idle connections closed to make room for others"
    );
}

/// The process itself.
fn describe_process() {
    describe_gauge!("activestorage_build_info", "Version and commit of this program, as labels; always 1");
    describe_gauge!("activestorage_process_resident_bytes", Unit::Bytes, "Memory that the process holds");
    describe_counter!(
        "activestorage_process_cpu_milliseconds_total",
        "Processor time of all threads, in milliseconds"
    );
    describe_gauge!(
        "activestorage_process_started_timestamp_seconds",
        Unit::Seconds,
        "When the process started"
    );
    describe_gauge!("activestorage_process_open_files", "File descriptors that are open");
    describe_gauge!("activestorage_process_open_files_max", "File descriptors that the system allows");
}

/// Creates the series that dashboards and alerts need before their first event.
fn exist() {
    juststorage_core::application::metrics::exist(&juststorage_core::application::workers::NAMES);
    process::exist();
    for name in [
        "activestorage_answers_cut_total",
        "activestorage_connections_refused_total",
        "activestorage_connections_displaced_total",
        "activestorage_received_bytes_total",
        "activestorage_sent_bytes_total",
    ] {
        counter!(name).absolute(0);
    }
    crate::http::certificate_expires(std::time::Duration::ZERO);
    for status in crate::http::FAILURES {
        counter!("activestorage_failed_requests_total", "status" => status).absolute(0);
    }
    for reason in ["stalled", "slow"] {
        counter!("activestorage_bodies_cut_total", "reason" => reason).absolute(0);
    }
    for result in ["done", "failed"] {
        counter!("activestorage_jwks_fetches_total", "result" => result).absolute(0);
    }
}
