//! Stored bytes, savings, and free space.

use super::Admin;
use super::buckets::reader;
use crate::access::administer::is_operator;
use crate::application::error::Result;
use crate::application::ports::metadata::{Retained, SpaceUsage};
use crate::application::reserve::VolumeRoom;
use crate::domain::address::{Namespace, Tenant};
use crate::domain::principal::Principal;

/// Figures of spaces; and, for an operator, of what they lie on.
#[derive(Clone, Debug)]
pub struct Figures {
    /// By space and storage class.
    pub spaces: Vec<SpaceUsage>,
    /// File systems; only an operator sees them.
    pub volumes: Option<Vec<VolumeRoom>>,
    /// Data files that nothing names any more; only an operator sees them.
    pub retained: Option<Retained>,
}

impl Admin {
    /// The figures that `who` may see; of one tenant or namespace, or of all.
    pub async fn figures(
        &self,
        who: &Principal,
        tenant: Option<&Tenant>,
        namespace: Option<&Namespace>,
    ) -> Result<Figures> {
        let spaces = self.store.usage(&reader(who)?, tenant, namespace).await?;
        if !is_operator(who) {
            return Ok(Figures { spaces, volumes: None, retained: None });
        }
        let retained = self.store.metadata.retained().await?;
        Ok(Figures { spaces, volumes: Some(self.reserve.rooms()), retained: Some(retained) })
    }
}
