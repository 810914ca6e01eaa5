//! Rows of the outbox, written by the transaction that makes the changes which they tell of.
//!
//! They are the last that a transaction writes but for its figures: by then it holds what it has changed, so that of two
//! transactions with one key the later one takes the higher numbers.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::batch::{Applied, Batch};
use super::mirrors;
use super::routes::ToldRows;
use crate::application::metrics;
use crate::application::ports::metadata::{Mutation, Refusal};
use crate::domain::address::Key;
use crate::domain::event::{EventKind, Facts, Overflow, TargetName};
use crate::domain::object::{Object, ObjectId};
use crate::domain::space::{SettingsRevision, Space, SpaceId};
use crate::domain::timestamp::Timestamp;
use crate::domain::upstream::Mode;
use crate::infrastructure::metadata::read::rows;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::session::transaction::{Transaction, transaction};

/// A row that is about to be written.
struct NewRow {
    target: TargetName,
    space: SpaceId,
    key: String,
    kind: EventKind,
    coalesced: bool,
    facts: String,
}

/// Keys of which the upstream of their space is not told.
type Missed = BTreeMap<SpaceId, Vec<String>>;

impl NewRow {
    /// A key is to be sent as it is.
    fn again(target: TargetName, space: SpaceId, key: &Key, told: &Facts) -> Result<Self, Fault> {
        let (key, facts) = (key.as_str().to_owned(), facts(told)?);
        Ok(Self { target, space, key, kind: EventKind::Delete, coalesced: true, facts })
    }
}

impl Batch<'_> {
    /// Whether a change of this key can be told: not if too much waits for a target that takes its events, and whose operator
    /// rather has changes refused than events dropped.
    pub(crate) async fn admit_told(
        &mut self,
        space: Option<&Space>,
        key: Option<&Key>,
    ) -> Result<Result<(), Refusal>, Fault> {
        match space {
            Some(space) => self.admit_told_at(space.id, space.settings, space.upstream, key).await,
            None => Ok(Ok(())),
        }
    }

    /// The same of a version, by the settings of its space.
    pub(crate) async fn admit_told_of(&mut self, object: &Object) -> Result<Result<(), Refusal>, Fault> {
        self.admit_told_at(object.space, object.settings, object.upstream, object.key.as_ref()).await
    }

    async fn admit_told_at(
        &mut self,
        space: SpaceId,
        revision: SettingsRevision,
        upstream: Option<Mode>,
        key: Option<&Key>,
    ) -> Result<Result<(), Refusal>, Fault> {
        let Some(key) = key else { return Ok(Ok(())) };
        let outbox = self.outbox.clone();
        let Some(routes) = outbox.routes(self.tx, space, revision, upstream).await? else {
            return Ok(Ok(()));
        };
        for route in routes.of_key(key) {
            let more = self.admitted_rows.get(&route.target).copied().unwrap_or(0);
            if outbox.overflow(&route.target, more) == Some(Overflow::Refuse) {
                metrics::outbox_refused(route.target.as_str());
                return Ok(Err(Refusal::OutboxFull(route.target.clone())));
            }
            *self.admitted_rows.entry(route.target.clone()).or_default() += 1;
        }
        Ok(Ok(()))
    }

    /// Writes the rows of what these changes made.
    pub(crate) async fn tell(
        &mut self,
        mutations: &[Mutation],
        applied: &[Applied],
    ) -> Result<ToldRows, Fault> {
        let mut told = ToldRows::default();
        let (rows, missed) = self.rows_of(mutations, applied, &mut told).await?;
        self.make_way(&rows, &mut told).await?;
        self.note_missed(missed, &mut told).await?;
        insert(self.tx, &rows, self.now).await?;
        for row in &rows {
            *told.rows.entry(row.target.clone()).or_default() += 1;
        }
        Ok(told)
    }

    async fn rows_of(
        &mut self,
        mutations: &[Mutation],
        applied: &[Applied],
        told: &mut ToldRows,
    ) -> Result<(Vec<NewRow>, Missed), Fault> {
        let outbox = self.outbox.clone();
        let (mut rows, mut missed): (Vec<NewRow>, Missed) = (Vec::new(), Missed::new());
        // Of a key only the last row stays where rows are coalesced.
        let mut last: HashMap<(TargetName, SpaceId, String), usize> = HashMap::new();
        let mut more: HashMap<TargetName, u64> = HashMap::new();
        for (mutation, outcome) in mutations.iter().zip(applied) {
            let Ok(outcome) = outcome else { continue };
            let mut made = Vec::new();
            for event in mutation.told(outcome) {
                let Object { space, settings, upstream, key: Some(key), .. } = event.object else { continue };
                let routes = outbox.routes(self.tx, *space, *settings, *upstream).await?;
                for route in routes.iter().flat_map(|routes| routes.wanting(event.kind, key)) {
                    made.push(NewRow {
                        target: route.target.clone(),
                        space: *space,
                        key: key.as_str().to_owned(),
                        kind: event.kind,
                        coalesced: route.coalesced,
                        facts: facts(&event.facts(route))?,
                    });
                }
            }
            if let Some((address, key)) = mutation.removes_beyond(outcome)
                && let Some(space) = self.known_space(address)
                && let Some(routes) = outbox.routes(self.tx, space.id, space.settings, space.upstream).await?
            {
                for route in routes.coalesced() {
                    made.push(NewRow::again(route.target.clone(), space.id, key, &Facts::of_space(address))?);
                }
            }
            for row in made {
                let more = more.entry(row.target.clone()).or_default();
                if outbox.overflow(&row.target, *more) == Some(Overflow::Drop) {
                    if row.coalesced {
                        missed.entry(row.space).or_default().push(row.key);
                    } else {
                        *told.dropped.entry(row.target).or_default() += 1;
                    }
                    continue;
                }
                *more += 1;
                if row.coalesced {
                    let at = (row.target.clone(), row.space, row.key.clone());
                    if let Some(at) = last.insert(at, rows.len()) {
                        // Its place is taken: what stays has the place of the last change.
                        rows[at].key.clear();
                    }
                }
                rows.push(row);
            }
        }
        rows.retain(|row| !row.key.is_empty());
        Ok((rows, missed))
    }

    /// Notes of changes that no upstream is told of, as too much waits: but for keys that wait already, which are sent as they
    /// are then.
    async fn note_missed(&mut self, missed: Missed, told: &mut ToldRows) -> Result<(), Fault> {
        let mut dropped = BTreeMap::new();
        for (space, keys) in missed {
            let wait = mirrors::waiting(self.tx, space, &keys).await?;
            let lost = keys.iter().filter(|key| !wait.contains(key)).count();
            if lost > 0 {
                let lost = u64::try_from(lost).unwrap_or(u64::MAX);
                dropped.insert(space, rows::signed(lost)?);
                *told.dropped.entry(TargetName::mirror_of(space)).or_default() += lost;
            }
        }
        mirrors::dropped(self.tx, &dropped, self.now).await
    }

    /// Removes the rows whose place others take.
    async fn make_way(&mut self, rows: &[NewRow], told: &mut ToldRows) -> Result<(), Fault> {
        let mut replaced: BTreeMap<(&TargetName, SpaceId), Vec<&str>> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.coalesced) {
            replaced.entry((&row.target, row.space)).or_default().push(&row.key);
        }
        for ((target, space), keys) in replaced {
            for portion in self.tx.portions(&keys) {
                let statement = self.tx.query_list(
                    sql!(
                        "DELETE FROM outbox WHERE coalesced AND target = $1 AND space_id = $2 AND key IN (",
                        list,
                        ") RETURNING 1"
                    ),
                    2,
                    portion.len(),
                );
                let statement = statement.bind(target.as_str().to_owned()).bind(space.0);
                let keys = portion.iter().map(|key| (*key).to_owned());
                told.replaced.push((target.clone(), statement.bind_all(keys).kept().await?));
            }
        }
        Ok(())
    }
}

fn facts(facts: &Facts) -> Result<String, Fault> {
    serde_json::to_string(facts).map_err(|error| Fault::failed(error.to_string()))
}

/// Writes rows, in their order.
async fn insert(tx: &mut Transaction, rows: &[NewRow], now: Timestamp) -> Result<(), Fault> {
    const COLUMNS: usize = 8;
    for portion in tx.portions(rows) {
        let mut statement = tx.query_rows(
            sql!(
                "INSERT INTO outbox (target, space_id, key, event, event_id, coalesced, facts, created_at) VALUES ",
                rows
            ),
            portion.len(),
            COLUMNS,
        );
        for row in portion {
            statement = statement
                .bind(row.target.as_str().to_owned())
                .bind(row.space.0)
                .bind(row.key.clone())
                .bind(row.kind.code())
                .bind(ObjectId::fresh(now).0)
                .bind(row.coalesced)
                .bind(row.facts.clone())
                .bind(now.millis());
        }
        statement.later().await?;
    }
    Ok(())
}

/// Writes one row for each of these targets: a test event, which is of no key.
pub(crate) async fn tell_test(
    db: &Database,
    space: SpaceId,
    targets: &[TargetName],
    told: &Facts,
    now: Timestamp,
) -> Result<ToldRows, Fault> {
    let text = facts(told)?;
    let row = |target: &TargetName| NewRow {
        target: target.clone(),
        space,
        key: String::new(),
        kind: EventKind::Test,
        coalesced: false,
        facts: text.clone(),
    };
    let rows: Vec<_> = targets.iter().map(row).collect();
    transaction!(db, |tx| insert(&mut tx, &rows, now).await?)?;
    let rows = targets.iter().map(|target| (target.clone(), 1)).collect();
    Ok(ToldRows { rows, ..ToldRows::default() })
}

/// Lets keys wait for the upstream of their space, unless they do. What was written, and how many rows.
pub(crate) async fn tell_again(
    db: &Database,
    space: SpaceId,
    told: &Facts,
    keys: &[Key],
    now: Timestamp,
) -> Result<(ToldRows, u64), Fault> {
    let target = TargetName::mirror_of(space);
    let names: Vec<String> = keys.iter().map(|key| key.as_str().to_owned()).collect();
    let written = transaction!(db, |tx| {
        let wait: HashSet<String> = mirrors::waiting(&mut tx, space, &names).await?.into_iter().collect();
        let new = keys.iter().filter(|key| !wait.contains(key.as_str()));
        let rows: Result<Vec<_>, _> =
            new.map(|key| NewRow::again(target.clone(), space, key, told)).collect();
        let rows = rows?;
        insert(&mut tx, &rows, now).await?;
        rows.len()
    })?;
    let rows = i64::try_from(written).unwrap_or(i64::MAX);
    let told = ToldRows { rows: [(target, rows)].into(), ..ToldRows::default() };
    Ok((told, written as u64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::application::ports::metadata::{MetadataStore as _, Outbox as _, OutboxTarget, Spaces as _};
    use crate::domain::event::{Route, Routes, TargetKind};
    use crate::domain::settings::Setting;
    use crate::infrastructure::metadata::SqlMetadata;
    use crate::testing::metadata::bench::{Bench, object};

    /// Of a key only the last change waits, with a number of its own: so no delivery of an earlier one takes it along.
    #[tokio::test]
    async fn of_coalesced_rows_the_last_stays() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/metadata.db", directory.path().display());
        let store: &'static SqlMetadata = Box::leak(Box::new(SqlMetadata::connect(&url).await.unwrap()));
        store.migrate().await.unwrap();
        let bench = Bench::new(store).await;
        let name = TargetName::internal("mirror", 1);
        let target = OutboxTarget {
            name: name.clone(),
            kind: TargetKind::Mirror,
            settings: "{}".to_owned(),
            secret: None,
            rows_max: 100,
            overflow: Overflow::Refuse,
            keep: Duration::ZERO,
            created_at: bench.now(),
        };
        assert!(store.put_outbox_target(&target).await.unwrap());
        store.make_space(&bench.space, bench.now()).await.unwrap();
        store.put_setting(&bench.space, None, &Setting::Tags([].into()), None).await.unwrap().unwrap();
        let space = bench.space().await;
        let routes = Arc::new(Routes::from_iter([Route::mirror(name.clone())]));
        store.outbox.routes.insert(space.id, (space.settings, routes));

        let put = |key: &str, body: &[u8]| Mutation::Put(Box::new(bench.put(key, body)));
        bench.commit(vec![put("k", b"1"), put("l", b"1"), put("k", b"2")]).await;
        let rows = async || store.outbox_page(&name, 0, 10).await.unwrap();
        let first = rows().await;
        assert_eq!(first.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["l", "k"]);
        object(bench.one(put("k", b"3")).await);
        let then = rows().await;
        assert_eq!(then.len(), 2);
        let (of_l, of_k) = (&then[0], &then[1]);
        assert!(of_k.seq > first[1].seq && of_l.seq == first[0].seq, "{then:?}");
        let (_, facts) = of_k.event.as_ref().unwrap();
        assert_eq!(*facts, Facts::of_space(&bench.space), "what the key has is read when it is sent");
        // What was delivered meanwhile is not what waits now.
        let epoch = store.take_over_outbox(&name).await.unwrap().unwrap();
        assert!(store.acknowledge(&name, epoch, &[first[1].seq], bench.now(), Duration::ZERO).await.unwrap());
        assert_eq!(rows().await.len(), 2);
        let figures = store.outbox_figures().await.unwrap();
        assert_eq!(figures[0].waiting, 2);
        store.close().await;
    }
}
