//! Signed URLs of the native API: one call on one object, for any holder of the URL, until it ends.
//!
//! What a URL allows is in it, signed with a key that derives from the master key, so that every replica
//! checks it without a lookup elsewhere. What it was made with is in it too: once its maker's key is revoked, has
//! expired or may no longer do it, neither may the URL.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::authenticate::{Access, Standing};
use super::authorize;
use super::maker::Maker;
use crate::application::error::{Error, Result};
use crate::domain::action::Action;
use crate::domain::address::{Key, SpaceAddress};
use crate::domain::bounds::UploadBounds;
use crate::domain::context::Context;
use crate::domain::invalid::Invalid;
use crate::domain::object::ObjectId;
use crate::domain::principal::{Principal, Proof, Right, Rights, Tenants};
use crate::domain::timestamp::Timestamp;

/// Longest life of a signed URL, as S3 has it.
pub const PRESIGNED_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Keeps these signatures apart from anything else that is ever signed with the master key.
const PURPOSE: &str = "juststorage native presigned url v1";

/// What may be called through a signed URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresignedCall {
    /// Reading, or looking.
    Get,
    /// Writing to a key.
    Put,
    /// Deleting.
    Delete,
}

impl PresignedCall {
    /// By its HTTP method; what allows reading allows looking.
    pub fn of_method(method: &str) -> Option<Self> {
        match method {
            "GET" | "HEAD" => Some(Self::Get),
            "PUT" => Some(Self::Put),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// The HTTP method.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// What it does.
    pub fn action(self) -> Action {
        match self {
            Self::Get => Action::GetObject,
            Self::Put => Action::PutObject,
            Self::Delete => Action::DeleteObject,
        }
    }

    /// The right that it takes.
    pub fn right(self) -> Right {
        self.action().right()
    }
}

/// The one object that a signed URL is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresignTarget {
    /// The object that the key holds when the URL is used.
    Key(Key),
    /// Exactly this object.
    Id(ObjectId),
}

/// What a signed URL allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresignRequest {
    /// The call.
    pub call: PresignedCall,
    /// Where the object lies.
    pub space: SpaceAddress,
    /// The object.
    pub target: PresignTarget,
    /// What it allows of an upload; of other calls there is nothing to bound.
    pub bounds: UploadBounds,
}

/// The signed part of a URL: what stands in its query, beside the object in its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presigned {
    /// When it ends, in seconds since the epoch.
    pub expires: i64,
    /// Who made it.
    pub maker: String,
    /// The signature over all of it, as base64url.
    pub signature: String,
}

impl Access {
    /// Signs a URL for `who`, which must have the right itself. `lasts` is cut to what its own credential
    /// lasts.
    pub fn presign(&self, who: &Principal, request: &PresignRequest, lasts: Duration) -> Result<Presigned> {
        let right = request.call.right();
        authorize::check(who, right, &request.space, Error::NoSuchObject)?;
        if let PresignTarget::Key(key) = &request.target
            && !who.covers(key.as_str())
        {
            return Err(Error::OutsidePrefixes);
        }
        let maker = Maker::of(&who.proof).ok_or(Error::Forbidden(right))?;
        if request.call != PresignedCall::Put && !request.bounds.is_empty() {
            let rule = "must be PUT with content_type, size_max or if_none_match";
            return Err(Invalid::new("method", rule).into());
        }
        request.bounds.validate()?;
        if lasts < Duration::from_secs(1) || lasts > PRESIGNED_MAX {
            return Err(Invalid::new("expires_in", "must be 1 second to 7 days").into());
        }
        let mut ends = self.clock.now().plus(lasts);
        if let Proof::Jwt { expires_at, .. } = who.proof {
            ends = ends.min(expires_at);
        }
        let (expires, maker) = (ends.seconds(), maker.to_text());
        let key = self.master_keys.derived(PURPOSE).next().ok_or(Error::Internal)?;
        let signature = hmac::sign(&key, &message(request, expires, &maker));
        Ok(Presigned { expires, maker, signature: URL_SAFE_NO_PAD.encode(signature) })
    }

    /// The principal that a signed URL stands for: it may make this one call in this one space. That it makes
    /// it on this one object is what the signature says.
    pub async fn presigned(&self, request: &PresignRequest, signed: &Presigned) -> Result<Principal> {
        const REFUSED: Error = Error::Unauthenticated("the signed URL is not valid, or no longer");
        let signature = URL_SAFE_NO_PAD.decode(&signed.signature).map_err(|_| REFUSED)?;
        let message = message(request, signed.expires, &signed.maker);
        // In constant time.
        let signed_by_us =
            self.master_keys.derived(PURPOSE).any(|key| hmac::verify(&key, &message, &signature).is_ok());
        let now = self.clock.now();
        let ends = Timestamp(signed.expires.saturating_mul(1000));
        let maker = Maker::parse(&signed.maker).filter(|_| signed_by_us && now < ends).ok_or(REFUSED)?;
        let right = request.call.right();
        let Standing { maker, prefixes } =
            self.still_may(&maker, right, &request.space).await?.ok_or(REFUSED)?;
        Ok(Principal {
            name: format!("url:{}", signed.maker),
            tenant: request.space.tenant.clone(),
            tenants: Tenants::Own,
            namespaces: Some(vec![request.space.namespace.clone().into()]),
            prefixes,
            rights: Rights::from_iter([right]),
            proof: Proof::Url { maker, bounds: Arc::new(request.bounds.clone()) },
            context: Context::default(),
        })
    }
}

/// What is signed: every part with its length before it, so that no two requests have the same text.
fn message(request: &PresignRequest, expires: i64, maker: &str) -> Vec<u8> {
    let id;
    let (kind, target) = match &request.target {
        PresignTarget::Key(key) => ("key", key.as_str()),
        PresignTarget::Id(object) => {
            id = object.to_string();
            ("id", id.as_str())
        }
    };
    let (namespace, tenant) = (request.space.namespace.as_str(), request.space.tenant.as_str());
    let expires = expires.to_string();
    let UploadBounds { content_type, size_max, if_none_match } = &request.bounds;
    let size_max = size_max.map(|size| size.to_string());
    let mut parts = vec![request.call.as_str(), namespace, tenant, kind, target, &expires, maker];
    // Each with its name before it. A URL without bounds is signed as it was before there were any.
    for (name, bound) in [
        ("content-type", content_type.as_deref()),
        ("size-max", size_max.as_deref()),
        ("if-none-match", if_none_match.then_some("*")),
    ] {
        parts.extend(bound.into_iter().flat_map(|bound| [name, bound]));
    }
    let mut message = Vec::new();
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part.as_bytes());
    }
    message
}
