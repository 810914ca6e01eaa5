//! A bound on open connections, so that descriptors are left for everything else.
//!
//! At the bound, the connection that has been idle longest is closed. If none is idle, a new one is refused, except a
//! few of the native front, which get probes and metrics only: monitoring must work on a full server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::linger::Unwanted;
use super::{Front, counted};

/// Connections of the native front beyond all others, for probes and metrics.
const PROBES_MAX: usize = 16;

/// The connections of both fronts.
pub struct Connections {
    max: usize,
    open: Mutex<Open>,
    unwanted: Unwanted,
}

#[derive(Default)]
struct Open {
    next: u64,
    places: HashMap<u64, (Arc<Activity>, CancellationToken)>,
    probes: usize,
}

/// An accepted connection. Its place is free once this is dropped.
pub(super) struct Slot {
    connections: Arc<Connections>,
    id: Option<u64>,
    /// Cancelled when the connection must close to make room.
    pub(super) leave: CancellationToken,
}

impl Slot {
    /// Whether it may request probes and metrics only.
    pub(super) fn probes_only(&self) -> bool {
        self.id.is_none()
    }

    /// The pace at which all connections read what was refused.
    pub(super) fn unwanted(&self) -> Unwanted {
        self.connections.unwanted.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        match self.id {
            Some(id) => drop(open.places.remove(&id)),
            None => open.probes = open.probes.saturating_sub(1),
        }
        counted::connections(open.places.len() + open.probes);
    }
}

impl Connections {
    /// At most `max` at once, and a few for probes.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: max.max(1), open: Mutex::default(), unwanted: Unwanted::new() })
    }

    /// Accepts a connection of `front` if there is room, or if room can be made.
    pub(super) fn admit(self: &Arc<Self>, front: Front, activity: &Arc<Activity>) -> Option<Slot> {
        let mut open = self.lock();
        if open.places.len() >= self.max && !open.displace() {
            if front == Front::S3 || open.probes >= PROBES_MAX {
                counted::connection_refused();
                return None;
            }
            open.probes += 1;
            return Some(Slot { connections: self.clone(), id: None, leave: CancellationToken::new() });
        }
        let (id, leave) = (open.next, CancellationToken::new());
        open.next += 1;
        open.places.insert(id, (activity.clone(), leave.clone()));
        counted::connections(open.places.len() + open.probes);
        Some(Slot { connections: self.clone(), id: Some(id), leave })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Closes the connection that has been idle longest. Whether there is one.
    fn displace(&mut self) -> bool {
        let idle = self.places.iter().filter_map(|(id, (activity, _))| Some((activity.idle_since()?, *id)));
        let Some((_, id)) = idle.min() else { return false };
        if let Some((_, leave)) = self.places.remove(&id) {
            leave.cancel();
        }
        counted::connection_displaced();
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_longest_idle_makes_room_and_probes_always_get_in() {
        let connections = Connections::new(2);
        let activities = [Activity::new(), Activity::new(), Activity::new()];
        let admit = |front, at: usize| connections.admit(front, &activities[at]);
        let busy = activities[0].clone().begin();
        let first = admit(Front::S3, 0).unwrap();
        let second = admit(Front::Native, 1).unwrap();
        // The second is idle, the first is not.
        let third = admit(Front::S3, 2).unwrap();
        assert!(second.leave.is_cancelled() && !first.leave.is_cancelled() && !third.probes_only());
        let other = activities[2].clone().begin();
        assert!(admit(Front::S3, 1).is_none(), "no connection is idle");
        let probes: Vec<_> = (0..PROBES_MAX).map(|_| admit(Front::Native, 1).unwrap()).collect();
        assert!(probes.iter().all(Slot::probes_only));
        assert!(admit(Front::Native, 1).is_none());
        drop(probes);
        assert!(admit(Front::Native, 1).unwrap().probes_only());
        drop((busy, other, first));
        assert!(!admit(Front::Native, 1).unwrap().probes_only());
    }
}
