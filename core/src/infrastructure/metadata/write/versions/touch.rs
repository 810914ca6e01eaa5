//! What changes say of keys to the upstream of their space.

use std::collections::BTreeSet;

use super::{InSpace, Versions};
use crate::application::ports::metadata::{Pulled, PutObject};
use crate::domain::address::Key;
use crate::domain::etag::Etag;
use crate::domain::object::ObjectId;
use crate::domain::space::{Space, SpaceId};
use crate::infrastructure::metadata::session::fault::Fault;
use crate::infrastructure::metadata::write::batch::Batch;
use crate::infrastructure::metadata::write::upstreams::{self, Claim};

/// What a change says of a key that the upstream may have, too. It is written before the key's versions are looked at: of a
/// removal and a pull at once, the second waits for the first and sees what it did.
#[derive(Clone, Copy)]
pub(crate) enum Touch<'a> {
    Nothing,
    /// The key may be removed: its place is held until that is decided.
    Hold,
    /// What the upstream has comes here, as this object.
    Claim(ObjectId, &'a Pulled, &'a Etag),
}

impl<'a> Versions<'a> {
    /// Tells of keys what becomes of them. A key that is removed in the same batch is claimed by no pull of it.
    pub(super) async fn touch(&mut self, batch: &mut Batch<'_>, wanted: &InSpace<'a>) -> Result<(), Fault> {
        let held: BTreeSet<&'a Key> = wanted
            .touches
            .iter()
            .filter_map(|(key, touch)| matches!(touch, Touch::Hold).then_some(*key))
            .collect();
        let held: Vec<_> = held.into_iter().map(|key| (wanted.space.id, key)).collect();
        self.held.extend(upstreams::hold(batch.tx, &held, batch.now).await?);
        let mut claims: Vec<_> = wanted
            .touches
            .iter()
            .filter_map(|(key, touch)| match *touch {
                Touch::Claim(id, pulled, etag) => Some(Claim { key, id, etag, pulled }),
                Touch::Nothing | Touch::Hold => None,
            })
            .collect();
        claims.sort_unstable_by_key(|claim| claim.key);
        let claimed: BTreeSet<_> =
            upstreams::claim(batch.tx, wanted.space.id, &claims, batch.now).await?.into_iter().collect();
        let claimed = claims.iter().filter(|claim| claimed.contains(&claim.id));
        self.claimed.extend(claimed.map(|claim| (claim.id, (wanted.space.id, claim.key))));
        Ok(())
    }

    /// Whether a pull may fill the key that it wants.
    pub(crate) fn is_claimed(&self, put: &PutObject) -> bool {
        self.claimed.contains_key(&put.id)
    }

    /// A pull leaves the key that it claimed.
    pub(crate) fn unclaim(&mut self, put: &PutObject) {
        self.unclaimed.extend(self.claimed.remove(&put.id).map(|(space, key)| (space, key, put.id)));
    }

    /// The keys whose places are held.
    pub(crate) fn held(&self) -> &[(SpaceId, &'a Key)] {
        &self.held
    }

    /// A key is removed by a plan that was admitted, also if there is nothing under it here.
    pub(crate) fn removes(&mut self, space: &Space, key: &'a Key) {
        if space.upstream.is_some() {
            self.removed.push((space.id, key));
        }
    }
}
