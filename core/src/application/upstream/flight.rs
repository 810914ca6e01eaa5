//! Pulls that are under way, what they come to, and what is heard of them meanwhile.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _, Shared};
use moka::sync::Cache;
use tokio::sync::{mpsc, watch};

use super::answers::answer;
use crate::application::error::Error;
use crate::application::ports::upstream::{UpstreamError, UpstreamObject};
use crate::domain::address::Key;
use crate::domain::invalid::Invalid;
use crate::domain::object::Tags;
use crate::domain::space::SpaceId;

/// Pieces that a tee holds for a client that reads more slowly than they come.
pub(crate) const TEE_PIECES: usize = 4;

/// What a pull came to.
#[derive(Clone, Debug)]
pub(crate) enum FetchOutcome {
    /// The object is here, of this many bytes, proved by this.
    Kept(u64, &'static str),
    /// The upstream has none.
    Absent,
    /// The key was written or removed here meanwhile.
    Overtaken,
    /// It is not here, because of this.
    Failed(FetchFailure),
}

/// Why an object was not kept.
#[derive(Clone, Debug)]
pub(crate) enum FetchFailure {
    /// The upstream did not give it, or not the object.
    Upstream(UpstreamError),
    /// It carries what this store cannot keep.
    Unfit(Invalid),
    /// This store did not take it: it is full, or a quota is reached.
    Here(Error),
}

impl FetchFailure {
    /// What the request is answered.
    pub(crate) fn answer(&self) -> Error {
        match self {
            Self::Upstream(error) => answer(error),
            Self::Unfit(_) => Error::UpstreamFailed,
            Self::Here(error) => error.clone(),
        }
    }
}

impl std::fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Upstream(error) => error.fmt(f),
            Self::Unfit(invalid) => invalid.fmt(f),
            Self::Here(error) => error.fmt(f),
        }
    }
}

/// What a tee hears of a pull.
pub(crate) enum Heard {
    /// What the upstream says of the object. The bytes follow.
    Object(Box<UpstreamObject>, Tags),
    /// The next bytes.
    Bytes(Bytes),
    /// Nothing more: the bytes are the object, or not.
    End(Result<(), FetchFailure>),
}

/// Hears what a pull fetches, while it is fetched. Where it ends before [`Heard::End`], the pull goes on alone.
pub(crate) type Tee = mpsc::Receiver<Heard>;

/// How long a pull waits for a client to take what it hears.
const TEE_PATIENCE: Duration = Duration::from_secs(5);

/// What a pull and those who wait for it tell each other.
pub(crate) struct Between {
    /// Whether somebody waits for what the pull comes to.
    wanted: watch::Sender<bool>,
    /// Whether the bytes that the tee heard were not proved, although the object may be kept in the end.
    is_taken_back: AtomicBool,
}

impl Between {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { wanted: watch::Sender::new(false), is_taken_back: AtomicBool::new(false) })
    }
}

/// Lets a client hear a pull, at the client's speed, as long as nobody else waits for the object.
pub(crate) struct Teller {
    sender: Mutex<Option<mpsc::Sender<Heard>>>,
    between: Arc<Between>,
}

impl Teller {
    pub(crate) fn new(sender: Option<mpsc::Sender<Heard>>, between: Arc<Between>) -> Self {
        Self { sender: Mutex::new(sender), between }
    }

    /// Tells the client that the bytes it heard were not proved: they are not the object, whatever is kept in the end. A
    /// client that no longer listens asks [`Flight::is_taken_back`].
    pub(crate) async fn take_back(&self, failure: FetchFailure) {
        self.between.is_taken_back.store(true, Ordering::Release);
        self.tell(Heard::End(Err(failure))).await;
    }

    fn sender(&self) -> MutexGuard<'_, Option<mpsc::Sender<Heard>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells it the next thing. A client that keeps others waiting hears no more: it reads the rest once it is here.
    pub(crate) async fn tell(&self, heard: Heard) {
        let Some(sender) = self.sender().clone() else { return };
        let mut wanted = self.between.wanted.subscribe();
        let went = tokio::select! {
            biased;
            sent = sender.send(heard) => sent.is_ok(),
            Ok(_) = wanted.wait_for(|wanted| *wanted) => false,
            () = tokio::time::sleep(TEE_PATIENCE) => false,
        };
        if !went {
            *self.sender() = None;
        }
    }
}

/// A pull that is under way.
#[derive(Clone)]
pub(crate) struct Flight {
    outcome: Shared<BoxFuture<'static, FetchOutcome>>,
    /// The object's size in bytes, once the upstream has said it.
    size: watch::Receiver<Option<u64>>,
    between: Arc<Between>,
}

impl Flight {
    pub(crate) fn new(
        outcome: BoxFuture<'static, FetchOutcome>,
        size: watch::Receiver<Option<u64>>,
        between: Arc<Between>,
    ) -> Self {
        Self { outcome: outcome.shared(), size, between }
    }

    /// What it comes to. From now on it waits for no client.
    pub(crate) async fn outcome(&self) -> FetchOutcome {
        self.between.wanted.send_replace(true);
        self.outcome.clone().await
    }

    /// Whether the bytes that its tee heard were not proved. Final once the outcome is known.
    pub(crate) fn is_taken_back(&self) -> bool {
        self.between.is_taken_back.load(Ordering::Acquire)
    }

    /// What it comes to; `None` as soon as the object turns out to be larger than `most` bytes.
    pub(crate) async fn outcome_unless_larger(self, most: u64) -> Option<FetchOutcome> {
        let Self { outcome, mut size, .. } = self;
        let larger = async move {
            let ended = size.wait_for(|size| size.is_some_and(|size| size > most)).await.is_err();
            if ended {
                // Its outcome is about to come.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            outcome = outcome => Some(outcome),
            () = larger => None,
        }
    }
}

/// Pulls of which it is remembered that they ended, and for how long.
const LANDED_MAX: u64 = 10_000;
const LANDED_FOR: Duration = Duration::from_secs(10);

/// A place for the pull of one object.
pub(crate) type FlightName = (SpaceId, Key);

/// The pulls of this process: those that are under way, and those that ended lately.
#[derive(Clone)]
pub(crate) struct Flights {
    under_way: Arc<Mutex<HashMap<FlightName, Flight>>>,
    landed: Cache<FlightName, ()>,
}

impl Default for Flights {
    fn default() -> Self {
        let landed = Cache::builder().max_capacity(LANDED_MAX).time_to_live(LANDED_FOR).build();
        Self { under_way: Arc::default(), landed }
    }
}

/// Strikes a pull off when it is dropped: also one that ends badly stands in the way of no other.
pub(crate) struct Landing(pub(crate) Flights, pub(crate) FlightName);

impl Drop for Landing {
    fn drop(&mut self) {
        // Who no longer finds it under way knows that it has landed.
        self.0.landed.insert(self.1.clone(), ());
        self.0.lock().remove(&self.1);
    }
}

impl Flights {
    /// The pull of an object that is under way.
    pub(crate) fn of(&self, space: SpaceId, key: &Key) -> Option<Flight> {
        self.lock().get(&(space, key.clone())).cloned()
    }

    /// Whether a pull of this object ended in the last seconds. A request that missed it before may find it now. Where that is
    /// forgotten, the object is fetched for nothing: a pull keeps nothing of a key that is taken.
    pub(crate) fn has_landed(&self, name: &FlightName) -> bool {
        self.landed.contains_key(name)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, HashMap<FlightName, Flight>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A pull that is neither under way nor landed never was: so a request that missed its object need not look again.
    #[test]
    fn who_finds_none_under_way_knows_that_it_has_landed() {
        let (flights, name) = (Flights::default(), (SpaceId(1), Key::new("key").unwrap()));
        assert!(!flights.has_landed(&name));
        let landing = Landing(flights.clone(), name.clone());
        let (_size, size) = watch::channel(None);
        let flight = Flight::new(std::future::pending().boxed(), size, Between::new());
        flights.lock().insert(name.clone(), flight);
        assert!(flights.of(name.0, &name.1).is_some() && !flights.has_landed(&name));
        drop(landing);
        assert!(flights.of(name.0, &name.1).is_none() && flights.has_landed(&name));
        assert!(!flights.has_landed(&(SpaceId(2), name.1)), "of another space");
    }
}
