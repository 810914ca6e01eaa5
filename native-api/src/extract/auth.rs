//! The caller of a request.

use axum::extract::Query;
use http::header::AUTHORIZATION;
use juststorage_core::application::access::AuthMode;
use juststorage_core::application::error::Error;
use juststorage_core::application::request;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::context::Context;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::principal::Principal;

use super::Call;
use crate::NativeApi;
use crate::problem::{Failure, Problem};

/// How a request names its tenant.
pub(crate) enum Named<'a> {
    /// In its address. `X-Tenant`, if sent too, must agree.
    InAddress(&'a Tenant),
    /// Only in `X-Tenant`, since the request names an id. Carries the answer that hides a foreign one.
    ById(Error),
    /// In `X-Tenant`, or not at all: then the request covers everything that the caller may see.
    Optionally(Option<&'a Tenant>),
}

/// Proof that a request's credentials are valid, or that none are required. Its body is read only after that.
pub(crate) struct Proven(Option<Principal>);

impl Proven {
    /// The tenant from whose share of memory the body is read.
    pub(super) fn tenant(&self) -> Option<Tenant> {
        self.0.as_ref().map(|principal| principal.tenant.clone())
    }
}

impl Call {
    /// The tenant that a request is about: the one in its address (`asked`), or in `X-Tenant`, or else the only one of
    /// its credentials. `None` if it follows from none of them.
    pub(crate) fn tenant_of(&self, proven: &Proven, asked: Option<&str>) -> Result<Option<Tenant>, Invalid> {
        if let Some(asked) = asked {
            return Tenant::new(asked).map(Some);
        }
        let header = self.tenant()?;
        Ok(header.or_else(|| proven.0.as_ref().and_then(Principal::only_tenant).cloned()))
    }

    /// Checks the credentials in the request's head.
    pub(crate) async fn prove(&self, api: &NativeApi) -> Result<Proven, Failure> {
        let access = &api.access;
        Ok(Proven(match (self.token()?, super::presigned::of(&self.method, &self.uri)?) {
            (None, None) => {
                // Refused where credentials are asked for; whom it speaks for otherwise is found out later.
                access.anonymous(None)?;
                None
            }
            (Some(token), None) => Some(access.bearer(token).await?),
            (None, Some((request, signed))) => Some(access.presigned(&request, &signed).await?),
            (Some(_), Some(_)) => {
                return Err(Error::Unauthenticated("send a token or a signed URL, not both").into());
            }
        }))
    }

    /// The principal that the request speaks for: see [`Self::caller_of`].
    pub(crate) async fn caller(&self, api: &NativeApi, named: Named<'_>) -> Result<Principal, Failure> {
        self.tenant()?;
        let proven = self.prove(api).await?;
        self.caller_of(api, &proven, named).await
    }

    /// The principal that the request speaks for.
    ///
    /// Credentials that are sent must be valid, also where none are required. A principal of several tenants, or of
    /// all, is confined to the tenant that the request names: an id of another tenant's object then counts as
    /// missing.
    pub(crate) async fn caller_of(
        &self,
        api: &NativeApi,
        proven: &Proven,
        named: Named<'_>,
    ) -> Result<Principal, Failure> {
        let access = &api.access;
        let header = self.tenant()?;
        let (in_address, hidden) = match named {
            Named::InAddress(tenant) => (Some(tenant), None),
            Named::Optionally(tenant) => (tenant, None),
            Named::ById(hidden) => (None, Some(hidden)),
        };
        if let (Some(address), Some(header)) = (in_address, &header)
            && address != header
        {
            return Err(Problem::tenant_mismatch().into());
        }
        let tenant = in_address.or(header.as_ref());
        let mut principal = match &proven.0 {
            Some(principal) => principal.clone(),
            None if hidden.is_some() && tenant.is_none() && access.mode() == AuthMode::Disabled => {
                return Err(Problem::missing_header("X-Tenant", " for a call by id").into());
            }
            None => access.anonymous(tenant.cloned())?,
        };
        if let Some(tenant) = tenant {
            match (principal.reaches(tenant), hidden) {
                (true, _) => principal = principal.confined(tenant).ok_or(Error::Internal)?,
                (false, Some(hidden)) => {
                    api.store.admit(&principal).await?;
                    request::out_of_sight();
                    return Err(hidden.into());
                }
                // The address itself is then out of its sight.
                (false, None) => {}
            }
        }
        api.store.admit(&principal).await?;
        Ok(principal.asking(self.context()))
    }

    /// Facts about the request, for policies: in S3's words, so that one policy holds for both fronts.
    fn context(&self) -> Context {
        let header = |name: &str| {
            let value = self.headers.get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        let storage_class = header("x-storage-class").map(|class| match class.as_str() {
            "hot" => "STANDARD".to_owned(),
            "cold" => "STANDARD_IA".to_owned(),
            _ => class,
        });
        let mut context = Context {
            source_ip: self.origin.address,
            secure: self.origin.secure,
            referer: header("referer"),
            storage_class,
            ..Context::default()
        };
        let query = Query::<Vec<(String, String)>>::try_from_uri(&self.uri).map(|Query(pairs)| pairs);
        for (name, value) in query.unwrap_or_default() {
            let value = Some(value);
            match name.as_str() {
                "prefix" => context.prefix = value,
                "delimiter" => context.delimiter = value,
                "limit" => context.max_keys = value,
                _ => {}
            }
        }
        context
    }

    /// The token in `Authorization: Bearer` or `X-Api-Key`.
    fn token(&self) -> Result<Option<&str>, Error> {
        const UNREADABLE: Error = Error::Unauthenticated("credentials must be a bearer token, sent once");
        let one = |name: &'static str| {
            let mut values = self.headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (None, _) => Ok(None),
                (Some(value), None) => value.to_str().map(Some).map_err(|_| UNREADABLE),
                (Some(_), Some(_)) => Err(UNREADABLE),
            }
        };
        match (one(AUTHORIZATION.as_str())?, one("x-api-key")?) {
            (None, None) => Ok(None),
            (None, Some(key)) => Ok(Some(key)),
            (Some(authorization), None) => {
                let (scheme, token) = authorization.split_once(' ').ok_or(UNREADABLE)?;
                let bearer = scheme.eq_ignore_ascii_case("bearer");
                if bearer { Ok(Some(token.trim())) } else { Err(UNREADABLE) }
            }
            (Some(_), Some(_)) => Err(UNREADABLE),
        }
    }
}
