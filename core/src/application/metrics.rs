//! Every metric that core declares, in one place. Names are a contract with existing dashboards.

pub(crate) mod read_cache;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::verify;
use crate::domain::address::Tenant;
use crate::domain::limits::{Holdings, Quota, QuotaPart};
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Source;

/// The namespace that a request was about. A front puts it into the response's extensions, and the layer
/// that counts requests takes it from there as a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceLabel(pub Arc<str>);

/// Makes every series that an alert names exist before its first event, at 0: an increase from nothing to 1 is none to
/// Prometheus. But for those of which there is one for each status, namespace or space. `workers` are the names of all workers.
pub fn exist(workers: &[&'static str]) {
    for name in [
        "activestorage_gc_runs_total",
        "activestorage_gc_deleted_blobs_total",
        "activestorage_gc_deleted_bytes_total",
        "activestorage_scrub_blobs_total",
        "activestorage_scrub_bytes_total",
        "activestorage_refused_busy_total",
        "activestorage_refused_full_total",
        "activestorage_turns_awaited_total",
        "activestorage_database_failovers_total",
    ] {
        counter!(name).absolute(0);
    }
    for tier in StorageClass::ALL {
        let tier = tier.as_str();
        counter!("activestorage_corrupt_reads_total", "storage_class" => tier).absolute(0);
        counter!("activestorage_unreadable_reads_total", "storage_class" => tier).absolute(0);
        for code in verify::CODES {
            counter!("activestorage_scrub_damaged_total", "storage_class" => tier, "code" => code)
                .absolute(0);
        }
    }
    for &worker in workers {
        counter!("activestorage_worker_items_total", "worker" => worker).absolute(0);
        counter!("activestorage_worker_failures_total", "worker" => worker).absolute(0);
        stuck(worker, 0);
    }
    for reason in ["request_rate", "concurrent_requests", "quota_bytes", "quota_objects"] {
        counter!("activestorage_limited_total", "reason" => reason).absolute(0);
    }
    for pool in ["memory", "transfers", "pulls"] {
        counter!("activestorage_pool_waits_total", "pool" => pool).absolute(0);
        counter!("activestorage_pool_refused_total", "pool" => pool).absolute(0);
    }
    read_cache::exist();
    for source in Source::ALL {
        counter!("activestorage_upstream_reads_total", "source" => source.as_str()).absolute(0);
    }
    for call in ["list", "head", "get", "body", "tags", "attributes", "settings", "put", "delete"] {
        for outcome in ["done", "refused", "away", "not_tried"] {
            counter!("activestorage_upstream_calls_total", "call" => call, "outcome" => outcome).absolute(0);
        }
    }
    for work in ["survey", "backfill", "verify", "mirror"] {
        counter!("activestorage_upstream_work_items_total", "work" => work).absolute(0);
    }
    for step in ["sent", "tagged", "removed", "equal", "version_removed"] {
        counter!("activestorage_upstream_mirrored_total", "step" => step).absolute(0);
    }
    counter!("activestorage_upstream_mirrored_bytes_total").absolute(0);
    counter!("activestorage_upstream_changed_total").absolute(0);
    counter!("activestorage_upstream_pulled_objects_total").absolute(0);
    counter!("activestorage_upstream_pulled_bytes_total").absolute(0);
    counter!("activestorage_upstream_pull_failures_total").absolute(0);
    counter!("activestorage_upstream_pulls_left_total").absolute(0);
    retained(0, 0, 0);
    commit_queue(0);
    database_bytes(0);
    database_away(false);
    replicas(0, 0);
    QuotasShown::default().show([]);
    credentials_ending(0, None);
    quarantined(0);
    servers_apart(0);
    for direction in ["upload", "download"] {
        slowed_down(direction, Duration::ZERO);
    }
    let _ = histogram!("activestorage_commit_batch_size");
    let _ = histogram!("activestorage_commit_wait_seconds");
    for outcome in ["sent", "late"] {
        let _ = histogram!("activestorage_upstream_wait_seconds", "outcome" => outcome);
    }
    let _ = histogram!("activestorage_commit_duration_seconds");
}

/// The series of a target of the outbox exist from the start: an alert names them.
pub(crate) fn outbox_exists(target: &str) {
    for name in [
        "activestorage_outbox_delivered_total",
        "activestorage_outbox_failures_total",
        "activestorage_outbox_dropped_total",
        "activestorage_outbox_refused_total",
    ] {
        counter!(name, "target" => target.to_owned()).increment(0);
    }
}

/// What waits for a target, and for how long the oldest of it has.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; rows and seconds are far below 2^53
pub(crate) fn outbox_waiting(target: &str, rows: u64, lag: Duration) {
    gauge!("activestorage_outbox_rows", "target" => target.to_owned()).set(rows as f64);
    gauge!("activestorage_outbox_lag_seconds", "target" => target.to_owned()).set(lag.as_secs_f64());
}

/// Events were delivered.
pub(crate) fn outbox_delivered(target: &str, events: u64) {
    counter!("activestorage_outbox_delivered_total", "target" => target.to_owned()).increment(events);
}

/// A delivery failed; it is tried again.
pub(crate) fn outbox_failed(target: &str) {
    counter!("activestorage_outbox_failures_total", "target" => target.to_owned()).increment(1);
}

/// Events were dropped, as too much waits for their target.
pub(crate) fn outbox_dropped(target: &str, events: u64) {
    counter!("activestorage_outbox_dropped_total", "target" => target.to_owned()).increment(events);
}

/// A change was refused, as too much waits for a target.
pub(crate) fn outbox_refused(target: &str) {
    counter!("activestorage_outbox_refused_total", "target" => target.to_owned()).increment(1);
}

/// A read of a space that reads through to an upstream was answered from there, or from here.
pub(crate) fn upstream_read(source: Source) {
    counter!("activestorage_upstream_reads_total", "source" => source.as_str()).increment(1);
}

/// A call to an upstream came to this.
pub(crate) fn upstream_call(call: &'static str, outcome: &'static str) {
    counter!("activestorage_upstream_calls_total", "call" => call, "outcome" => outcome).increment(1);
}

/// An object was fetched from an upstream, proved and kept.
pub(crate) fn upstream_pulled(bytes: u64) {
    counter!("activestorage_upstream_pulled_objects_total").increment(1);
    counter!("activestorage_upstream_pulled_bytes_total").increment(bytes);
}

/// A key is upstream as it is here, by this step; so many bytes were sent for it.
pub(crate) fn upstream_mirrored(step: &'static str, bytes: u64) {
    counter!("activestorage_upstream_mirrored_total", "step" => step).increment(1);
    counter!("activestorage_upstream_mirrored_bytes_total").increment(bytes);
}

/// Somebody else had changed an object upstream that a change from here replaces or removes.
pub(crate) fn upstream_changed() {
    counter!("activestorage_upstream_changed_total").increment(1);
}

/// A change waited so long until the upstream had it: it was `sent`, or `late`.
pub(crate) fn upstream_waited(outcome: &'static str, waited: Duration) {
    histogram!("activestorage_upstream_wait_seconds", "outcome" => outcome).record(waited.as_secs_f64());
}

/// A step of work over an upstream did so much.
pub(crate) fn upstream_work(work: &'static str, items: u64) {
    counter!("activestorage_upstream_work_items_total", "work" => work).increment(items);
}

/// A read did without fetching its object from an upstream, as too many are fetched just now.
pub(crate) fn upstream_pull_left() {
    counter!("activestorage_upstream_pulls_left_total").increment(1);
}

/// An object could not be fetched from an upstream, proved and kept.
pub(crate) fn upstream_pull_failed() {
    counter!("activestorage_upstream_pull_failures_total").increment(1);
}

/// A read met bytes that do not match their checksum, or that are gone.
pub(crate) fn corrupt_read(tier: StorageClass) {
    counter!("activestorage_corrupt_reads_total", "storage_class" => tier.as_str()).increment(1);
}

/// A read met bytes that the system does not give.
pub(crate) fn unreadable_read(tier: StorageClass) {
    counter!("activestorage_unreadable_reads_total", "storage_class" => tier.as_str()).increment(1);
}

/// One round of garbage collection, and what it removed.
pub(crate) fn gc_run(deleted_blobs: u64, deleted_bytes: u64) {
    counter!("activestorage_gc_runs_total").increment(1);
    counter!("activestorage_gc_deleted_blobs_total").increment(deleted_blobs);
    counter!("activestorage_gc_deleted_bytes_total").increment(deleted_bytes);
}

/// The scrubber read leaves.
pub(crate) fn scrubbed(blobs: u64, bytes: u64) {
    counter!("activestorage_scrub_blobs_total").increment(blobs);
    counter!("activestorage_scrub_bytes_total").increment(bytes);
}

/// The scrubber met a leaf whose bytes are not what was written.
pub(crate) fn scrub_damaged(tier: StorageClass, code: &'static str) {
    counter!("activestorage_scrub_damaged_total", "storage_class" => tier.as_str(), "code" => code)
        .increment(1);
}

/// A scrub pass has read every leaf.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; seconds and counts are far below 2^53
pub(crate) fn scrub_finished(at: Timestamp, damaged: u64) {
    gauge!("activestorage_scrub_finished_timestamp_seconds").set(at.seconds() as f64);
    gauge!("activestorage_scrub_damaged_blobs").set(damaged as f64);
}

/// A published JWK set was fetched, well or not.
#[allow(clippy::cast_precision_loss)] // as above
pub(crate) fn key_set_fetched(succeeded: bool, at: Timestamp) {
    let result = if succeeded { "done" } else { "failed" };
    counter!("activestorage_jwks_fetches_total", "result" => result).increment(1);
    if succeeded {
        gauge!("activestorage_jwks_fetched_timestamp_seconds").set(at.seconds() as f64);
    }
}

/// One batch went through the metadata store: how long its oldest mutation had waited before, and how long it took.
#[allow(clippy::cast_precision_loss)] // a batch is at most a few hundred
pub(crate) fn commit_batch(mutations: usize, waited: Duration, took: Duration) {
    histogram!("activestorage_commit_batch_size").record(mutations as f64);
    histogram!("activestorage_commit_wait_seconds").record(waited.as_secs_f64());
    histogram!("activestorage_commit_duration_seconds").record(took.as_secs_f64());
}

/// A batch of small payloads was written as a pack of its own, or could not be.
pub(crate) fn pack_written(tier: StorageClass, took: Duration) {
    histogram!("activestorage_pack_write_seconds", "storage_class" => tier.as_str())
        .record(took.as_secs_f64());
}

/// Packs of a tier that wait to be merged, as far as a step of compaction looked.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; the page is far below 2^53
pub(crate) fn small_packs(tier: StorageClass, packs: usize) {
    gauge!("activestorage_small_packs", "storage_class" => tier.as_str()).set(packs as f64);
}

/// Mutations that wait for the packer.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; the queue holds a few thousand
pub(crate) fn commit_queue(waiting: usize) {
    gauge!("activestorage_commit_queue").set(waiting as f64);
}

/// Whether no server of the database takes requests.
pub(crate) fn database_away(away: bool) {
    gauge!("activestorage_database_away").set(f64::from(u8::from(away)));
}

/// Another server of the database is the primary.
pub(crate) fn database_failover() {
    counter!("activestorage_database_failovers_total").increment(1);
}

/// Servers of the store that live: those that take requests, and those that were told to stop.
pub(crate) fn replicas(serving: u32, draining: u32) {
    gauge!("activestorage_replicas", "state" => "serving").set(f64::from(serving));
    gauge!("activestorage_replicas", "state" => "draining").set(f64::from(draining));
}

/// Bytes of the database.
#[allow(clippy::cast_precision_loss)] // a gauge is a float
pub(crate) fn database_bytes(bytes: u64) {
    gauge!("activestorage_database_bytes").set(bytes as f64);
}

/// Most tenants with gauges of their own for their quotas.
const TENANTS_SHOWN_MAX: usize = 200;

/// The tenants that have gauges of their own for their quotas: the first ones that had a quota. A gauge cannot be taken
/// back, so that of a tenant which lost its quota shows 0. All clones are the same.
#[derive(Clone, Default)]
pub(crate) struct QuotasShown(Arc<Mutex<BTreeSet<Tenant>>>);

/// What a tenant keeps and may keep of one part of its quota; `None` where that part has no limit.
type QuotaGauge = (Tenant, QuotaPart, Option<(u64, u64)>);

impl QuotasShown {
    /// Shows every tenant that has a quota. The fullest one is that of all tenants, also of those without gauges.
    #[allow(clippy::cast_precision_loss)] // a gauge is a float
    pub(crate) fn show(&self, quotas: impl IntoIterator<Item = (Tenant, Quota, Holdings)>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (gauges, fullest) = quota_gauges(&mut shown, quotas);
        for (tenant, part, use_of_it) in gauges {
            let (used, allowed) = use_of_it.unwrap_or_default();
            let (tenant, part) = (tenant.to_string(), part.as_str());
            gauge!("activestorage_quota_used", "tenant" => tenant.clone(), "quota" => part).set(used as f64);
            gauge!("activestorage_quota_allowed", "tenant" => tenant, "quota" => part).set(allowed as f64);
        }
        for (part, fullest) in QuotaPart::ALL.into_iter().zip(fullest) {
            gauge!("activestorage_quota_fullest_ratio", "quota" => part.as_str()).set(fullest);
        }
    }
}

/// The gauges to set, and the largest share of each part. `shown` are the tenants that have gauges.
fn quota_gauges(
    shown: &mut BTreeSet<Tenant>,
    quotas: impl IntoIterator<Item = (Tenant, Quota, Holdings)>,
) -> (Vec<QuotaGauge>, [f64; QuotaPart::ALL.len()]) {
    let mut without = shown.clone();
    let mut fullest = [0.0_f64; QuotaPart::ALL.len()];
    let mut gauges = Vec::new();
    for (tenant, quota, held) in quotas {
        without.remove(&tenant);
        let own = shown.contains(&tenant) || shown.len() < TENANTS_SHOWN_MAX;
        for (part, fullest) in QuotaPart::ALL.into_iter().zip(&mut fullest) {
            *fullest = fullest.max(quota.share_used(part, held));
            if own {
                let use_of_it = quota.of(part).map(|allowed| (held.of(part), allowed));
                gauges.push((tenant.clone(), part, use_of_it));
            }
        }
        if own {
            shown.insert(tenant);
        }
    }
    for tenant in without {
        gauges.extend(QuotaPart::ALL.map(|part| (tenant.clone(), part, None)));
    }
    (gauges, fullest)
}

/// Credentials that end soon, and when the first of them does.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; it counts to a thousand
pub(crate) fn credentials_ending(count: usize, first: Option<Timestamp>) {
    gauge!("activestorage_credentials_ending").set(count as f64);
    gauge!("activestorage_credentials_ending_timestamp_seconds")
        .set(first.map_or(0.0, |at| at.seconds() as f64));
}

/// A request was refused because a queue was full.
pub(crate) fn refused_busy() {
    counter!("activestorage_refused_busy_total").increment(1);
}

/// The room of a file system, and what of it uploads leave free.
#[allow(clippy::cast_precision_loss)] // a gauge is a float
pub(crate) fn room(volume: &'static str, free: u64, reserve: u64) {
    gauge!("activestorage_free_bytes", "volume" => volume).set(free as f64);
    gauge!("activestorage_reserve_bytes", "volume" => volume).set(reserve as f64);
}

/// A request was refused because its tenant's limit or quota is reached.
pub(crate) fn limited(reason: &'static str) {
    counter!("activestorage_limited_total", "reason" => reason).increment(1);
}

/// A transfer waited so that its tenant keeps to its rate.
pub(crate) fn slowed_down(direction: &'static str, wait: Duration) {
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    counter!("activestorage_slowed_down_milliseconds_total", "direction" => direction).increment(millis);
}

/// A request waited for its tenant's share of a pool; turns have a counter of their own, which is older.
pub(crate) fn awaited(pool: &'static str) {
    match pool {
        "turns" => counter!("activestorage_turns_awaited_total").increment(1),
        pool => counter!("activestorage_pool_waits_total", "pool" => pool).increment(1),
    }
}

/// A request was refused because its tenant's share of a pool was not free in time.
pub(crate) fn refused(pool: &'static str) {
    counter!("activestorage_pool_refused_total", "pool" => pool).increment(1);
}

/// What requests hold of a pool just now.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; pools are far below 2^53
pub(crate) fn held(pool: &'static str, amount: usize) {
    gauge!("activestorage_pool_held", "pool" => pool).set(amount as f64);
}

/// A worker's step failed.
pub(crate) fn worker_failed(worker: &'static str) {
    counter!("activestorage_worker_failures_total", "worker" => worker).increment(1);
}

/// A worker took a step.
pub(crate) fn worker_step(worker: &'static str, items: u64) {
    counter!("activestorage_worker_items_total", "worker" => worker).increment(items);
}

/// Items that a worker has put aside.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; 2^53 items are far
pub(crate) fn stuck(worker: &'static str, items: u64) {
    gauge!("activestorage_stuck_items", "worker" => worker).set(items as f64);
}

/// Blobs in quarantine.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; it counts to a thousand
pub(crate) fn quarantined(blobs: usize) {
    gauge!("activestorage_quarantined_blobs").set(blobs as f64);
}

/// Tiers in which a server that lives has another directory than this one.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; servers are few
pub(crate) fn servers_apart(count: usize) {
    gauge!("activestorage_servers_apart").set(count as f64);
}

/// Backups that hold removal, and segments that nothing names any more and whose files are still there.
#[allow(clippy::cast_precision_loss)] // a gauge is a float
pub(crate) fn retained(holds: usize, segments: u64, bytes: u64) {
    gauge!("activestorage_backup_holds").set(holds as f64);
    gauge!("activestorage_retained_segments").set(segments as f64);
    gauge!("activestorage_retained_bytes").set(bytes as f64);
}

/// Objects of a space in one state.
#[allow(clippy::cast_precision_loss)] // a gauge is a float; 2^53 objects are far
pub(crate) fn objects(namespace: &str, tenant: &str, status: &'static str, count: u64) {
    gauge!(
        "activestorage_objects_total",
        "namespace" => namespace.to_owned(), "tenant" => tenant.to_owned(), "status" => status
    )
    .set(count as f64);
}

/// Physical bytes of a namespace on one tier.
#[allow(clippy::cast_precision_loss)] // a gauge is a float
pub(crate) fn storage_bytes(namespace: &str, class: StorageClass, bytes: u64) {
    gauge!("activestorage_storage_bytes", "storage_class" => class.as_str(), "namespace" => namespace.to_owned())
        .set(bytes as f64);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn uses(tenant: &str, allowed: Option<u64>, bytes: u64) -> (Tenant, Quota, Holdings) {
        let quota = Quota { bytes: allowed, objects: Some(10) };
        (Tenant::new(tenant).unwrap(), quota, Holdings { bytes, objects: 0 })
    }

    /// Made-up tenants make nothing grow, and the fullest tenant counts wherever it is in the alphabet.
    #[test]
    fn quotas_have_few_gauges_and_none_hides_a_full_tenant() {
        let mut shown = BTreeSet::new();
        let many = (0..TENANTS_SHOWN_MAX + 50).map(|n| uses(&format!("t{n:04}"), Some(100), 10));
        let (gauges, fullest) = quota_gauges(&mut shown, many.chain([uses("zzz", Some(100), 99)]));
        assert_eq!((gauges.len(), shown.len()), (2 * TENANTS_SHOWN_MAX, TENANTS_SHOWN_MAX));
        assert!((fullest[0] - 0.99).abs() < 1e-9 && fullest[1].abs() < 1e-9, "{fullest:?}");
        assert!(gauges.contains(&(Tenant::new("t0000").unwrap(), QuotaPart::Bytes, Some((10, 100)))));
    }

    #[test]
    fn a_quota_that_is_gone_shows_nothing() {
        let (mut shown, a) = (BTreeSet::new(), Tenant::new("a").unwrap());
        quota_gauges(&mut shown, [uses("a", Some(100), 50)]);
        let (gauges, fullest) = quota_gauges(&mut shown, []);
        assert_eq!(gauges, QuotaPart::ALL.map(|part| (a.clone(), part, None)));
        assert!(fullest.iter().all(|share| *share == 0.0));
        let (gauges, _) = quota_gauges(&mut shown, [uses("a", None, 50)]);
        assert_eq!(gauges[0], (a, QuotaPart::Bytes, None), "a part without a limit");
        let (_, nothing_allowed) = quota_gauges(&mut shown, [uses("a", Some(0), 0)]);
        assert!((nothing_allowed[0] - 1.0).abs() < 1e-9);
    }
}
