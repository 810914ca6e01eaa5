//! Requests with an idempotency key: those under way, and what tells one from another.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::{Error, Result};
use crate::domain::address::{SpaceAddress, Tenant};
use crate::domain::blob::Hash;
use crate::domain::idempotency::IdempotencyKey;
use crate::domain::object::Attributes;
use crate::domain::storage_class::StorageClass;

/// The requests with a key that this process is answering.
#[derive(Clone, Default)]
pub(crate) struct UnderWay(Arc<Mutex<HashSet<(Tenant, IdempotencyKey)>>>);

/// One of them, until it is dropped.
pub(crate) struct Turn {
    all: UnderWay,
    of: (Tenant, IdempotencyKey),
}

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, HashSet<(Tenant, IdempotencyKey)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request; `None` while another one has its key.
    pub(crate) fn begin(&self, tenant: &Tenant, key: &IdempotencyKey) -> Option<Turn> {
        let of = (tenant.clone(), key.clone());
        self.lock().insert(of.clone()).then(|| Turn { all: self.clone(), of })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.all.lock().remove(&self.of);
    }
}

/// The SHA-256 of all that a put asks for.
pub(crate) fn fingerprint(space: &SpaceAddress, attributes: &Attributes, body: &Hash) -> Result<Hash> {
    let Attributes { headers, metadata, tags, class, .. } = attributes;
    let class = class.map(StorageClass::as_str);
    let (namespace, tenant) = (space.namespace.as_str(), space.tenant.as_str());
    let asked = (namespace, tenant, headers, metadata, tags, class, body.0);
    Ok(Hash::of(&serde_json::to_vec(&asked).map_err(|_| Error::Internal)?))
}
