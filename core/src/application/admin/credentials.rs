//! Credentials, as the administrators of their tenant make, list, renew and revoke them. None hands out more than it
//! administers.

use std::time::Duration;

use uuid::Uuid;

use super::{Admin, allow, answer};
use crate::access::administer::{Scope, administer, is_operator, may_hand_out};
use crate::application::access::{NewKey, NewKeyRequest, authorize};
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::Credential;
use crate::domain::address::Tenant;
use crate::domain::invalid::Invalid;
use crate::domain::principal::{Principal, Right, Tenants};
use crate::domain::timestamp::Timestamp;

/// Longest time that a replaced credential goes on.
const GRACE_MAX: Duration = Duration::from_hours(365 * 24);

/// Whether a credential opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialState {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl CredentialState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Valid, Self::Expired, Self::Revoked];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// The state of `credential` at `now`.
    pub fn of(credential: &Credential, now: Timestamp) -> Self {
        match (credential.revoked_at, credential.expires_at) {
            (Some(_), _) => Self::Revoked,
            (None, Some(expires)) if expires <= now => Self::Expired,
            (None, _) => Self::Valid,
        }
    }
}

/// A valid credential that ends within this time ends soon.
pub const ENDING_SOON: Duration = Duration::from_hours(14 * 24);

/// A credential that was made for no longer than this is meant to end: no list warns of it before.
const PASSING: Duration = Duration::from_hours(24);

/// Whether `credential` opens anything at `now`, and ends so soon that its owner should replace it.
pub fn ends_soon(credential: &Credential, now: Timestamp) -> bool {
    credential.expires_at.is_some_and(|ends| {
        CredentialState::of(credential, now) == CredentialState::Valid
            && ends <= now.plus(ENDING_SOON)
            && ends > credential.created_at.plus(PASSING)
    })
}

impl Admin {
    /// The credentials that `who` administers, oldest first, after the one that was made at this time and has this id;
    /// of one tenant, or of all; in one state, or in any; all, or only those that end soon.
    pub async fn credentials(
        &self,
        who: &Principal,
        tenant: Option<&Tenant>,
        state: Option<CredentialState>,
        ending: bool,
        after: Option<(Timestamp, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Credential>> {
        if !is_operator(who) && !who.rights.has(Right::Admin) {
            return Err(authorize::refuse(Right::Admin));
        }
        let metadata = &self.store.metadata;
        let mut found = match (tenant, &who.tenants) {
            (Some(tenant), _) => metadata.list_credentials(Some(tenant)).await?,
            (None, Tenants::Own) if !is_operator(who) => metadata.list_credentials(Some(&who.tenant)).await?,
            (None, _) => metadata.list_credentials(None).await?,
        };
        let now = self.store.clock.now();
        found.retain(|one| administers(who, one).is_ok());
        found.retain(|one| state.is_none_or(|state| CredentialState::of(one, now) == state));
        found.retain(|one| !ending || ends_soon(one, now));
        found.sort_by_key(|one| (one.created_at, one.id));
        found.retain(|one| after.is_none_or(|after| (one.created_at, one.id) > after));
        found.truncate(limit);
        Ok(found)
    }

    /// One credential that `who` administers.
    pub async fn credential(&self, who: &Principal, id: Uuid) -> Result<Credential> {
        let found = self.store.metadata.credential(id).await?.ok_or(Error::NoSuchCredential)?;
        administers(who, &found).map_err(|denied| answer(denied, Error::NoSuchCredential))?;
        Ok(found)
    }

    /// Makes a credential. Its secret is in the answer and nowhere else.
    pub async fn create_credential(
        &self,
        who: &Principal,
        request: NewKeyRequest,
    ) -> Result<(Credential, NewKey)> {
        let scope = Scope::Part(&request.tenant, request.namespaces.as_deref());
        allow(who, scope, Error::Forbidden(Right::Admin))?;
        may_hand_out(who, request.rights).map_err(|denied| answer(denied, Error::Internal))?;
        request.validate()?;
        if request.expires_at.is_some_and(|at| at <= self.store.clock.now()) {
            return Err(Invalid::new("expires_at", "must be in the future").into());
        }
        self.access.issue(request).await
    }

    /// Makes a credential that may do what this one may, which ends at once or after `grace`.
    pub async fn rotate_credential(
        &self,
        who: &Principal,
        id: Uuid,
        grace: Duration,
    ) -> Result<(Credential, NewKey)> {
        if grace > GRACE_MAX {
            return Err(Invalid::new("grace_seconds", "must be at most 31536000 (365 days)").into());
        }
        self.handed_out(who, id).await?;
        self.access.rotate_key(id, grace).await
    }

    /// Revokes a credential, within a second on every server.
    pub async fn revoke_credential(&self, who: &Principal, id: Uuid) -> Result<()> {
        self.handed_out(who, id).await?;
        self.access.revoke_key(id).await
    }

    /// A credential that `who` could have handed out.
    async fn handed_out(&self, who: &Principal, id: Uuid) -> Result<()> {
        let found = self.credential(who, id).await?;
        may_hand_out(who, found.rights).map_err(|denied| answer(denied, Error::NoSuchCredential))
    }
}

fn administers(who: &Principal, one: &Credential) -> Result<(), crate::domain::principal::Denied> {
    administer(who, Scope::Part(&one.tenant, one.namespaces.as_deref()))
}
