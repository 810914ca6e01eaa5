//! What a comparison has to know of what is sent to the upstream.

use std::collections::{HashMap, HashSet};

use super::sides::Line;
use super::step::{Finding, PassStep, away, name};
use crate::application::ports::metadata::MirroredKey;
use crate::application::ports::upstream::UpstreamError;
use crate::application::workers::mirror::memory;
use crate::domain::address::Key;
use crate::domain::mirror::Memory;
use crate::domain::space::Versioning;
use crate::domain::upstream::Fate;
use crate::domain::upstream::compare::fate_now;

/// What is known of the keys of a page that were sent, or wait to be.
pub(super) struct Sent {
    known: HashMap<String, MirroredKey>,
    waiting: HashSet<String>,
}

impl Sent {
    pub(super) async fn of(step: &PassStep<'_>, keys: &[Key]) -> Result<Self, UpstreamError> {
        let (metadata, space) = (&step.store.metadata, step.space.id);
        let known = metadata.mirrored(space, keys).await.map_err(away)?;
        let waiting = metadata.mirror_waiting(space, keys).await.map_err(away)?;
        Ok(Self {
            known: known.into_iter().map(|(key, known)| (key.as_str().to_owned(), known)).collect(),
            waiting: waiting.into_iter().map(|key| key.as_str().to_owned()).collect(),
        })
    }

    /// What became of a key, for the comparison.
    pub(super) fn fate_of(
        &self,
        step: &PassStep<'_>,
        key: &str,
        fate: Option<Fate>,
        here: Option<&Line>,
    ) -> Option<Fate> {
        let versioned = step.space.versioning != Versioning::Off;
        let known = self.known.get(key).map_or_else(Memory::default, memory);
        fate_now(versioned, fate, here.map(|(etag, _)| etag.as_str()), [known.there, known.sending])
    }

    /// Whether a key waits to be sent.
    pub(super) fn waits(&self, key: &str) -> bool {
        self.waiting.contains(key)
    }

    /// The upstream's side, under the entity tag that the same bytes have here: not every tag is made of the bytes.
    pub(super) fn as_here<'a>(
        &self,
        key: &str,
        here: Option<&'a Line>,
        there: Option<&'a Line>,
    ) -> Option<&'a Line> {
        let (Some((mine, size)), Some((theirs, other))) = (here, there) else { return there };
        let same = self.known.get(key).is_some_and(|known| memory(known).is_same(mine, theirs));
        if same && size == other { here } else { there }
    }
}

/// Changes that the upstream was not told of are a finding, whatever the listings show: they do not show everything.
pub(super) async fn note_dropped(
    step: &PassStep<'_>,
    found: &mut u64,
    findings: &mut Vec<Finding>,
) -> Result<(), UpstreamError> {
    let state = step.store.metadata.mirror_state(step.space.id, 0).await.map_err(away)?;
    if state.dropped > 0 {
        *found += 1;
        let why =
            format!("{} changes were dropped as too many waited: set the mode mirror again", state.dropped);
        name(findings, "", "dropped", why);
    }
    Ok(())
}
