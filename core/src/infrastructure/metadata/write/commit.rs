//! A batch of changes in one transaction.
//!
//! A change is first decided (bucket, conditions, segment, source), then made: one that is refused has
//! written nothing but, at most, that its own single segment is whole. Which versions go and stay is decided by
//! [`versioning`](crate::domain::versioning).

use std::collections::BTreeSet;

use uuid::Uuid;

use super::batch::{Applied, Batch, Fences};
use super::delete::KeyDeletion;
use super::limits::Ledger;
use super::routes::{OutboxState, ToldRows};
use super::tally::condemn_if_empty;
use super::versions::{Touch, Versions, Wanted};
use super::{counts, delete, expire, parts, put, rename, update};
use crate::application::ports::metadata::{
    DeleteObject, MetadataError, Mutation, NewContent, PutObject, Refusal, WriterId,
};
use crate::domain::address::Tenant;
use crate::domain::blob::Hash;
use crate::domain::space::DedupDomain;
use crate::domain::timestamp::Timestamp;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};
use crate::infrastructure::watch;

/// For a writer, as the start of it that has the token.
pub(crate) async fn commit(
    db: &Database,
    outbox: &OutboxState,
    writer: (WriterId, Uuid),
    batch: &[Mutation],
    now: Timestamp,
) -> Result<Vec<Applied>, Fault> {
    let hopeful = async {
        let mut tx = db.begin().await?;
        let (applied, mut told) = counted(&mut tx, outbox, writer, batch, now, Fences::Last).await?;
        told.count_replaced_by(tx.commit().await?);
        Ok::<_, Fault>((applied, told))
    };
    let told = |(applied, told)| {
        outbox.committed(told);
        applied
    };
    match hopeful.await {
        Err(fault) if !fault.is_outage() || db.makes_room(&fault).await => watch::collided(),
        result => return result.map(told),
    }
    match transaction!(db, |tx| counted(&mut tx, outbox, writer, batch, now, Fences::First).await?) {
        // One of them cannot be done: by themselves, the others can.
        Err(fault) if batch.len() > 1 && !fault.is_outage() => {
            one_by_one(db, outbox, writer, batch, now).await
        }
        result => result.map(told),
    }
}

async fn one_by_one(
    db: &Database,
    outbox: &OutboxState,
    writer: (WriterId, Uuid),
    batch: &[Mutation],
    now: Timestamp,
) -> Result<Vec<Applied>, Fault> {
    let mut applied = Vec::with_capacity(batch.len());
    for mutation in batch.chunks(1) {
        match transaction!(db, |tx| counted(&mut tx, outbox, writer, mutation, now, Fences::First).await?) {
            Ok((one, told)) => {
                outbox.committed(told);
                applied.extend(one);
            }
            Err(fault) if fault.is_outage() => return Err(fault),
            Err(fault) => applied.push(Err(Refusal::Failed(fault_text(fault)))),
        }
    }
    Ok(applied)
}

fn fault_text(fault: Fault) -> String {
    MetadataError::from(fault).to_string()
}

/// As [`apply`], and counts the transaction, which is fenced thereby.
async fn counted(
    tx: &mut Transaction,
    outbox: &OutboxState,
    writer: (WriterId, Uuid),
    mutations: &[Mutation],
    now: Timestamp,
    fences: Fences,
) -> Result<(Vec<Applied>, ToldRows), Fault> {
    let applied = apply(tx, outbox, writer.0, mutations, now, fences).await?;
    match fences {
        Fences::Last => counts::count_with_commit(tx, writer).await?,
        Fences::First => counts::count(tx, writer).await?,
    }
    Ok(applied)
}

/// As [`commit`], inside a transaction that is under way. With what it tells, once it is committed.
pub(crate) async fn apply(
    tx: &mut Transaction,
    outbox: &OutboxState,
    writer: WriterId,
    mutations: &[Mutation],
    now: Timestamp,
    fences: Fences,
) -> Result<(Vec<Applied>, ToldRows), Fault> {
    let ledger = Ledger::open(tx, tenants_with_quota(mutations), now).await?;
    let mut batch = Batch::new(tx, writer, mutations, now, fences, ledger, outbox.clone());
    let mut applied = Vec::with_capacity(mutations.len());
    while let Some(mutation) = mutations.get(applied.len()) {
        let changes: Vec<_> = mutations[applied.len()..].iter().map_while(Change::of).collect();
        if !changes.is_empty() {
            applied.extend(change_keys(&mut batch, &changes).await?);
            continue;
        }
        applied.push(match mutation {
            Mutation::Put(_) => return Err(Fault::failed("a put is planned with others")),
            Mutation::Delete(delete) => delete::delete_version(&mut batch, delete).await?,
            Mutation::Move(change) => rename::rename(&mut batch, change).await?,
            Mutation::Expire(expire) => expire::expire(&mut batch, expire).await?,
            Mutation::Update(update) => update::update(&mut batch, update).await?,
            Mutation::PutPart(part) => parts::put_part(&mut batch, part).await?,
            Mutation::Complete(complete) => parts::complete(&mut batch, complete).await?,
            Mutation::SealPack(pack, size) => batch.seal_pack(*pack, *size).await?,
        });
    }
    let mut told = batch.tell(mutations, &applied).await?;
    let tally = std::mem::take(&mut batch.tally);
    let sealed = std::mem::take(&mut batch.sealed);
    tally.write(tx).await?;
    for pack in sealed {
        condemn_if_empty(tx, pack, now).await?;
    }
    if fences == Fences::First {
        told.count_replaced(tx).await?;
    }
    Ok((applied, told))
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
        Mutation::Move(change) => change.quota.as_ref().map(|_| &change.space.tenant),
        _ => None,
    }
}

/// A change that is planned together with others beside it, whatever keys they concern.
enum Change<'a> {
    Put(&'a PutObject),
    Delete(&'a DeleteObject, KeyDeletion<'a>),
}

impl<'a> Change<'a> {
    fn of(mutation: &'a Mutation) -> Option<Self> {
        match mutation {
            Mutation::Put(put) => Some(Self::Put(put)),
            Mutation::Delete(delete) => KeyDeletion::of(delete).map(|of_key| Self::Delete(delete, of_key)),
            _ => None,
        }
    }

    /// The bytes that are placed with it, and their domain.
    fn brings(&self) -> Option<(&'a DedupDomain, &'a Hash)> {
        match *self {
            Self::Put(PutObject { domain, content: NewContent::Staged(leaf), .. }) => {
                Some((domain, &leaf.hash))
            }
            _ => None,
        }
    }

    fn wants(&self) -> Wanted<'a> {
        match *self {
            Self::Put(put) => Wanted {
                space: &put.space,
                bucket: put.bucket.as_ref(),
                key: put.key.as_ref(),
                certain: put.preconditions.if_match.is_some(),
                touch: put
                    .pulled
                    .as_ref()
                    .map_or(Touch::Nothing, |pulled| Touch::Claim(put.id, pulled, &put.etag)),
            },
            Self::Delete(delete, KeyDeletion { address, key, .. }) => {
                let bucket = delete.bucket.as_ref();
                Wanted { space: address, bucket, key: Some(key), certain: true, touch: Touch::Hold }
            }
        }
    }
}

/// Changes of keys: loaded together, planned one after another, written together.
async fn change_keys(batch: &mut Batch<'_>, changes: &[Change<'_>]) -> Result<Vec<Applied>, Fault> {
    let wanted: Vec<_> = changes.iter().map(Change::wants).collect();
    batch.look_ahead(&wanted, changes.iter().filter_map(Change::brings)).await?;
    let mut versions = Versions::load(batch, &wanted).await?;
    batch.ahead.forget_versions();
    let mut planned = Vec::with_capacity(changes.len());
    for change in changes {
        planned.push(match change {
            Change::Put(put) => put::put(batch, &mut versions, put).await?,
            Change::Delete(delete, of_key) => {
                let space = delete::entered(batch, delete.bucket.as_ref(), of_key.address).await?;
                match space {
                    Ok(space) => delete::delete_key(batch, &mut versions, *of_key, space).await?,
                    Err(refusal) => Err(refusal),
                }
            }
        });
    }
    let applied = versions.apply(batch, planned).await?;
    batch.ahead.forget_all();
    Ok(applied)
}
