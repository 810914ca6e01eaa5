//! Lifecycle rules, applied: passes through the spaces that have some, in short steps.
//!
//! A step reads one page of a space's versions, asks the rules about each, and commits the verdicts in one
//! transaction that looks again: what was overwritten, re-tagged or locked since is left alone. Where the pass
//! goes on is written down after each page, so a pass survives its process, and another space's turn comes
//! between two pages. Each space is passed through once a day, and anew when its rules change.

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::stuck::{Shelf, Trouble};
use super::worker::{WorkDone, Worker};
use crate::application::error::Result;
use crate::application::ports::clock::Clock;
use crate::application::ports::metadata::{
    ExpireObject, LifecyclePass, ListQuery, ListUploadsQuery, MetadataStore, Mutation, ObjectAddress,
    Objects, Refusal, Spaces, UpdateObject, Upkeep, Uploads, WriterId,
};
use crate::domain::address::SpaceAddress;
use crate::domain::event::{Cause, How};
use crate::domain::lifecycle::{Candidate, Day, Lifecycle, LifecycleVerdict, Position};
use crate::domain::multipart::UploadId;
use crate::domain::object::{Object, ObjectId};
use crate::domain::precondition::Preconditions;
use crate::domain::storage_class::StorageClass;
use crate::domain::timestamp::Timestamp;
use crate::domain::versioning::Expiry;

/// The name of this work, also of its lease.
pub const NAME: &str = "lifecycle";

/// Versions or uploads of one step: short enough that a foreground commit waiting behind it is not felt.
const PAGE: u32 = 256;

/// How long others come first between two pages of a pass.
const PAUSE: Duration = Duration::from_millis(10);

/// How often a day is looked whether something is due, at most every [`REST_MAX`].
const LOOKS_A_DAY: u32 = 10;
const REST_MAX: Duration = Duration::from_secs(60);

/// Applies lifecycle rules.
pub struct LifecycleWorker<M: ?Sized = dyn MetadataStore> {
    metadata: Arc<M>,
    clock: Arc<dyn Clock>,
    writer: WriterId,
    day: Day,
    /// A pass begins wherever none has begun since.
    since: Option<Timestamp>,
    /// As above, beside what is due; in milliseconds. An operator asked for it.
    hurried: AtomicI64,
}

/// Where a pass goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// Among the versions, after the last one that was judged.
    Versions(Option<LastJudged>),
    /// Among the uploads, after this key and upload.
    Uploads(Option<(String, uuid::Uuid)>),
}

/// The last version that was judged, and what those that follow need to know of their key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LastJudged {
    key: String,
    id: uuid::Uuid,
    /// When it was written: from then on the next older version has been noncurrent.
    written: Timestamp,
    /// How many noncurrent versions of the key there are up to here.
    noncurrent: u32,
}

impl<M: Objects + Uploads + Spaces + Upkeep + ?Sized> LifecycleWorker<M> {
    /// By days of this length. `writer` is named in commits; it stages nothing and need not be registered.
    pub fn new(metadata: Arc<M>, clock: Arc<dyn Clock>, writer: WriterId, day: Day) -> Self {
        Self { metadata, clock, writer, day, since: None, hurried: AtomicI64::new(i64::MIN) }
    }

    /// The same, passing once through every space from now on, whether a pass is due or not: for the command.
    #[must_use]
    pub fn at_once(self) -> Self {
        Self { since: Some(self.clock.now()), ..self }
    }

    /// Spaces whose last pass began before this are due: those not passed through since midnight, or, with
    /// days that have none, for a tenth of a day.
    fn due_before(&self, now: Timestamp) -> Timestamp {
        if let Some(since) = self.since {
            return since;
        }
        let regular = if self.day == Day::REAL {
            let day = i64::try_from(self.day.length().as_millis()).unwrap_or(i64::MAX);
            Timestamp(now.millis() - now.millis().rem_euclid(day))
        } else {
            now.minus(self.day.length() / LOOKS_A_DAY)
        };
        regular.max(Timestamp(self.hurried.load(Ordering::Acquire)))
    }

    /// One page of a pass. Where it goes on, `None` at its end, and how many verdicts were carried out.
    async fn page(
        &self,
        pass: &LifecyclePass,
        stage: Stage,
        now: Timestamp,
        shelf: &mut Shelf<M>,
    ) -> Result<(Option<Stage>, u64), Trouble> {
        match stage {
            Stage::Versions(after) => {
                let (last, done) = self.judge_versions(pass, after, now, shelf).await?;
                let uploads = || pass.lifecycle.aborts_any().then_some(Stage::Uploads(None));
                Ok((last.map(|last| Stage::Versions(Some(last))).or_else(uploads), done))
            }
            Stage::Uploads(after) => {
                let (last, done) = self.abort_uploads(pass, after, now, shelf).await?;
                Ok((last.map(|last| Stage::Uploads(Some(last))), done))
            }
        }
    }

    /// One page of a space's pass.
    async fn pass(
        &self,
        mut pass: LifecyclePass,
        now: Timestamp,
        shelf: &mut Shelf<M>,
    ) -> Result<WorkDone, Trouble> {
        // A place that this version did not write is no place: the pass begins anew, which does no harm.
        let place = pass.place.as_deref().and_then(|place| serde_json::from_str(place).ok());
        if place.is_none() {
            pass.begun_at = now;
        }
        let stage = place.unwrap_or(Stage::Versions(None));
        let (next, done) =
            if pass.lifecycle.is_in_force() { self.page(&pass, stage, now, shelf).await? } else { (None, 0) };
        pass.place = next.and_then(|stage| serde_json::to_string(&stage).ok());
        self.metadata.save_lifecycle(&pass, now).await?;
        if done > 0 {
            tracing::info!(space = %pass.space.address, done, "lifecycle rules applied");
        }
        // A page of which nothing went is work all the same; between two pages, requests come first.
        Ok(if pass.place.is_some() { WorkDone::Paced(done, PAUSE) } else { WorkDone::Did(done) })
    }

    /// Forgets the due objects and uploads that are gone.
    async fn forget_gone(&self, shelf: &mut Shelf<M>) -> Result<()> {
        for (item, id) in shelf.due_ids("object") {
            if self.metadata.find(&ObjectAddress::Id(ObjectId(id))).await?.is_none() {
                shelf.done(&item);
            }
        }
        for (item, id) in shelf.due_ids("upload") {
            if self.metadata.find_upload(UploadId(id)).await?.is_none() {
                shelf.done(&item);
            }
        }
        Ok(())
    }

    async fn judge_versions(
        &self,
        pass: &LifecyclePass,
        after: Option<LastJudged>,
        now: Timestamp,
        shelf: &mut Shelf<M>,
    ) -> Result<(Option<LastJudged>, u64), Trouble> {
        let query = ListQuery {
            space: pass.space.id,
            prefix: pass.lifecycle.common_prefix().to_owned(),
            from: after.as_ref().map_or(Bound::Unbounded, |last| Bound::Excluded(last.key.clone())),
            from_version: after.as_ref().map(|last| ObjectId(last.id)),
            versions: true,
            versioned: true,
            keyless: false,
            limit: PAGE,
        };
        let page = self.metadata.list(&query).await?;
        let (mutations, last) = self.verdicts(&pass.lifecycle, &page, after, now);
        let judged: HashSet<_> = mutations.iter().filter_map(subject).collect();
        for object in page.iter().filter(|object| !judged.contains(&object.id)) {
            shelf.done(&object_name(object.id));
        }
        let done = self.carry_out(mutations, now, shelf).await?;
        let more = page.len() >= PAGE as usize;
        Ok((last.filter(|_| more), done))
    }

    /// What the rules say of a page. Markers come last: those of the same page that stand in their way have
    /// gone by then.
    fn verdicts(
        &self,
        lifecycle: &Lifecycle,
        page: &[Object],
        mut last: Option<LastJudged>,
        now: Timestamp,
    ) -> (Vec<Mutation>, Option<LastJudged>) {
        let (mut mutations, mut markers) = (Vec::new(), Vec::new());
        for object in page {
            let Some(key) = &object.key else { continue };
            let before = last.take().filter(|last| last.key == key.as_str());
            let noncurrent = before.as_ref().map_or(0, |before| before.noncurrent);
            let position = match &before {
                Some(before) if !object.is_latest => {
                    Position::Noncurrent { since: before.written, newer: noncurrent }
                }
                // A latest version is the first of its key; another version comes first if it was seen while others
                // changed the key, and is judged by the next pass.
                _ => Position::Current,
            };
            let consistent = object.is_latest == (position == Position::Current);
            last = Some(LastJudged {
                key: key.as_str().to_owned(),
                id: object.id.0,
                written: object.created_at,
                noncurrent: noncurrent + u32::from(!object.is_latest),
            });
            if !consistent {
                continue;
            }
            let expire = |expiry| expire(object, expiry, now);
            match lifecycle.judge(Candidate { object, position }, now, self.day) {
                None => {}
                Some(LifecycleVerdict::Expire) => mutations.push(expire(Expiry::Current)),
                Some(LifecycleVerdict::Remove) => mutations.push(expire(Expiry::Noncurrent)),
                Some(LifecycleVerdict::RemoveMarker) => markers.push(expire(Expiry::LoneMarker)),
                Some(LifecycleVerdict::Cool) => mutations.push(cool(object)),
            }
        }
        mutations.append(&mut markers);
        (mutations, last)
    }

    /// Carries out verdicts, each by itself. How many; those that failed are put aside until another pass.
    async fn carry_out(
        &self,
        mut mutations: Vec<Mutation>,
        now: Timestamp,
        shelf: &mut Shelf<M>,
    ) -> Result<u64, Trouble> {
        mutations.retain(|mutation| subject(mutation).is_none_or(|id| !shelf.holds(&object_name(id))));
        if mutations.is_empty() {
            return Ok(0);
        }
        let subjects: Vec<_> = mutations.iter().filter_map(subject).collect();
        let results = match self.metadata.commit(self.writer, mutations, now).await.map_err(Trouble::from) {
            // The store tells which of several failed; of one there is nothing to tell.
            Err(Trouble::Item(error)) if subjects.len() == 1 => vec![Err(Refusal::Failed(error))],
            results => results?,
        };
        let mut done = 0;
        for (id, result) in subjects.into_iter().zip(results) {
            let name = object_name(id);
            match result {
                Ok(_) => {
                    shelf.done(&name);
                    done += 1;
                }
                Err(Refusal::Failed(error)) => shelf.put_aside(name, &error).await?,
                // Held, or changed since it was judged: both are as they should be.
                Err(refusal) => {
                    shelf.done(&name);
                    tracing::debug!(%refusal, "lifecycle verdict not carried out");
                }
            }
        }
        Ok(done)
    }

    async fn abort_uploads(
        &self,
        pass: &LifecyclePass,
        after: Option<(String, uuid::Uuid)>,
        now: Timestamp,
        shelf: &mut Shelf<M>,
    ) -> Result<(Option<(String, uuid::Uuid)>, u64), Trouble> {
        let query = ListUploadsQuery {
            space: pass.space.id,
            prefix: pass.lifecycle.common_prefix().to_owned(),
            from: after.as_ref().map_or(Bound::Unbounded, |(key, _)| Bound::Excluded(key.clone())),
            from_upload: after.as_ref().map(|(_, upload)| UploadId(*upload)),
            limit: PAGE,
        };
        let page = self.metadata.list_uploads(&query).await?;
        let mut done = 0;
        for upload in &page {
            let key = upload.key.as_ref().map_or("", |key| key.as_str());
            if !key.is_empty() && pass.lifecycle.aborts(key, upload.created_at, now, self.day) {
                let name = format!("upload:{}", upload.id);
                match self.metadata.abort_upload(upload.id).await.map_err(Trouble::from) {
                    Ok(aborted) => {
                        shelf.done(&name);
                        done += u64::from(aborted);
                    }
                    Err(Trouble::Item(error)) => shelf.put_aside(name, &error).await?,
                    Err(trouble) => return Err(trouble),
                }
            }
        }
        let more = page.len() >= PAGE as usize;
        let last = page
            .last()
            .filter(|_| more)
            .map(|upload| (upload.key.as_ref().map_or("", |key| key.as_str()).to_owned(), upload.id.0));
        Ok((last, done))
    }
}

fn expire(object: &Object, expiry: Expiry, now: Timestamp) -> Mutation {
    Mutation::Expire(Box::new(ExpireObject {
        id: object.id,
        tags: object.tags.clone(),
        expiry,
        marker_id: ObjectId::fresh(now),
    }))
}

fn cool(object: &Object) -> Mutation {
    Mutation::Update(Box::new(UpdateObject {
        id: object.id,
        class: Some(StorageClass::Cold),
        attributes: None,
        lock: None,
        preconditions: Preconditions::default(),
        cause: Cause { how: How::Lifecycle, origin: None },
    }))
}

/// The version that a verdict is about.
fn subject(mutation: &Mutation) -> Option<ObjectId> {
    match mutation {
        Mutation::Expire(expire) => Some(expire.id),
        Mutation::Update(update) => Some(update.id),
        _ => None,
    }
}

fn object_name(id: ObjectId) -> String {
    format!("object:{id}")
}

#[async_trait]
impl<M: Objects + Uploads + Spaces + Upkeep + ?Sized> Worker for LifecycleWorker<M> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn rest(&self) -> Duration {
        (self.day.length() / LOOKS_A_DAY).min(REST_MAX)
    }

    fn hurry(&self) {
        self.hurried.fetch_max(self.clock.now().millis(), Ordering::AcqRel);
    }

    async fn step(&self) -> Result<WorkDone> {
        let now = self.clock.now();
        let mut shelf = Shelf::open(&self.metadata, self.name(), now).await?;
        self.forget_gone(&mut shelf).await?;
        let limit = shelf.page(1);
        let due = self.metadata.next_lifecycle(self.due_before(now), limit).await?;
        let name = |address: &SpaceAddress| format!("space:{address}");
        if due.len() < limit as usize {
            shelf.keep_only("space", &due.iter().map(|(address, _)| name(address)).collect());
        }
        let Some((address, pass)) = due.into_iter().find(|(address, _)| !shelf.holds(&name(address))) else {
            shelf.close(0).await?;
            return Ok(WorkDone::Idle);
        };
        let gone_through = match pass {
            Ok(pass) => self.pass(pass, now, &mut shelf).await,
            Err(error) => Err(error.into()),
        };
        let step = shelf.settle(name(&address), gone_through).await?;
        shelf.close(1).await?;
        Ok(step.unwrap_or(WorkDone::Did(0)))
    }
}
