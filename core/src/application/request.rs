//! What is found out about a request while it is answered: who asks, whether it was denied, and what it holds
//! until its end. The layer around both fronts begins it and reads it; core and fronts note what they know.

use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::fairness::Turn;
use super::under_way::Admission;
use crate::domain::address::Tenant;
use crate::domain::event::{Cause, How, Origin};

/// How long a request may keep its turn. One that takes longer waits for its client or for a disk, not for a
/// processor: it goes on, and the next one begins.
const TURN_MAX: Duration = Duration::from_millis(250);

tokio::task_local! {
    static CURRENT: Arc<RequestNotes>;
}

/// What is known of a request. What it holds is given back when this is dropped.
#[derive(Default)]
pub struct RequestNotes(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    id: Option<String>,
    from: Option<IpAddr>,
    agent: Option<Box<str>>,
    who: Option<String>,
    tenant: Option<Tenant>,
    operation: Option<&'static str>,
    denied: Option<&'static str>,
    admission: Option<Admission>,
    /// With when it began.
    turn: Option<(Turn, Instant)>,
}

/// What a log says of a request, beside its method and path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// The principal's name, where the request proved one.
    pub who: Option<String>,
    /// The tenant that it counts against.
    pub tenant: Option<String>,
    /// The operation, where its name says more than method and path.
    pub operation: Option<&'static str>,
    /// Why it was denied, if it was: also where the answer does not say so.
    pub denied: Option<&'static str>,
}

impl RequestNotes {
    /// Of a request with this id, from this address.
    pub fn new(id: &str, from: Option<IpAddr>) -> Self {
        Self(Mutex::new(Notes { id: Some(id.to_owned()), from, ..Notes::default() }))
    }

    /// What the client says of itself, as far as 256 bytes of it are text.
    #[must_use]
    pub fn by(self, agent: Option<&str>) -> Self {
        let agent = agent.map(|agent| Box::from(&agent[..agent.floor_char_boundary(256)]));
        self.lock().agent = agent;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known by now.
    pub fn noted(&self) -> Noted {
        let notes = self.lock();
        Noted {
            who: notes.who.clone(),
            tenant: notes.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
            operation: notes.operation,
            denied: notes.denied,
        }
    }

    /// Runs `answer` as this request. Its turn ends with the answer's head, or within twice [`TURN_MAX`].
    pub async fn of<T>(self: Arc<Self>, answer: impl Future<Output = T>) -> T {
        let notes = self.clone();
        let mut answer = std::pin::pin!(CURRENT.scope(self, answer));
        loop {
            tokio::select! {
                biased;
                answered = &mut answer => {
                    notes.lock().turn = None;
                    return answered;
                }
                // Counted from when it got its turn: it may have waited for that, too.
                () = tokio::time::sleep(TURN_MAX) => if notes.has_had_its_turn() { break },
            }
        }
        answer.await
    }

    /// Ends a turn that has lasted for [`TURN_MAX`]; whether it did.
    fn has_had_its_turn(&self) -> bool {
        let mut notes = self.lock();
        let over = notes.turn.as_ref().is_some_and(|(_, since)| since.elapsed() >= TURN_MAX);
        if over {
            notes.turn = None;
        }
        over
    }
}

/// Notes something about the request under way. Does nothing outside of a request.
fn note(what: impl FnOnce(&mut Notes)) {
    let _ = CURRENT.try_with(|current| what(&mut current.lock()));
}

/// Notes the name of the operation that is carried out.
pub fn operation(name: &'static str) {
    note(|notes| notes.operation = Some(name));
}

/// Notes that what was asked for exists at most for others, so that it is answered as if it did not exist.
pub fn out_of_sight() {
    denied("out of sight");
}

pub(super) fn admitted(who: &str, tenant: &Tenant) {
    note(|notes| {
        notes.who = Some(who.to_owned());
        notes.tenant = Some(tenant.clone());
    });
}

/// What the client of the request under way says of itself; empty if it says nothing.
pub(super) fn agent() -> Box<str> {
    CURRENT.try_with(|current| current.lock().agent.clone()).ok().flatten().unwrap_or_default()
}

/// The tenant that the request under way counts against, once it was let in.
pub(super) fn tenant() -> Option<Tenant> {
    CURRENT.try_with(|current| current.lock().tenant.clone()).ok().flatten()
}

/// Why a change is made: by what kind of request, and by whose, where one is under way.
pub(super) fn cause(how: How) -> Cause {
    let origin = CURRENT.try_with(|current| {
        let notes = current.lock();
        Arc::new(Origin { who: notes.who.clone(), from: notes.from, request_id: notes.id.clone() })
    });
    Cause { how, origin: origin.ok() }
}

pub(super) fn denied(why: &'static str) {
    note(|notes| notes.denied = Some(why));
}

/// Keeps an admission until the end of the request.
pub(super) fn hold(admission: Admission) {
    note(|notes| notes.admission = Some(admission));
}

/// Begins the request's turn, which ends as [`RequestNotes::of`] says.
pub(super) fn begin(turn: Turn) {
    note(|notes| notes.turn = Some((turn, Instant::now())));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::application::fairness::Turns;

    /// A request that goes on for long gives its turn back, however long it had to wait for it.
    #[tokio::test(start_paused = true)]
    async fn a_long_request_does_not_keep_its_turn() {
        let turns = Turns::new(1);
        let tenant = Tenant::new("acme").unwrap();
        let first = turns.take(&tenant).await.unwrap();
        let (theirs, its) = (turns.clone(), tenant.clone());
        let long = tokio::spawn(Arc::new(RequestNotes::default()).of(async move {
            let turn = theirs.take(&its).await.unwrap();
            begin(turn);
            std::future::pending::<()>().await;
        }));
        tokio::time::sleep(3 * TURN_MAX / 2).await;
        drop(first);
        let next = tokio::time::timeout(3 * TURN_MAX, turns.take(&tenant)).await;
        assert!(next.is_ok(), "the turn is not given back");
        long.abort();
    }
}
