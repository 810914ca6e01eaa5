//! For benches only (feature `testing`): the front with nothing behind it.

use std::sync::Arc;

use http::{Extensions, HeaderMap, Method, Uri};
use juststorage_core::domain::context::Context;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::principal::Principal;
use s3s::route::S3Route;
use s3s::{S3Request, S3Response, S3Result};

use super::{Gateway, Parts, S3Gateway, builder, service};
use crate::api::Api;
use crate::auth::{Doorkeeper, Keys};
use crate::errors;
use crate::location::Locations;

/// The front over `gateway`'s keys and limits. Every operation is an empty answer. With `everybody`, no signature is
/// verified: every request is that principal's, and its limits hold.
pub fn empty(gateway: Gateway, everybody: Option<Principal>) -> Result<S3Gateway, Invalid> {
    let doorkeeper = || Doorkeeper(gateway.store.clone());
    let api =
        Api { store: gateway.store.clone(), region: gateway.region.clone(), locations: Locations::default() };
    let mut builder = builder(api, gateway.sigv2, None);
    if everybody.is_none() {
        builder.set_auth(Keys(gateway.access.clone()));
        builder.set_access(doorkeeper());
    }
    builder.set_route(Empty { doorkeeper: doorkeeper(), everybody });
    let s3 = builder.build();
    let S3Gateway(parts) = service(gateway)?;
    Ok(S3Gateway(Arc::new(Parts { s3, ..Parts::clone(&parts) })))
}

/// Gives every admitted request the same answer.
struct Empty {
    doorkeeper: Doorkeeper,
    everybody: Option<Principal>,
}

#[async_trait::async_trait]
impl S3Route for Empty {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        true
    }

    async fn check_access(&self, request: &mut S3Request<s3s::Body>) -> S3Result<()> {
        let signed = request.credentials.is_some();
        let who = match &self.everybody {
            None => self.doorkeeper.admit(signed, Some("cost"), &request.headers, Context::default()).await?,
            Some(who) => {
                self.doorkeeper.0.admit(who).await.map_err(errors::translate)?;
                who.clone()
            }
        };
        request.extensions.insert(who);
        Ok(())
    }

    async fn call(&self, _: S3Request<s3s::Body>) -> S3Result<S3Response<s3s::Body>> {
        Ok(S3Response::new(s3s::Body::empty()))
    }
}
