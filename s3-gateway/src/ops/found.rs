//! The object that a request is about.

use juststorage_core::application::objects::ObjectRef;
use juststorage_core::domain::object::Object;
use s3s::{S3Request, S3Result};

use crate::api::Api;
use crate::auth::{action, note_namespace, who};
use crate::errors::translate;

/// The object, if the caller may do to it what the request asks.
pub(crate) async fn find<T>(api: &Api, request: &S3Request<T>, object: &ObjectRef) -> S3Result<Object> {
    let object = api.store.object(who(request)?, action(request)?, object).await.map_err(translate)?;
    note_namespace(object.address.namespace.as_str());
    Ok(object)
}
