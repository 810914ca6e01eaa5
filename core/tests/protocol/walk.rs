//! Breadth first through every state that can be reached, so that the way to an accident is a shortest one.

use std::collections::HashMap;

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

/// Looks at every state of `crew` under `rules`, or until the first accident.
pub(crate) fn walk(crew: Crew, rules: Rules) -> Walk {
    let start = World::new(crew);
    let mut known = HashMap::from([(start.clone(), 0_usize)]);
    let mut states = vec![(start, 0_usize, String::new())];
    let (mut at, mut steps) = (0, 0);
    while at < states.len() {
        let world = states[at].0.clone();
        if let Some(accident) = world.accident(&rules) {
            return Walk { states: states.len(), steps, accident: Some((accident, way(&states, at))) };
        }
        for (step, next) in world.steps(&rules) {
            steps += 1;
            if !known.contains_key(&next) {
                known.insert(next.clone(), states.len());
                states.push((next, at, step));
            }
        }
        at += 1;
    }
    Walk { states: states.len(), steps, accident: None }
}

fn way(states: &[(World, usize, String)], mut at: usize) -> Vec<String> {
    let mut way = Vec::new();
    while at != 0 {
        way.push(states[at].2.clone());
        at = states[at].1;
    }
    way.reverse();
    way
}
