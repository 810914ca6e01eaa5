//! Limits of tenants, and what they hold.

use std::collections::{BTreeSet, HashMap};

use crate::application::ports::metadata::Refusal;
use crate::domain::address::Tenant;
use crate::domain::limits::{Departure, Holdings, LimitSetting, Overrides, Quota, QuotaPart};
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::statement::Row;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

pub(crate) async fn find(db: &Database, tenant: &Tenant) -> Result<Option<Overrides>, Fault> {
    db.read(sql!(tenant_limits, " WHERE tenant = $1")).bind(tenant.as_str()).find(overrides).await
}

pub(crate) async fn list(db: &Database) -> Result<Vec<(Tenant, Overrides)>, Fault> {
    let all = db.read(sql!(tenant_limits, " ORDER BY tenant")).map(|row| {
        let name: String = row.get("tenant")?;
        let tenant = Tenant::new(&name).map_err(|invalid| Fault::failed(invalid.to_string()))?;
        Ok((tenant, overrides(row)?))
    });
    // A row may be there only to be locked.
    Ok(all.await?.into_iter().filter(|(_, said)| *said != Overrides::default()).collect())
}

pub(crate) async fn set(
    db: &Database,
    tenant: &Tenant,
    was: &Overrides,
    said: &Overrides,
    now: Timestamp,
) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        hold(&mut tx, tenant, now).await?;
        let there = tx.query(sql!(tenant_limits, " WHERE tenant = $1")).bind(tenant.as_str()).find(overrides);
        let is_as_it_was = there.await?.unwrap_or_default() == *was;
        if is_as_it_was {
            tx.query(sql!(
                "UPDATE tenant_limits SET requests_per_second = $2, concurrent_requests = $3, \
                 upload_bytes_per_second = $4, download_bytes_per_second = $5, quota_bytes = $6, \
                 quota_objects = $7, updated_at = $8 WHERE tenant = $1"
            ))
            .bind(tenant.as_str())
            .bind(stored(said.requests_per_second)?)
            .bind(stored(said.concurrent_requests)?)
            .bind(stored(said.upload_bytes_per_second)?)
            .bind(stored(said.download_bytes_per_second)?)
            .bind(stored(said.quota_bytes)?)
            .bind(stored(said.quota_objects)?)
            .bind(now.millis())
            .execute()
            .await?;
        }
        is_as_it_was
    })
}

/// Locks a tenant's row, made if there is none, until the end of the transaction.
async fn hold(tx: &mut Transaction, tenant: &Tenant, now: Timestamp) -> Result<(), Fault> {
    tx.query(sql!(
        "INSERT INTO tenant_limits (tenant, updated_at) VALUES ($1, $2) ON CONFLICT (tenant) DO NOTHING"
    ))
    .bind(tenant.as_str())
    .bind(now.millis())
    .execute()
    .await?;
    let held = tx.query(sql!("SELECT 1 FROM tenant_limits WHERE tenant = $1", for_update));
    held.bind(tenant.as_str()).optional().await?;
    Ok(())
}

/// NULL for the default, -1 for no limit.
fn stored(setting: LimitSetting) -> Result<Option<i64>, Fault> {
    Ok(match setting {
        LimitSetting::Default => None,
        LimitSetting::Unlimited => Some(-1),
        LimitSetting::At(limit) => Some(rows::signed(limit)?),
    })
}

fn overrides(row: &Row) -> Result<Overrides, Fault> {
    let setting = |column| {
        let stored: Option<i64> = row.get(column)?;
        Ok::<_, Fault>(match stored.map(u64::try_from) {
            None => LimitSetting::Default,
            Some(Ok(limit)) => LimitSetting::At(limit),
            Some(Err(_)) => LimitSetting::Unlimited,
        })
    };
    Ok(Overrides {
        requests_per_second: setting("requests_per_second")?,
        concurrent_requests: setting("concurrent_requests")?,
        upload_bytes_per_second: setting("upload_bytes_per_second")?,
        download_bytes_per_second: setting("download_bytes_per_second")?,
        quota_bytes: setting("quota_bytes")?,
        quota_objects: setting("quota_objects")?,
    })
}

pub(crate) async fn holdings(db: &Database, tenant: &Tenant) -> Result<Holdings, Fault> {
    let found = db.read(sql!(holdings)).bind(tenant.as_str()).find(held).await?;
    Ok(found.unwrap_or_default())
}

fn held(row: &Row) -> Result<Holdings, Fault> {
    Ok(Holdings { bytes: rows::count(row, "bytes")?, objects: rows::count(row, "objects")? })
}

/// What the tenants of a batch that have quotas hold, with what the batch adds. No other transaction adds to it until
/// the end of the transaction.
#[derive(Default)]
pub(crate) struct Ledger(HashMap<Tenant, Holdings>);

impl Ledger {
    /// For these tenants, whose holdings are then ours to change.
    pub(crate) async fn open(
        tx: &mut Transaction,
        tenants: BTreeSet<&Tenant>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let mut ledger = HashMap::with_capacity(tenants.len());
        // In order, so that two transactions never wait for each other.
        for tenant in tenants {
            hold(tx, tenant, now).await?;
            let found = tx.query(sql!(holdings)).bind(tenant.as_str()).find(held).await?;
            ledger.insert(tenant.clone(), found.unwrap_or_default());
        }
        Ok(Self(ledger))
    }

    /// Makes room for `size` bytes in the place of an object of `replaced` bytes, or refuses to. What a batch
    /// deletes counts from the next batch on.
    pub(crate) fn admit(
        &mut self,
        tenant: &Tenant,
        quota: Option<&Quota>,
        size: u64,
        replaced: Option<u64>,
    ) -> Result<(), Refusal> {
        self.decide(tenant, quota, |quota, held| quota.admit(held, size, replaced))
    }

    /// Makes room for a part of `size` bytes in the place of one of `replaced` bytes, or refuses to.
    pub(crate) fn admit_part(
        &mut self,
        quota: Option<&(Tenant, Quota)>,
        size: u64,
        replaced: u64,
    ) -> Result<(), Refusal> {
        let Some((tenant, quota)) = quota else { return Ok(()) };
        self.decide(tenant, Some(quota), |quota, held| quota.admit_part(held, size, replaced))
    }

    /// Makes an object of `size` bytes of parts that have `parts` bytes together, or refuses to.
    pub(crate) fn admit_completion(
        &mut self,
        quota: Option<&(Tenant, Quota)>,
        parts: u64,
        size: u64,
        replaced: Option<u64>,
    ) -> Result<(), Refusal> {
        let Some((tenant, quota)) = quota else { return Ok(()) };
        self.decide(tenant, Some(quota), |quota, held| quota.admit_completion(held, parts, size, replaced))
    }

    /// Makes room for an object of `size` bytes that is moved, in the place of one of `replaced` bytes, or refuses to.
    pub(crate) fn admit_move(
        &mut self,
        tenant: &Tenant,
        quota: Option<&Quota>,
        size: u64,
        replaced: Option<u64>,
        leaves: Option<Departure>,
    ) -> Result<(), Refusal> {
        self.decide(tenant, quota, |quota, held| quota.admit_move(held, size, replaced, leaves))
    }

    /// Makes room for a delete marker, or refuses to; one that `hides` an object is made whatever the quota says.
    pub(crate) fn admit_marker(
        &mut self,
        quota: Option<&(Tenant, Quota)>,
        replaced: Option<u64>,
        hides: bool,
    ) -> Result<(), Refusal> {
        let Some((tenant, quota)) = quota else { return Ok(()) };
        self.decide(tenant, Some(quota), |quota, held| {
            if hides { Ok(held.exchanged(0, replaced)) } else { quota.admit(held, 0, replaced) }
        })
    }

    fn decide(
        &mut self,
        tenant: &Tenant,
        quota: Option<&Quota>,
        admit: impl FnOnce(&Quota, Holdings) -> Result<Holdings, QuotaPart>,
    ) -> Result<(), Refusal> {
        let (Some(quota), Some(held)) = (quota, self.0.get_mut(tenant)) else { return Ok(()) };
        *held = admit(quota, *held).map_err(Refusal::QuotaExceeded)?;
        Ok(())
    }
}
