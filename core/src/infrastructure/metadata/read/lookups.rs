//! Lookups that every request makes, many of them answered by one statement.
//!
//! The cost of a lookup is the way to the database and back: another thread on SQLite, another process on
//! PostgreSQL. So lookups queue as commits do: while some are under way those that arrive gather, and go
//! together. None waits for a timer, and each is answered by a statement that began after it was asked, so
//! it sees every write that was acknowledged before.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::{rows, spaces};
use crate::application::ports::metadata::{Found, MetadataError, SpaceRef};
use crate::domain::address::Key;
use crate::domain::space::Space;
use crate::infrastructure::metadata::session::database::Database;
use crate::infrastructure::metadata::session::dialect::sql;
use crate::infrastructure::metadata::session::fault::Fault;

/// Lookups that may wait; those beyond wait for room.
const QUEUE_MAX: usize = 1024;

/// Lookups that go together at most.
const TOGETHER_MAX: usize = 64;

/// Few requests ask, once so many lookups in a row went alone.
const ALONE_MAX: u32 = 8;

/// The queues of both kinds of lookup. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lookups {
    latest: Queue<(SpaceRef, Key), Option<Found>>,
    space: Queue<SpaceRef, Option<Space>>,
}

impl Lookups {
    /// Starts what answers them, until the last clone is dropped. Needs a tokio runtime.
    pub(crate) fn start(db: &Database) -> Self {
        Self { latest: Queue::start(db, latest_of), space: Queue::start(db, spaces_at) }
    }

    /// The latest version of a key, if it has one.
    pub(crate) async fn latest(&self, place: &SpaceRef, key: &Key) -> Result<Option<Found>, MetadataError> {
        self.latest.ask((place.clone(), key.clone())).await
    }

    /// The space at a place, if it exists.
    pub(crate) async fn space(&self, place: &SpaceRef) -> Result<Option<Space>, MetadataError> {
        self.space.ask(place.clone()).await
    }
}

type Answer<V> = Result<V, MetadataError>;
type Ask<K, V> = (K, oneshot::Sender<Answer<V>>);

struct Queue<K, V>(mpsc::Sender<Ask<K, V>>);

impl<K, V> Clone for Queue<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Queue<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// `answer` looks up keys that all differ; what it leaves out is answered by the default.
    fn start<F>(db: &Database, answer: fn(Database, Vec<K>) -> F) -> Self
    where
        F: Future<Output = Result<HashMap<K, Answer<V>>, Fault>> + Send + 'static,
        V: Default,
    {
        let (queue, asked) = mpsc::channel(QUEUE_MAX);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..db.lookups_at_once() {
            tokio::spawn(run(db.clone(), asked.clone(), answer));
        }
        Self(queue)
    }

    async fn ask(&self, key: K) -> Answer<V> {
        let gone = || MetadataError::Unavailable("lookups have ended".to_owned());
        let (sender, answer) = oneshot::channel();
        self.0.send((key, sender)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn run<K, V, F>(
    db: Database,
    asked: Arc<Mutex<mpsc::Receiver<Ask<K, V>>>>,
    answer: fn(Database, Vec<K>) -> F,
) where
    K: Clone + Eq + Hash,
    V: Clone + Default,
    F: Future<Output = Result<HashMap<K, Answer<V>>, Fault>>,
{
    let mut together = Vec::with_capacity(TOGETHER_MAX);
    let mut alone = ALONE_MAX;
    loop {
        // Where many requests ask, those that are ready ask first, and go with this batch. Where few do, this would only wait
        // for what else its thread has to do: a page of a listing, for one.
        if alone < ALONE_MAX {
            tokio::task::yield_now().await;
        }
        if asked.lock().await.recv_many(&mut together, TOGETHER_MAX).await == 0 {
            return;
        }
        alone = if together.len() > 1 { 0 } else { ALONE_MAX.min(alone + 1) };
        // Skip lookups whose caller is gone.
        together.retain(|(_, sender)| !sender.is_closed());
        let mut waiting: HashMap<K, Vec<oneshot::Sender<Answer<V>>>> = HashMap::with_capacity(together.len());
        for (key, sender) in together.drain(..) {
            waiting.entry(key).or_default().push(sender);
        }
        let answered = answer(db.clone(), waiting.keys().cloned().collect()).await;
        let mut found = match answered {
            Ok(found) => Ok(found),
            Err(fault) => Err(MetadataError::from(fault)),
        };
        for (key, senders) in waiting {
            let answer = match &mut found {
                Ok(found) => found.remove(&key).unwrap_or_else(|| Ok(V::default())),
                Err(error) => Err(error.clone()),
            };
            for sender in senders {
                // Its receiver may be gone by now.
                let _ = sender.send(answer.clone());
            }
        }
    }
}

async fn latest_of(
    db: Database,
    asked: Vec<(SpaceRef, Key)>,
) -> Result<HashMap<(SpaceRef, Key), Answer<Option<Found>>>, Fault> {
    let mut by_place: BTreeMap<SpaceRef, Vec<Key>> = BTreeMap::new();
    for (place, key) in asked {
        by_place.entry(place).or_default().push(key);
    }
    let mut answers = HashMap::new();
    for (place, keys) in by_place {
        for portion in db.portions(&keys) {
            let statement = match &place {
                SpaceRef::Bucket(name) => db
                    .read_list(
                        sql!(
                            found,
                            " JOIN buckets u ON u.space_id = o.space_id \
                             WHERE u.name = $1 AND o.key IN (",
                            list,
                            ") AND o.key <> '' AND o.is_latest = TRUE"
                        ),
                        1,
                        portion.len(),
                    )
                    .bind(name.as_str().to_owned()),
                SpaceRef::Space(address) => db
                    .read_list(
                        sql!(
                            found,
                            " WHERE s.namespace = $1 AND s.tenant = $2 AND o.key IN (",
                            list,
                            ") AND o.key <> '' AND o.is_latest = TRUE"
                        ),
                        2,
                        portion.len(),
                    )
                    .bind(address.namespace.as_str().to_owned())
                    .bind(address.tenant.as_str().to_owned()),
            };
            let keys = portion.iter().map(|key| key.as_str().to_owned());
            for row in statement.bind_all(keys).all().await? {
                // A row that cannot be read is no other key's trouble.
                let key = Key::new(&row.get::<String>("key")?)
                    .map_err(|_| Fault::failed("a stored key cannot be read"))?;
                let found = rows::found(&row).map(Some).map_err(MetadataError::from);
                answers.insert((place.clone(), key), found);
            }
        }
    }
    Ok(answers)
}

async fn spaces_at(
    db: Database,
    asked: Vec<SpaceRef>,
) -> Result<HashMap<SpaceRef, Answer<Option<Space>>>, Fault> {
    let mut answers = HashMap::new();
    for place in asked {
        let space = spaces::space(&db, &place).await;
        match space {
            Err(fault) if fault.is_outage() => return Err(fault),
            space => answers.insert(place, space.map_err(MetadataError::from)),
        };
    }
    Ok(answers)
}
