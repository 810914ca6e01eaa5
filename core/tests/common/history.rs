//! Versions of keys in the metadata store beside a list of versions that nothing but the domain's rules change: batches
//! are done to both and compared.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use juststorage_core::application::ports::metadata::{
    ExpireObject, ListQuery, MetadataStore, Mutation, MutationOutcome, ObjectAddress, Refusal, VersionRef,
};
use juststorage_core::domain::etag::Etag;
use juststorage_core::domain::object::{Object, ObjectId, Tags};
use juststorage_core::domain::object_lock::ObjectLock;
use juststorage_core::domain::precondition::Preconditions;
use juststorage_core::domain::space::{Space, Versioning};
use juststorage_core::domain::timestamp::Timestamp;
use juststorage_core::domain::versioning::{
    DeletePlan, Execution, Expiry, Judged, KeyVersions, Overwrite, Version, plan_delete, plan_departure,
    plan_expire, plan_put, plan_removal, plan_versioning, successor,
};
use juststorage_core::testing::metadata::bench::{Bench, absent, etag, key, matching};
use proptest::prelude::*;

const KEYS: [&str; 2] = ["a", "b"];

/// A condition of a put or delete.
#[derive(Clone, Copy, Debug)]
pub enum Condition {
    None,
    Absent,
    /// `If-Match` with the tag of the put of this key that was the so-manieth last.
    Matching(usize),
}

/// A change of the versions of a key.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Put(usize, Condition),
    Delete(usize, Condition),
    /// Of the version that was the so-manieth when the batch began.
    Remove(usize, usize),
    RemoveNull(usize),
    /// A lifecycle verdict on such a version.
    Expire(usize, usize, Expiry),
    /// Of the latest version to the other key, under a condition on that one.
    Move(usize, Condition),
}

/// What is done at once.
#[derive(Clone, Debug)]
pub enum Act {
    Batch(Vec<Change>),
    Versioning(Versioning),
    ClockGoesBack,
}

pub fn acts() -> impl Strategy<Value = Vec<Act>> {
    let versioning =
        prop_oneof![Just(Versioning::Off), Just(Versioning::Enabled), Just(Versioning::Suspended)];
    let act = prop_oneof![
        8 => prop::collection::vec(change(), 1..12).prop_map(Act::Batch),
        3 => versioning.prop_map(Act::Versioning),
        1 => Just(Act::ClockGoesBack),
    ];
    prop::collection::vec(act, 1..12)
}

fn change() -> impl Strategy<Value = Change> {
    let condition = prop_oneof![4 => Just(Condition::None), 1 => Just(Condition::Absent), 2 => (0..3_usize).prop_map(Condition::Matching)];
    let expiry = prop_oneof![Just(Expiry::Current), Just(Expiry::Noncurrent), Just(Expiry::LoneMarker)];
    let (of, nth) = (0..KEYS.len(), 0..4_usize);
    prop_oneof![
        6 => (of.clone(), condition.clone()).prop_map(|(of, condition)| Change::Put(of, condition)),
        4 => (of.clone(), condition.clone()).prop_map(|(of, condition)| Change::Delete(of, condition)),
        3 => (of.clone(), condition).prop_map(|(of, condition)| Change::Move(of, condition)),
        2 => (of.clone(), nth.clone()).prop_map(|(of, nth)| Change::Remove(of, nth)),
        1 => of.clone().prop_map(Change::RemoveNull),
        2 => (of, nth, expiry).prop_map(|(of, nth, expiry)| Change::Expire(of, nth, expiry)),
    ]
}

/// What a change comes to: the version that was made, removed or hidden by a marker, and whether that is a marker.
type Came = Result<(Option<ObjectId>, bool), Refusal>;

/// A version that is kept, and whether it is the latest of its key.
#[derive(Clone)]
struct Kept {
    version: Version,
    is_latest: bool,
}

/// All versions of one key, as the rules have it.
#[derive(Default)]
struct History {
    kept: Vec<Kept>,
    /// The largest id that the key ever had.
    newest: Option<ObjectId>,
    /// The bodies that were put, the last one last.
    bodies: Vec<Vec<u8>>,
}

impl History {
    fn there(&self) -> KeyVersions {
        let find = |latest: bool| {
            let wanted = |kept: &&Kept| kept.is_latest == latest && (latest || kept.version.is_null_version);
            self.kept.iter().find(wanted).map(|kept| kept.version.clone())
        };
        KeyVersions::new(find(true), find(false))
    }

    fn find(&self, id: ObjectId) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.version.id == id)
    }

    fn add(&mut self, plan: &Overwrite, proposed: ObjectId, body: Option<&[u8]>) -> ObjectId {
        self.add_tagged(plan, proposed, body.map(etag), body.map_or(0, |body| body.len() as u64))
    }

    fn add_tagged(
        &mut self,
        plan: &Overwrite,
        proposed: ObjectId,
        etag: Option<Etag>,
        size: u64,
    ) -> ObjectId {
        let there = self.there();
        let id = if there.admits(proposed) { proposed } else { there.next_id(proposed, self.newest) };
        self.kept.retain(|kept| plan.retires.as_ref().is_none_or(|gone| gone.id != kept.version.id));
        for kept in &mut self.kept {
            kept.is_latest &= plan.demotes != Some(kept.version.id);
        }
        let version = Version {
            id,
            etag,
            size,
            modified: Timestamp(0),
            lock: ObjectLock::default(),
            is_null_version: plan.is_null_version,
        };
        self.kept.push(Kept { version, is_latest: true });
        self.newest = self.newest.max(Some(id));
        id
    }

    fn remove(&mut self, id: ObjectId) {
        let was_latest = self.find(id).is_some_and(|kept| kept.is_latest);
        self.kept.retain(|kept| kept.version.id != id);
        let next = successor(was_latest, self.kept.iter().map(|kept| kept.version.id));
        for kept in &mut self.kept {
            kept.is_latest |= next == Some(kept.version.id);
        }
    }

    fn put(&mut self, space: &Space, conditions: &Preconditions, proposed: ObjectId, body: &[u8]) -> Came {
        let lock = ObjectLock::default();
        let plan = plan_put(Some(space), &self.there(), conditions, &lock, Timestamp(0))?;
        Ok((Some(self.add(&plan, proposed, Some(body))), false))
    }

    fn delete(&mut self, space: &Space, conditions: &Preconditions, marker: ObjectId) -> Came {
        Ok(match plan_delete(Some(space), &self.there(), conditions, false, Timestamp(0))? {
            DeletePlan::Nothing => (None, false),
            DeletePlan::Remove(gone) => {
                self.remove(gone);
                (Some(gone), false)
            }
            DeletePlan::Mark { overwrite, .. } => (Some(self.add(&overwrite, marker, None)), true),
        })
    }

    fn remove_version(&mut self, id: Option<ObjectId>) -> Came {
        let version = id.and_then(|id| self.find(id)).map(|kept| kept.version.clone());
        let goes = plan_removal(version.as_ref(), &Preconditions::default(), false, Timestamp(0))?;
        let gone = version.filter(|_| goes).map(|version| version.id);
        if let Some(id) = gone {
            self.remove(id);
        }
        Ok((gone, false))
    }

    fn expire(&mut self, space: &Space, id: ObjectId, expiry: Expiry, marker: ObjectId) -> Came {
        let Some(kept) = self.find(id) else { return Err(Refusal::Changed) };
        let judged = Judged {
            has_same_tags: true,
            is_latest: kept.is_latest,
            is_delete_marker: kept.version.is_delete_marker(),
            has_others: self.kept.len() > 1,
        };
        match plan_expire(expiry, judged) {
            Execution::Void => Err(Refusal::Changed),
            Execution::DeleteKey => self.delete(space, &Preconditions::default(), marker),
            Execution::RemoveVersion => self.remove_version(Some(id)),
        }
    }

    fn null(&self) -> Option<ObjectId> {
        self.kept.iter().find(|kept| kept.version.is_null_version).map(|kept| kept.version.id)
    }
}

/// What the store shows of a version.
#[derive(Debug, PartialEq)]
struct Shown {
    id: ObjectId,
    tag: Option<Etag>,
    is_latest: bool,
    is_null_version: bool,
}

impl From<&Object> for Shown {
    fn from(object: &Object) -> Self {
        let version = Version::from(object);
        Self {
            id: object.id,
            tag: version.etag,
            is_latest: object.is_latest,
            is_null_version: object.is_null_version,
        }
    }
}

impl From<&Kept> for Shown {
    fn from(kept: &Kept) -> Self {
        let Version { id, etag, is_null_version, .. } = kept.version.clone();
        Self { id, tag: etag, is_latest: kept.is_latest, is_null_version }
    }
}

/// The store and the histories that it should have.
pub struct Play<'s> {
    bench: Bench<'s>,
    space: Space,
    keys: BTreeMap<&'static str, History>,
    bodies: usize,
}

impl<'s> Play<'s> {
    pub async fn new(store: &'s dyn MetadataStore) -> Self {
        let bench = Bench::new(store).await;
        let space = store.set_versioning(&bench.space, Versioning::Off, bench.now()).await.unwrap().unwrap();
        Self { bench, space, keys: KEYS.iter().map(|name| (*name, History::default())).collect(), bodies: 0 }
    }

    pub async fn act(&mut self, act: &Act) {
        match act {
            Act::ClockGoesBack => self.bench.set_clock_back(),
            Act::Versioning(asked) => {
                let now = self.bench.now();
                let space = self.bench.store.set_versioning(&self.bench.space, *asked, now).await.unwrap();
                self.space.versioning = plan_versioning(&self.space, *asked).unwrap();
                assert_eq!(space.unwrap().versioning, self.space.versioning);
            }
            Act::Batch(changes) => {
                let before: BTreeMap<_, Vec<_>> = self
                    .keys
                    .iter()
                    .map(|(name, history)| (*name, history.kept.iter().map(|kept| kept.version.id).collect()))
                    .collect();
                let (mut mutations, mut expected) = (Vec::new(), Vec::new());
                for change in changes {
                    if let Some((mutation, came)) = self.change(*change, &before) {
                        mutations.push(mutation);
                        expected.push(came);
                    }
                }
                let outcomes = self.bench.commit(mutations).await;
                assert_eq!(outcomes.into_iter().map(came).collect::<Vec<_>>(), expected);
            }
        }
        self.compare().await;
    }

    /// Does a move to the histories: of the latest version of a key to the other one.
    fn change_by_move(&mut self, of: usize, condition: Condition) -> Option<(Mutation, Came)> {
        let (from, to) = (KEYS[of], KEYS[1 - of]);
        let source = self.keys[from].there().latest()?.clone();
        let mut change = self.bench.rename(source.id, from, to);
        change.preconditions = self.keys[to].conditions(condition)?;
        let plans =
            plan_departure(&self.space, &self.keys[from].there(), &Preconditions::default(), Timestamp(0))
                .and_then(|departure| {
                    let (there, lock) = (self.keys[to].there(), ObjectLock::default());
                    let space = Some(&self.space);
                    let arrival = plan_put(space, &there, &change.preconditions, &lock, Timestamp(0))?;
                    Ok((departure, arrival))
                });
        let came = match plans {
            Err(denial) => Err(denial.into()),
            Ok((departure, arrival)) => {
                let target = self.keys.get_mut(to)?;
                let made = target.add_tagged(&arrival, change.id, source.etag, source.size);
                let history = self.keys.get_mut(from)?;
                let marked = match departure {
                    DeletePlan::Mark { overwrite, .. } => {
                        history.add(&overwrite, change.marker_id, None);
                        true
                    }
                    DeletePlan::Remove(gone) => {
                        history.remove(gone);
                        false
                    }
                    DeletePlan::Nothing => false,
                };
                Ok((Some(made), marked))
            }
        };
        Some((Mutation::Move(Box::new(change)), came))
    }

    /// Does a change to the histories. What is to be done to the store, and what it should come to.
    fn change(
        &mut self,
        change: Change,
        before: &BTreeMap<&'static str, Vec<ObjectId>>,
    ) -> Option<(Mutation, Came)> {
        if let Change::Move(of, condition) = change {
            return self.change_by_move(of, condition);
        }
        let (bench, space) = (&self.bench, &self.space);
        let (Change::Put(of, _)
        | Change::Delete(of, _)
        | Change::Remove(of, _)
        | Change::RemoveNull(of)
        | Change::Move(of, _)
        | Change::Expire(of, ..)) = change;
        let name = KEYS[of];
        let history = self.keys.get_mut(name)?;
        let version = |nth: usize| before[name].get(nth).copied();
        let target = |version| ObjectAddress::Version(bench.space.clone(), key(name), version);
        Some(match change {
            Change::Put(_, condition) => {
                let conditions = history.conditions(condition)?;
                self.bodies += 1;
                let body = format!("body {}", self.bodies).into_bytes();
                let mut put = bench.put(name, &body);
                put.preconditions = conditions.clone();
                let came = history.put(space, &conditions, put.id, &body);
                history.bodies.push(body);
                (Mutation::Put(Box::new(put)), came)
            }
            Change::Delete(_, condition) => {
                let mut delete = bench.delete(name);
                delete.preconditions = history.conditions(condition)?;
                let came = history.delete(space, &delete.preconditions, delete.marker_id);
                (Mutation::Delete(Box::new(delete)), came)
            }
            Change::Remove(_, nth) => {
                let id = version(nth)?;
                let delete = bench.delete_target(target(VersionRef::Id(id)));
                (Mutation::Delete(Box::new(delete)), history.remove_version(Some(id)))
            }
            Change::RemoveNull(_) => {
                let delete = bench.delete_target(target(VersionRef::Null));
                (Mutation::Delete(Box::new(delete)), history.remove_version(history.null()))
            }
            Change::Move(..) => return None,
            Change::Expire(_, nth, expiry) => {
                let id = version(nth)?;
                let marker_id = bench.delete(name).marker_id;
                let came = history.expire(space, id, expiry, marker_id);
                let expire = ExpireObject { id, tags: Tags::new(), expiry, marker_id };
                (Mutation::Expire(Box::new(expire)), came)
            }
        })
    }

    async fn compare(&self) {
        for (name, history) in &self.keys {
            let query =
                ListQuery { versions: true, prefix: (*name).to_owned(), ..self.bench.everything().await };
            let stored = self.bench.store.list(&query).await.unwrap();
            let mut expected: Vec<_> = history.kept.iter().map(Shown::from).collect();
            expected.sort_by_key(|shown| std::cmp::Reverse(shown.id));
            assert_eq!(stored.iter().map(Shown::from).collect::<Vec<_>>(), expected, "versions of {name}");
        }
    }

    /// The store agrees with itself after every history.
    pub async fn finish(self) {
        self.bench.finish().await;
    }
}

impl History {
    fn conditions(&self, condition: Condition) -> Option<Preconditions> {
        Some(match condition {
            Condition::None => Preconditions::default(),
            Condition::Absent => absent(),
            Condition::Matching(back) => matching(self.bodies.iter().rev().nth(back)?),
        })
    }
}

fn came(outcome: Result<MutationOutcome, Refusal>) -> Came {
    Ok(match outcome? {
        MutationOutcome::Object { object, .. } => (Some(object.id), false),
        MutationOutcome::Deleted { object, marker_made } => (object.map(|object| object.id), marker_made),
        MutationOutcome::Moved { object, marker, .. } => (Some(object.id), marker.is_some()),
        other => panic!("neither put nor deleted: {other:?}"),
    })
}
