//! A batch of changes in one transaction.
//!
//! A change is first decided (bucket, conditions, segment, source), then made: one that is refused has
//! written nothing but, at most, that its own single segment is whole.

use std::collections::{BTreeSet, HashSet};

use super::batch::{Batch, Fences};
use super::database::Database;
use super::dialect::Fault;
use super::limits::Ledger;
use super::tally::condemn_if_empty;
use super::transaction::{Transaction, transaction};
use super::{delete, expire, kept, parts, put, update};
use crate::application::ports::metadata::{MetadataError, Mutation, Outcome, PutObject, Refusal, WriterId};
use crate::domain::address::Tenant;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::watch;

/// What one change came to.
pub(super) type Applied = Result<Outcome, Refusal>;

pub(super) async fn commit(
    db: &Database,
    writer: WriterId,
    batch: &[Mutation],
    now: Timestamp,
) -> Result<Vec<Applied>, Fault> {
    let hopeful = async {
        let mut tx = db.begin().await?;
        let applied = counted(&mut tx, writer, batch, now, Fences::Last).await?;
        tx.commit().await?;
        Ok::<_, Fault>(applied)
    };
    match hopeful.await {
        Err(fault) if !fault.is_outage() || db.makes_room(&fault).await => watch::collided(),
        result => return result,
    }
    match transaction!(db, |tx| counted(&mut tx, writer, batch, now, Fences::First).await?) {
        // One of them cannot be done: by themselves, the others can.
        Err(fault) if batch.len() > 1 && !fault.is_outage() => one_by_one(db, writer, batch, now).await,
        result => result,
    }
}

async fn one_by_one(
    db: &Database,
    writer: WriterId,
    batch: &[Mutation],
    now: Timestamp,
) -> Result<Vec<Applied>, Fault> {
    let mut applied = Vec::with_capacity(batch.len());
    for mutation in batch.chunks(1) {
        match transaction!(db, |tx| counted(&mut tx, writer, mutation, now, Fences::First).await?) {
            Ok(one) => applied.extend(one),
            Err(fault) if fault.is_outage() => return Err(fault),
            Err(fault) => applied.push(Err(Refusal::Failed(fault_text(fault)))),
        }
    }
    Ok(applied)
}

fn fault_text(fault: Fault) -> String {
    MetadataError::from(fault).to_string()
}

/// As [`apply`], and counts the transaction.
async fn counted(
    tx: &mut Transaction,
    writer: WriterId,
    mutations: &[Mutation],
    now: Timestamp,
    fences: Fences,
) -> Result<Vec<Applied>, Fault> {
    let applied = apply(tx, writer, mutations, now, fences).await?;
    kept::count(tx, writer).await?;
    Ok(applied)
}

/// As [`commit`], inside a transaction that is under way.
pub(super) async fn apply(
    tx: &mut Transaction,
    writer: WriterId,
    mutations: &[Mutation],
    now: Timestamp,
    fences: Fences,
) -> Result<Vec<Applied>, Fault> {
    let ledger = Ledger::open(tx, tenants_with_quota(mutations), now).await?;
    let mut batch = Batch::new(tx, writer, mutations, now, fences, ledger);
    let mut applied = Vec::with_capacity(mutations.len());
    while let Some(mutation) = mutations.get(applied.len()) {
        applied.push(match mutation {
            Mutation::Put(_) => {
                let puts = puts_at_once(&mutations[applied.len()..]);
                applied.extend(put::put_all(&mut batch, &puts).await?);
                continue;
            }
            Mutation::Delete(delete) => delete::delete(&mut batch, delete).await?,
            Mutation::Expire(expire) => expire::expire(&mut batch, expire).await?,
            Mutation::Update(update) => update::update(&mut batch, update).await?,
            Mutation::PutPart(part) => parts::put_part(&mut batch, part).await?,
            Mutation::Complete(complete) => parts::complete(&mut batch, complete).await?,
            Mutation::SealPack(pack, size) => batch.seal_pack(*pack, *size).await?,
        });
    }
    let tally = std::mem::take(&mut batch.tally);
    let sealed = std::mem::take(&mut batch.sealed);
    tally.write(tx).await?;
    for pack in sealed {
        condemn_if_empty(tx, pack, now).await?;
    }
    Ok(applied)
}

/// The tenants that may not keep as much as they like.
fn tenants_with_quota(mutations: &[Mutation]) -> BTreeSet<&Tenant> {
    mutations.iter().filter_map(tenant_with_quota).collect()
}

fn tenant_with_quota(mutation: &Mutation) -> Option<&Tenant> {
    match mutation {
        Mutation::Put(put) => put.quota.as_ref().map(|_| &put.space.tenant),
        Mutation::PutPart(part) => part.quota.as_ref().map(|(tenant, _)| tenant),
        Mutation::Complete(complete) => complete.quota.as_ref().map(|(tenant, _)| tenant),
        Mutation::Delete(delete) => delete.quota.as_ref().map(|(tenant, _)| tenant),
        _ => None,
    }
}

/// The puts that a batch begins with, up to the first that writes a key which one before it writes: none of
/// them can be told by its outcome which came first, so they are done together.
fn puts_at_once(mutations: &[Mutation]) -> Vec<&PutObject> {
    let mut keys = HashSet::new();
    let mut puts = Vec::new();
    for mutation in mutations {
        let Mutation::Put(put) = mutation else { break };
        if put.key.as_ref().is_some_and(|key| !keys.insert((&put.space, key))) {
            break;
        }
        puts.push(&**put);
    }
    puts
}
