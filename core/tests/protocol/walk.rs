//! Breadth first through every state that can be reached, so that the way to an accident is a shortest one.
//!
//! Of a state that has been looked at, only a fingerprint stays, and where it was reached from: a world of a hundred
//! million states fits into the memory of a small machine.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::rules::{Accident, Crew, Rules};
use crate::world::World;

/// What a walk came to.
pub(crate) struct Walk {
    /// States that can be reached.
    pub(crate) states: usize,
    /// Steps that lead from one to another.
    pub(crate) steps: usize,
    /// The first accident, and the way there.
    pub(crate) accident: Option<(Accident, Vec<String>)>,
}

/// 128 bits that stand for a state. Of two that have the same, one would not be looked at: among a billion states the
/// chance of that is one in 10^20.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Fingerprint(u64, u64);

impl Fingerprint {
    fn of(world: &World) -> Self {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            world.hash(&mut hasher);
            hasher.finish()
        };
        Self(half(0), half(1))
    }
}

/// Looks at every state of `crew` under `rules`, or until the first accident.
pub(crate) fn walk(crew: Crew, rules: Rules) -> Walk {
    let start = World::new(crew);
    let first = Fingerprint::of(&start);
    let mut known = HashSet::from([first]);
    // Each state that is known, in the order in which they are looked at, and the one it was reached from.
    let mut states = vec![(first, 0_u32)];
    let mut ahead = VecDeque::from([start.clone()]);
    let (mut at, mut steps) = (0_u32, 0);
    while let Some(world) = ahead.pop_front() {
        if let Some(accident) = world.accident(&rules) {
            let way = way(start, &rules, &states, at);
            return Walk { states: states.len(), steps, accident: Some((accident, way)) };
        }
        for (_, next) in world.steps(&rules) {
            steps += 1;
            let fingerprint = Fingerprint::of(&next);
            if known.insert(fingerprint) {
                states.push((fingerprint, at));
                ahead.push_back(next);
            }
        }
        at = at.checked_add(1).expect("fewer than four billion states");
    }
    Walk { states: states.len(), steps, accident: None }
}

/// The steps to a state, walked once more from where it all began.
fn way(mut world: World, rules: &Rules, states: &[(Fingerprint, u32)], mut at: u32) -> Vec<String> {
    let mut stations = Vec::new();
    while at != 0 {
        let (fingerprint, from) = states[at as usize];
        stations.push(fingerprint);
        at = from;
    }
    let mut way = Vec::new();
    for station in stations.into_iter().rev() {
        let (step, next) = world
            .steps(rules)
            .into_iter()
            .find(|(_, next)| Fingerprint::of(next) == station)
            .expect("a step that was taken can be taken again");
        way.push(step);
        world = next;
    }
    way
}
