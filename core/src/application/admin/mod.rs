//! Administration: every call of the admin API is a method of [`Admin`].
//!
//! Who may is decided by [`administer`], and by nothing else here; what is done is what the use cases of the store and
//! of credentials do for everybody.

mod backups;
mod buckets;
mod credentials;
mod declare;
mod declared;
mod events;
mod explain;
mod history;
mod limits;
mod mirrors;
mod spaces;
mod targets;
mod upkeep;
mod upstreams;
mod usage;

use crate::access::administer::{Scope, administer, is_operator, may_measure};
use crate::application::access::{Access, authorize};
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::WriterId;
use crate::application::request;
use crate::application::reserve::Reserve;
use crate::application::store::Store;
use crate::application::workers::{Board, Deliveries, Sinks};
use crate::domain::principal::{Denied, Principal, Proof, Right};
use crate::domain::timestamp::Timestamp;

pub use backups::Collectable;
pub use credentials::{CredentialState, ENDING_SOON, ends_soon};
pub use declared::{
    Declared, DeclaredBucket, DeclaredCredential, DeclaredState, DeclaredTenant, Entry, Finding, Manner,
    Unfit,
};
pub use events::{Event, EventFilter, EventResult, Events, IDENTIFIED_MAX, STRANGERS_MAX};
pub use explain::{AccessOutcome, Explained, Subject};
pub use history::{History, MINUTES, Minute};
pub use limits::TenantUse;
pub(crate) use limits::tenants_in_use;
pub use mirrors::MirrorStatus;
pub use spaces::SpaceChange;
pub use targets::{SecretChange, TargetReport};
pub use upkeep::{Backlog, Findings, ReplicaState, Replicas, Traffic, WorkerReport, Workers};
pub use upstreams::{UpstreamChange, UpstreamStatus, check_report, report_keys};
pub use usage::Figures;

/// Administration of a store. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Admin {
    store: Store,
    access: Access,
    reserve: Reserve,
    board: Board,
    events: Events,
    history: History,
    server: Option<WriterId>,
    sinks: Sinks,
    deliveries: Deliveries,
}

/// Permissions of a caller, as a whole: a page shows actions by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // one for each group of calls
pub struct May {
    /// Read objects of its tenant.
    pub read: bool,
    /// Write objects of its tenant.
    pub write: bool,
    /// Delete objects of its tenant.
    pub delete: bool,
    /// Administer what it sees of its tenant.
    pub administer: bool,
    /// See limits and events of its tenant as a whole.
    pub oversee: bool,
    /// Administer the whole store.
    pub operate: bool,
}

impl Admin {
    /// Over a store and its credentials.
    pub fn new(store: Store, access: Access) -> Self {
        let (reserve, board, events) = (Reserve::default(), Board::default(), Events::default());
        let (history, sinks, deliveries) = (History::default(), Sinks::default(), Deliveries::default());
        Self { store, access, reserve, board, events, history, server: None, sinks, deliveries }
    }

    /// Tells of these workers, of the process that writes as `server`.
    #[must_use]
    pub fn with_workers(self, board: Board, server: WriterId) -> Self {
        Self { board, server: Some(server), ..self }
    }

    /// Tells how much room these file systems have.
    #[must_use]
    pub fn with_reserve(self, reserve: Reserve) -> Self {
        Self { reserve, ..self }
    }

    /// Tells of these events.
    #[must_use]
    pub fn with_events(self, events: Events) -> Self {
        Self { events, ..self }
    }

    /// Tells of these requests.
    #[must_use]
    pub fn with_history(self, history: History) -> Self {
        Self { history, ..self }
    }

    /// The permissions of `who` in its own tenant, and beyond.
    pub fn may(&self, who: &Principal) -> May {
        let own = &who.tenant;
        let part = Scope::Part(own, who.namespaces.as_deref());
        May {
            read: who.rights.has(Right::Read),
            write: who.rights.has(Right::Write),
            delete: who.rights.has(Right::Delete),
            administer: administer(who, part).is_ok(),
            oversee: administer(who, Scope::Tenant(own)).is_ok(),
            operate: is_operator(who),
        }
    }

    /// The time, as the store has it.
    pub fn now(&self) -> Timestamp {
        self.store.clock.now()
    }

    /// When the credential or token ends that `who` proved itself with.
    pub async fn expires_at(&self, who: &Principal) -> Result<Option<Timestamp>> {
        Ok(match &who.proof {
            Proof::Key { lookup, .. } => {
                self.store.metadata.find_credential(lookup).await?.and_then(|found| found.expires_at)
            }
            Proof::Jwt { expires_at, .. } => Some(*expires_at),
            _ => None,
        })
    }

    /// Refuses unless `who` may read the metrics of the process.
    pub fn allow_metrics(&self, who: &Principal) -> Result<()> {
        may_measure(who).map_err(|denied| answer(denied, Error::Forbidden(Right::Metrics)))
    }
}

/// Lets `who` administer `scope`, or answers `hidden` where that is out of its sight.
fn allow(who: &Principal, scope: Scope<'_>, hidden: Error) -> Result<()> {
    administer(who, scope).map_err(|denied| answer(denied, hidden))
}

/// Lets `who` administer the store as a whole.
fn allow_operator(who: &Principal) -> Result<()> {
    allow(who, Scope::Store, Error::Forbidden(Right::Operator))
}

fn answer(denied: Denied, hidden: Error) -> Error {
    match denied {
        Denied::Invisible => {
            request::out_of_sight();
            hidden
        }
        Denied::Forbidden(right) => authorize::refuse(right),
    }
}
