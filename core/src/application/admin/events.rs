//! The tail of the audit log, in memory: what this process was asked to change or refused, since its start.
//!
//! The log itself is the record; this is for a page that shows what has just happened. Requests of callers that proved
//! who they are have a ring of their own, so that strangers, who cost nothing, do not push them out.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Admin, allow, allow_operator};
use crate::access::administer::{Scope, is_operator};
use crate::application::error::{Error, Result};
use crate::domain::address::Tenant;
use crate::domain::principal::{Principal, Right, Tenants};
use crate::domain::timestamp::Timestamp;

/// Events of callers that proved who they are that are kept.
pub const IDENTIFIED_MAX: usize = 4096;

/// Events of others that are kept.
pub const STRANGERS_MAX: usize = 1024;

/// Most bytes of a path that are kept.
const PATH_BYTES_MAX: usize = 512;

/// The result of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventResult {
    /// It was done.
    Done,
    /// It was refused: who asked may not, or asked for too much.
    Denied,
    /// It came to nothing for another reason.
    Failed,
    /// The client went away: it was not told.
    Unknown,
}

impl EventResult {
    /// Every result.
    pub const ALL: [Self; 4] = [Self::Done, Self::Denied, Self::Failed, Self::Unknown];

    /// Its name in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// One request, as the audit log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When its answer ended.
    pub at: Timestamp,
    /// Its result.
    pub result: EventResult,
    /// The principal's name, if it proved one.
    pub who: Option<String>,
    /// The tenant that it counted against.
    pub tenant: Option<String>,
    /// Where it came from.
    pub from: Option<IpAddr>,
    /// The front.
    pub front: &'static str,
    /// The operation, where its name says more than method and path.
    pub operation: Option<&'static str>,
    /// The method.
    pub method: String,
    /// The path, without a query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// Why it was denied.
    pub denied: Option<&'static str>,
    /// The request's id.
    pub request_id: String,
}

/// The rings. All clones are the same.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Rings>>);

#[derive(Default)]
struct Rings {
    /// Every event has a number, so that a page begins where the last one ended.
    next: u64,
    lost: u64,
    identified: VecDeque<(u64, Event)>,
    strangers: VecDeque<(u64, Event)>,
}

/// Which events to show.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only of this tenant.
    pub tenant: Option<Tenant>,
    /// Only with this result.
    pub result: Option<EventResult>,
    /// Only those before the one with this number.
    pub before: Option<u64>,
}

impl Events {
    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an event, in the place of the oldest of its kind if there are too many.
    pub fn record(&self, mut event: Event) {
        event.path.truncate(event.path.floor_char_boundary(PATH_BYTES_MAX));
        let mut rings = self.lock();
        let number = rings.next;
        rings.next += 1;
        let (ring, most) = if event.who.is_some() {
            (&mut rings.identified, IDENTIFIED_MAX)
        } else {
            (&mut rings.strangers, STRANGERS_MAX)
        };
        let full = ring.len() >= most;
        if full {
            ring.pop_front();
        }
        ring.push_back((number, event));
        rings.lost += u64::from(full);
    }

    /// The events that fit, newest first, each with its number.
    fn find(&self, fits: impl Fn(&Event) -> bool, before: Option<u64>, limit: usize) -> Vec<(u64, Event)> {
        let rings = self.lock();
        let mut found: Vec<_> = [&rings.identified, &rings.strangers]
            .into_iter()
            .flat_map(|ring| {
                let older =
                    ring.iter().rev().filter(|(number, _)| before.is_none_or(|before| *number < before));
                older.filter(|(_, event)| fits(event)).take(limit).cloned()
            })
            .collect();
        found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        found.truncate(limit);
        found
    }
}

impl Admin {
    /// The events that `who` may see, newest first, each with its number; and how many were dropped since the start.
    pub fn events(
        &self,
        who: &Principal,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<(Vec<(u64, Event)>, u64)> {
        let tenants: Option<Vec<&Tenant>> = match (&filter.tenant, &who.tenants) {
            (Some(tenant), _) => Some(vec![tenant]),
            (None, _) if is_operator(who) => None,
            (None, Tenants::These(tenants)) => Some(tenants.iter().collect()),
            (None, Tenants::Own | Tenants::Any) => Some(vec![&who.tenant]),
        };
        match &tenants {
            None => allow_operator(who)?,
            Some(tenants) => {
                for tenant in tenants {
                    allow(who, Scope::Tenant(tenant), Error::Forbidden(Right::Admin))?;
                }
            }
        }
        let fits = |event: &Event| {
            let named = |tenant: &str| {
                tenants.as_ref().is_none_or(|all| all.iter().any(|one| one.as_str() == tenant))
            };
            let whose = match &event.tenant {
                Some(tenant) => named(tenant),
                None => tenants.is_none(),
            };
            whose && filter.result.is_none_or(|result| result == event.result)
        };
        let found = self.events.find(fits, filter.before, limit);
        Ok((found, self.events.lock().lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(who: Option<&str>, path: &str) -> Event {
        Event {
            at: Timestamp(1),
            result: EventResult::Done,
            who: who.map(str::to_owned),
            tenant: Some("acme".to_owned()),
            from: None,
            front: "native",
            operation: None,
            method: "PUT".to_owned(),
            path: path.to_owned(),
            status: 201,
            denied: None,
            request_id: "r".to_owned(),
        }
    }

    #[test]
    fn strangers_do_not_push_out_what_was_done() {
        let events = Events::default();
        events.record(event(Some("k"), "/first"));
        for _ in 0..STRANGERS_MAX + 10 {
            events.record(event(None, &"x".repeat(2 * PATH_BYTES_MAX)));
        }
        let all = events.find(|_| true, None, usize::MAX);
        assert_eq!((all.len(), events.lock().lost), (STRANGERS_MAX + 1, 10));
        assert_eq!(all.last().map(|(_, event)| event.path.as_str()), Some("/first"));
        assert_eq!(all[0].1.path.len(), PATH_BYTES_MAX);
    }

    #[test]
    fn pages_meet_without_gap() {
        let events = Events::default();
        for n in 0..10 {
            events.record(event((n % 2 == 0).then_some("k"), &format!("/{n}")));
        }
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = events.find(|_| true, before, 3);
            let Some((last, _)) = page.last() else { break };
            before = Some(*last);
            seen.extend(page.into_iter().map(|(_, event)| event.path));
        }
        assert_eq!(seen, (0..10).rev().map(|n| format!("/{n}")).collect::<Vec<_>>());
    }
}
