//! Whether what clients saw of one key can be explained by one order of their requests, in which each takes
//! effect at one moment between its beginning and its answer (Herlihy and Wing, 1990).
//!
//! The search is Wing and Gong's with Lowe's memory of where it has been: take any request that began before the
//! first answer still outstanding, see whether its answer fits what the key holds, go on from there, and never look
//! twice at the same requests done with the same value left. Requests without an answer, dozens behind a kill, may be
//! left out, and are only as far as something needs them. Keys are independent, so each is judged by itself.

use std::collections::HashMap;

/// What a key holds: a value of its own for each write, or nothing.
pub type Value = Option<u32>;

/// What was asked of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// What is there?
    Read,
    /// Write this, whatever is there.
    Write(u32),
    /// Write this if nothing is there.
    Create(u32),
    /// Write the second if the first is there.
    Swap(u32, u32),
    /// Remove it, whatever is there.
    Delete,
    /// Remove it if this is there.
    Remove(u32),
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This is there.
    Is(Value),
    /// Done.
    Done,
    /// The condition does not hold of what is there (412): nothing was done.
    Refused,
    /// There is nothing of which the condition could hold (404): nothing was done.
    Missing,
    /// No answer, or one that leaves open whether it happened: now, later, or never.
    Unknown,
}

/// One request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// What was asked.
    pub request: Request,
    /// What came back.
    pub answer: Answer,
    /// When it was sent, by a clock that all clients share.
    pub begun: u64,
    /// When the answer was there.
    pub ended: u64,
}

/// What a key holds after a request, if its answer fits what it held before.
fn effect(event: &Event, value: Value) -> Option<Value> {
    let done = match event.request {
        Request::Read => {
            return match event.answer {
                Answer::Is(seen) => (seen == value).then_some(value),
                _ => Some(value),
            };
        }
        Request::Write(new) => Some(Some(new)),
        Request::Create(new) => value.is_none().then_some(Some(new)),
        Request::Swap(old, new) => (value == Some(old)).then_some(Some(new)),
        Request::Delete => Some(None),
        Request::Remove(old) => (value == Some(old)).then_some(None),
    };
    // `If-Match` on a key that is not there is 404, and on one that is there never.
    let missing = value.is_none() && matches!(event.request, Request::Swap(..) | Request::Remove(_));
    match (event.answer, done) {
        (Answer::Done, done) => done,
        (Answer::Refused, None) => (!missing).then_some(value),
        (Answer::Missing, None) => missing.then_some(value),
        (Answer::Unknown, done) => Some(done.unwrap_or(value)),
        (Answer::Refused | Answer::Missing, Some(_)) | (Answer::Is(_), _) => None,
    }
}

/// Whether `events`, of one key that holds nothing at first, can be explained by one order. At most 128 events.
pub fn is_linearizable(events: &[Event]) -> bool {
    assert!(events.len() <= 128, "a history of {} events is too long for one key", events.len());
    // What is put on the stack last is looked at first: mostly nothing unanswered is needed.
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.answer != Answer::Unknown);
    let must: u128 = bits(&events, |event| event.answer != Answer::Unknown);
    // For each set of answered requests done and the value left, the unanswered ones that were taken to have happened.
    let mut seen: HashMap<(u128, Value), Vec<u128>> = HashMap::new();
    let mut open = vec![(0_u128, None::<u32>)];
    while let Some((done, value)) = open.pop() {
        if done & must == must {
            return true;
        }
        let first_end = events
            .iter()
            .enumerate()
            .filter(|(at, event)| done & (1 << at) == 0 && event.answer != Answer::Unknown)
            .map(|(_, event)| event.ended)
            .min()
            .unwrap_or(u64::MAX);
        for (at, event) in events.iter().enumerate() {
            if done & (1 << at) != 0 || event.begun > first_end {
                continue;
            }
            let Some(next) = effect(event, value) else { continue };
            // An unanswered operation that changes nothing explains nothing.
            let explains = event.answer != Answer::Unknown || next != value;
            if explains && is_news(&mut seen, done | (1 << at), must, next) {
                open.push((done | (1 << at), next));
            }
        }
    }
    false
}

/// Remembers where the search is. It has been as far before if it came to the same answers and value with some of the
/// same unanswered requests: the others may still happen from there, or never.
fn is_news(seen: &mut HashMap<(u128, Value), Vec<u128>>, done: u128, must: u128, value: Value) -> bool {
    let taken = done & !must;
    let ways = seen.entry((done & must, value)).or_default();
    if ways.iter().any(|way| way & taken == *way) {
        return false;
    }
    ways.retain(|way| way & taken != taken);
    ways.push(taken);
    true
}

fn bits(events: &[Event], which: impl Fn(&Event) -> bool) -> u128 {
    events.iter().enumerate().filter(|(_, event)| which(event)).fold(0, |bits, (at, _)| bits | 1 << at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(begun: u64, ended: u64, request: Request, answer: Answer) -> Event {
        Event { request, answer, begun, ended }
    }

    #[test]
    fn an_order_is_found_where_there_is_one() {
        let overlapping = [
            event(0, 10, Request::Write(1), Answer::Done),
            event(1, 9, Request::Read, Answer::Is(None)),
            event(2, 8, Request::Read, Answer::Is(Some(1))),
            event(11, 12, Request::Swap(1, 2), Answer::Done),
            event(11, 13, Request::Swap(1, 3), Answer::Refused),
            event(14, 15, Request::Create(4), Answer::Refused),
            event(16, 17, Request::Delete, Answer::Done),
            event(18, 19, Request::Create(5), Answer::Done),
        ];
        assert!(is_linearizable(&overlapping));
        let unknown = [
            event(0, 1, Request::Write(1), Answer::Unknown),
            event(5, 6, Request::Read, Answer::Is(None)),
            event(7, 8, Request::Read, Answer::Is(Some(1))),
        ];
        assert!(is_linearizable(&unknown), "it happened late");
        assert!(is_linearizable(&unknown[..2]), "or never");
    }

    #[test]
    fn what_no_order_explains_is_refused() {
        let stale =
            [event(0, 1, Request::Write(1), Answer::Done), event(2, 3, Request::Read, Answer::Is(None))];
        assert!(!is_linearizable(&stale));
        let both_won =
            [event(0, 9, Request::Create(1), Answer::Done), event(0, 9, Request::Create(2), Answer::Done)];
        assert!(!is_linearizable(&both_won));
        let lost_update = [
            event(0, 1, Request::Write(1), Answer::Done),
            event(2, 9, Request::Swap(1, 2), Answer::Done),
            event(2, 9, Request::Swap(1, 3), Answer::Done),
        ];
        assert!(!is_linearizable(&lost_update));
        let back_and_forth = [
            event(0, 9, Request::Write(1), Answer::Unknown),
            event(10, 11, Request::Read, Answer::Is(Some(1))),
            event(12, 13, Request::Read, Answer::Is(None)),
        ];
        assert!(!is_linearizable(&back_and_forth));
    }

    #[test]
    fn missing_and_refused_are_told_apart() {
        let written = event(0, 1, Request::Write(1), Answer::Done);
        let deleted = event(2, 3, Request::Delete, Answer::Done);
        for request in [Request::Swap(7, 8), Request::Remove(7)] {
            let (refused, missing) =
                (event(4, 5, request, Answer::Refused), event(4, 5, request, Answer::Missing));
            assert!(is_linearizable(&[written, refused]) && !is_linearizable(&[written, missing]));
            assert!(is_linearizable(&[written, deleted, missing]));
            assert!(!is_linearizable(&[written, deleted, refused]));
            // Overwritten all the time, it was there all the time.
            let overwritten = event(2, 9, Request::Write(2), Answer::Done);
            assert!(!is_linearizable(&[written, overwritten, missing]));
        }
        let removed = [written, event(2, 3, Request::Remove(1), Answer::Done)];
        assert!(is_linearizable(&[removed[0], removed[1], event(4, 5, Request::Read, Answer::Is(None))]));
    }

    #[test]
    fn requests_without_an_answer_do_not_multiply() {
        let unanswered = |at: u32| match at % 3 {
            0 => Request::Read,
            1 => Request::Write(at),
            _ => Request::Create(at),
        };
        let mut events: Vec<_> = (0..90).map(|at| event(0, 9, unanswered(at), Answer::Unknown)).collect();
        events.extend([
            event(10, 11, Request::Write(100), Answer::Done),
            event(12, 13, Request::Swap(100, 101), Answer::Done),
            event(14, 15, Request::Create(102), Answer::Refused),
            event(16, 17, Request::Read, Answer::Is(Some(1))),
        ]);
        assert!(is_linearizable(&events), "one of them happened late");
        events.push(event(18, 19, Request::Read, Answer::Is(None)));
        assert!(!is_linearizable(&events), "none of them removes anything");
    }
}
