//! Turning a credential into a principal.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::jwks::JwtKeys;
use super::jwt::{JwtRules, JwtVerifier};
use super::maker::Maker;
use super::published::KeySetPace;
use super::seal::MasterKeys;
use crate::application::error::{Error, Result};
use crate::application::ports::clock::Clock;
use crate::application::ports::key_set::KeySetSource;
use crate::application::ports::metadata::{Credential, CredentialKind, MetadataStore};
use crate::domain::address::{KeyPrefix, SpaceAddress, Tenant};
use crate::domain::context::Context;
use crate::domain::principal::{Principal, Proof, Right, Tenants};
use crate::domain::timestamp::Timestamp;

/// Whether the native API asks for credentials. The S3 front always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Everyone may do everything: for loopback.
    Disabled,
    /// Every request proves who it is.
    Required,
}

/// The S3 key that the configuration brings along; it may do everything.
#[derive(Clone)]
pub struct RootKey {
    /// The access key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
}

/// An S3 key that exists and holds: the secret its signatures are checked with, and whose it is.
#[derive(Clone)]
pub struct S3Identity {
    /// The secret key. Never logged.
    pub secret_key: String,
    /// Whose requests it signs.
    pub principal: Principal,
}

/// How long a key that was looked up counts as looked up: well below the second within which a revocation
/// takes effect on every replica.
const KEY_REMEMBERED: Duration = Duration::from_millis(500);

/// Keys remembered at most.
const KEYS_REMEMBERED_MAX: u64 = 10_000;

/// A stored key, ready for use.
struct KnownKey {
    credential: Credential,
    /// Of an S3 key.
    secret_key: Option<String>,
    principal: Principal,
}

impl KnownKey {
    fn holds(&self, now: Timestamp) -> bool {
        let Credential { revoked_at, expires_at, .. } = &self.credential;
        revoked_at.is_none() && expires_at.is_none_or(|expires| now < expires)
    }
}

/// How the maker of a signed URL stands now.
#[derive(Default)]
pub(super) struct Standing {
    /// The id of its stored credential, if it has one.
    pub(super) maker: Option<Uuid>,
    /// The prefixes of keys that the credential is bound to.
    pub(super) prefixes: Option<Vec<KeyPrefix>>,
}

/// Resolves credentials of both fronts, and makes and revokes them. All clones are the same.
#[derive(Clone)]
pub struct Access {
    pub(super) metadata: Arc<dyn MetadataStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) master_keys: MasterKeys,
    mode: AuthMode,
    pub(super) root: Option<RootKey>,
    home: Tenant,
    jwt: Option<Arc<JwtVerifier>>,
    known: Cache<String, Arc<KnownKey>>,
}

/// The prefix of every API token, by which scanners recognise a leaked one.
pub(super) const TOKEN_PREFIX: &str = "js_";

/// Length of the part of an API token, behind the prefix, that it is looked up by.
pub(super) const TOKEN_LOOKUP_CHARS: usize = 12;

impl Access {
    /// Over the stored keys. `home` is the tenant of the root key and of unauthenticated callers that name
    /// none.
    pub fn new(
        metadata: Arc<dyn MetadataStore>,
        clock: Arc<dyn Clock>,
        master_keys: impl Into<MasterKeys>,
        mode: AuthMode,
        root: Option<RootKey>,
        home: Tenant,
    ) -> Self {
        let known = Cache::builder().time_to_live(KEY_REMEMBERED).max_capacity(KEYS_REMEMBERED_MAX).build();
        Self { metadata, clock, master_keys: master_keys.into(), mode, root, home, jwt: None, known }
    }

    /// Lets JSON web tokens in, signed with one of `keys`.
    #[must_use]
    pub fn with_jwt(self, keys: JwtKeys, rules: JwtRules) -> Self {
        Self { jwt: Some(Arc::new(JwtVerifier::new(keys, rules))), ..self }
    }

    /// Lets JSON web tokens in, signed with a key of a set that [`Self::follow_key_set`] fetches. Until it has, a
    /// token cannot be judged, and requests with one are told to try again.
    #[must_use]
    pub fn with_published_jwt_keys(self, pace: KeySetPace, rules: JwtRules) -> Self {
        Self { jwt: Some(Arc::new(JwtVerifier::of_published(pace, rules))), ..self }
    }

    /// Fetches the set of keys at its pace, for ever. Without effect where the keys are not published.
    pub async fn follow_key_set(&self, source: &dyn KeySetSource) {
        if let Some((jwt, published)) = self.jwt.as_deref().and_then(|jwt| Some((jwt, jwt.published()?))) {
            match published.follow(source, &|keys| jwt.replace_keys(keys), self.clock.as_ref()).await {}
        }
    }

    /// Waits until the set of keys was fetched once, well or not: at most as long as one fetch may take.
    pub async fn key_set_tried(&self) {
        if let Some(published) = self.jwt.as_ref().and_then(|jwt| jwt.published()) {
            published.first().await;
        }
    }

    /// From now on these are the keys of JSON web tokens, for tokens that were seen before too. Without
    /// effect where no such tokens are let in.
    pub fn replace_jwt_keys(&self, keys: JwtKeys) {
        if let Some(jwt) = &self.jwt {
            jwt.replace_keys(keys);
        }
    }

    /// Whether credentials are asked for.
    pub fn mode(&self) -> AuthMode {
        self.mode
    }

    /// A native request without credentials, for `tenant` if it names one.
    pub fn anonymous(&self, tenant: Option<Tenant>) -> Result<Principal> {
        match self.mode {
            AuthMode::Disabled => {
                let tenant = tenant.unwrap_or_else(|| self.home.clone());
                Ok(Principal { proof: Proof::Nothing, ..Principal::unrestricted("anonymous", tenant) })
            }
            AuthMode::Required => Err(Error::Unauthenticated("credentials are required")),
        }
    }

    /// The holder of a bearer token: an API token or a JSON web token.
    pub async fn bearer(&self, token: &str) -> Result<Principal> {
        const REFUSED: Error = Error::Unauthenticated("the token is not valid");
        if let Some(jwt) = self.jwt.as_ref().filter(|_| !token.starts_with(TOKEN_PREFIX)) {
            if jwt.has_no_keys_yet() {
                return Err(Error::Unavailable);
            }
            return jwt.verify(token, self.clock.now()).await.map_err(|reason| {
                tracing::debug!(reason, "JSON web token refused");
                REFUSED
            });
        }
        let lookup = token_lookup(token).ok_or(REFUSED)?;
        let known = self.known(lookup).await?;
        // The comparison takes place, and takes as long, whether or not there is such a key.
        let stored = known.as_ref().map_or(&[0; 32][..], |known| &known.credential.secret);
        let matches: bool = Sha256::digest(token.as_bytes()).as_slice().ct_eq(stored).into();
        known
            .filter(|known| matches && known.credential.kind == CredentialKind::Api)
            .filter(|known| known.holds(self.clock.now()))
            .map(|known| known.principal.clone())
            .ok_or(REFUSED)
    }

    /// The secret and holder of an S3 access key; `None` if there is no such key or it holds no more.
    pub async fn s3(&self, access_key: &str) -> Result<Option<S3Identity>> {
        if let Some(root) = self.root.as_ref().filter(|root| root.access_key == access_key) {
            return Ok(Some(S3Identity {
                secret_key: root.secret_key.clone(),
                principal: Principal::unrestricted("root", self.home.clone()),
            }));
        }
        let Some(known) = self.known(access_key).await? else { return Ok(None) };
        if known.credential.kind != CredentialKind::S3 || !known.holds(self.clock.now()) {
            return Ok(None);
        }
        let Some(secret_key) = known.secret_key.clone() else {
            let key = known.credential.id;
            tracing::error!(%key, "stored secret cannot be decrypted: was the master key changed?");
            return Err(Error::Internal);
        };
        Ok(Some(S3Identity { secret_key, principal: known.principal.clone() }))
    }

    /// The key with this public part, as it was at most [`KEY_REMEMBERED`] ago. Requests that miss it at the
    /// same time ask the database once; that there is none is not remembered.
    async fn known(&self, lookup: &str) -> Result<Option<Arc<KnownKey>>> {
        if let Some(known) = self.known.get(lookup).await {
            return Ok(Some(known));
        }
        let load = async {
            let found = self.metadata.find_credential(lookup).await.map_err(|error| Some(error.into()))?;
            found.map(|credential| Arc::new(self.ready(credential))).ok_or(None::<Error>)
        };
        match self.known.try_get_with_by_ref(lookup, load).await {
            Ok(known) => Ok(Some(known)),
            Err(error) => error.as_ref().clone().map_or(Ok(None), Err),
        }
    }

    fn ready(&self, credential: Credential) -> KnownKey {
        let secret_key = (credential.kind == CredentialKind::S3)
            .then(|| self.master_keys.open(&credential.lookup, &credential.secret))
            .flatten()
            .and_then(|secret| String::from_utf8(secret).ok());
        let principal = Principal {
            name: credential.id.to_string(),
            tenant: credential.tenant.clone(),
            tenants: Tenants::Own,
            namespaces: credential.namespaces.clone(),
            prefixes: credential.prefixes.clone(),
            rights: credential.rights,
            proof: Proof::Key { id: credential.id, lookup: credential.lookup.clone() },
            context: Context::default(),
        };
        KnownKey { credential, secret_key, principal }
    }

    /// Forgets every key that was looked up: at once in this process, and elsewhere within a second.
    pub(super) fn forget_keys(&self) {
        self.known.invalidate_all();
    }

    /// How `maker` stands, as long as what it made does: its credential holds, and lets it exercise `right` in `space`.
    pub(super) async fn still_may(
        &self,
        maker: &Maker,
        right: Right,
        space: &SpaceAddress,
    ) -> Result<Option<Standing>> {
        let stands = match maker {
            Maker::Nothing => self.mode == AuthMode::Disabled,
            Maker::JwtKey(_) if self.jwt.as_ref().is_some_and(|jwt| jwt.has_no_keys_yet()) => {
                return Err(Error::Unavailable);
            }
            Maker::JwtKey(key_id) => self.jwt.as_ref().is_some_and(|jwt| jwt.has_key(key_id.as_deref())),
            Maker::Key(lookup) => {
                let known = self.known(lookup).await?.filter(|known| known.holds(self.clock.now()));
                let known = known.filter(|known| known.principal.may(right, space).is_ok());
                return Ok(known.map(|known| Standing {
                    maker: Some(known.credential.id),
                    prefixes: known.credential.prefixes.clone(),
                }));
            }
        };
        Ok(stands.then(Standing::default))
    }
}

/// The public part of an API token.
pub(super) fn token_lookup(token: &str) -> Option<&str> {
    let rest = token.strip_prefix(TOKEN_PREFIX)?;
    let (lookup, secret) = rest.split_at_checked(TOKEN_LOOKUP_CHARS)?;
    (!secret.is_empty() && token.len() <= 256).then_some(lookup)
}
