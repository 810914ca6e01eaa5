//! Clients of spaces that have an upstream: noted beside their requests, and written down many at a time.

use super::error::Result;
use super::store::Store;
use super::{metrics, request};
use crate::domain::action::Action;
use crate::domain::principal::{Principal, Right};
use crate::domain::space::SpaceId;
use crate::domain::upstream::clients::{Client, Counts, Seen};
use crate::domain::upstream::{Mode, Source};

impl Store {
    /// A read of a space that reads through to an upstream was answered from there, or from here.
    pub(crate) fn answered_from(&self, who: &Principal, space: SpaceId, source: Source) {
        metrics::upstream_read(source);
        let mut counts = Counts::default();
        match source {
            Source::Local => counts.local = 1,
            Source::Upstream => counts.upstream = 1,
            Source::Pulled => counts.pulled = 1,
        }
        self.note_client(who, space, counts);
    }

    /// A client was let in to do something in a space that may have an upstream. A read of an object is not among it:
    /// [`Self::answered_from`] counts that.
    pub(crate) fn asked_for(&self, who: &Principal, action: Action, space: SpaceId, upstream: Option<Mode>) {
        if !upstream.is_some_and(Mode::reads_through) {
            return;
        }
        let counts = match action.right() {
            Right::Write | Right::Delete => Counts { changes: 1, ..Counts::default() },
            _ => Counts { other: 1, ..Counts::default() },
        };
        self.note_client(who, space, counts);
    }

    fn note_client(&self, who: &Principal, space: SpaceId, counts: Counts) {
        let at = self.clock.now();
        let client = Client::new(&who.name, &request::agent());
        self.links.clients().note(space, &Seen { client, first_at: at, last_at: at, counts });
    }

    /// Writes down which clients were seen. How many. Those of a space that cannot be written down are counted again next time.
    pub(crate) async fn write_clients(&self) -> Result<u64> {
        let mut written = 0;
        let mut failed = None;
        for (space, seen) in self.links.clients().take() {
            match self.metadata.note_clients(space, seen.clone()).await {
                Ok(()) => written += seen.len() as u64,
                Err(error) => {
                    for one in &seen {
                        self.links.clients().note(space, one);
                    }
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(written), |error| Err(error.into()))
    }
}
