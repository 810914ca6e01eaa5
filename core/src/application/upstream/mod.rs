//! Spaces that are bound to an upstream: reading through, keeping what was proved, and the work over a whole upstream.
//!
//! Nothing here is touched by a request about a space without one.

mod answers;
mod breaker;
mod clients;
pub(crate) mod flight;
pub(crate) mod kept;
mod link;
mod pacer;
pub(crate) mod verified;

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use crate::application::access::MasterKeys;
use crate::application::error::{Error, Result};
use crate::application::ports::upstream::{UpstreamConnector, UpstreamError};
use crate::domain::address::Key;
use crate::domain::identity::StoreId;
use crate::domain::space::{SettingsRevision, Space, SpaceId};
use crate::domain::upstream::{Binding, Target};

pub(crate) use answers::{answer, refusal};
use clients::Clients;
use flight::Flights;
pub(crate) use link::Link;
/// An object that is not here, and may be upstream.
#[derive(Clone)]
pub(crate) struct Beyond {
    pub(crate) space: Space,
    pub(crate) key: Key,
    pub(crate) link: Arc<Link>,
    /// Whether it was asked for as the null version of its key.
    pub(crate) as_version: bool,
}

impl Beyond {
    /// What a request is answered if there is nothing upstream either.
    pub(crate) fn nothing(&self) -> Error {
        if self.as_version { Error::NoSuchVersion } else { Error::NoSuchObject }
    }
}

/// Upstreams that stay connected.
const LINKS_MAX: u64 = 256;

/// Keys of which it is remembered that an upstream does not have them, and for how long at most.
const ABSENT_MAX: u64 = 100_000;
const ABSENT_FOR: Duration = Duration::from_secs(1);

/// What connects upstreams: of the whole process.
#[derive(Clone)]
pub struct UpstreamSetup {
    /// Makes clients.
    pub connector: Arc<dyn UpstreamConnector>,
    /// Opens the secrets of bindings.
    pub keys: MasterKeys,
    /// This store, which no upstream may be.
    pub own: StoreId,
}

/// The upstreams of this process's spaces. All clones are the same.
#[derive(Clone)]
pub(crate) struct Links(Arc<Inner>);

struct Inner {
    setup: Option<UpstreamSetup>,
    known: Cache<SpaceId, (SettingsRevision, Arc<Link>)>,
    /// Keys that an upstream does not have, as long as it is well.
    absent: Cache<(SpaceId, SettingsRevision, Key), ()>,
    flights: Flights,
    clients: Clients,
}

impl Default for Links {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Links {
    pub(crate) fn new(setup: Option<UpstreamSetup>) -> Self {
        let absent = Cache::builder().max_capacity(ABSENT_MAX).time_to_live(ABSENT_FOR).build();
        Self(Arc::new(Inner {
            setup,
            known: Cache::new(LINKS_MAX),
            absent,
            flights: Flights::default(),
            clients: Clients::default(),
        }))
    }

    fn setup(&self) -> Result<&UpstreamSetup> {
        self.0.setup.as_ref().ok_or_else(|| {
            tracing::error!("a space has an upstream, and this process has nothing to connect it with");
            Error::Internal
        })
    }

    /// Whether a request that came through `store` came from here.
    pub(crate) fn is_own(&self, store: &str) -> bool {
        self.0.setup.as_ref().is_some_and(|setup| setup.own.to_string() == store.trim())
    }

    pub(crate) fn clients(&self) -> &Clients {
        &self.0.clients
    }

    /// This store.
    pub(crate) fn own(&self) -> Result<StoreId> {
        Ok(self.setup()?.own)
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.0.flights
    }

    /// The upstream of a space, connected.
    pub(crate) fn of(&self, space: &Space, binding: &Binding) -> Result<Arc<Link>> {
        if let Some((revision, link)) = self.0.known.get(&space.id)
            && revision == space.settings
        {
            return Ok(link);
        }
        let link = self.connect(space.id, binding)?.map_err(|error| answer(&error))?;
        let link = Arc::new(link);
        self.0.known.insert(space.id, (space.settings, link.clone()));
        Ok(link)
    }

    /// A new connection to the upstream of a binding.
    pub(crate) fn connect(&self, space: SpaceId, binding: &Binding) -> Result<Result<Link, UpstreamError>> {
        let setup = self.setup()?;
        let sealed_for = Binding::sealed_for(space.0, &binding.target);
        let secret =
            setup.keys.open(&sealed_for, &binding.sealed).and_then(|secret| String::from_utf8(secret).ok());
        let Some(secret) = secret else {
            tracing::error!(
                space = space.0,
                "the secret of an upstream cannot be opened: is the master key right?"
            );
            return Err(Error::Internal);
        };
        let upstream = setup.connector.connect(&binding.target, &secret);
        Ok(upstream.map(|upstream| Link::new(upstream, binding.target.clone())))
    }

    /// A secret key as it is stored for a target of a space.
    pub(crate) fn sealed(&self, space: SpaceId, target: &Target, secret: &str) -> Result<Vec<u8>> {
        let sealed_for = Binding::sealed_for(space.0, target);
        self.setup()?.keys.seal(&sealed_for, secret.as_bytes()).ok_or(Error::Internal)
    }

    /// Whether it is known that the upstream does not have a key. One that is in trouble may have anything by the time it is
    /// back.
    pub(crate) fn is_absent(&self, link: &Link, space: &Space, key: &Key) -> bool {
        !link.is_left_alone() && self.0.absent.contains_key(&(space.id, space.settings, key.clone()))
    }

    /// The upstream does not have a key.
    pub(crate) fn note_absent(&self, space: &Space, key: &Key) {
        self.0.absent.insert((space.id, space.settings, key.clone()), ());
    }
}
