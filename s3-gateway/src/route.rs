//! Reads of objects, taken from s3s once it has verified the signature: it refuses ranges, lists of entity
//! tags and dates that HTTP tells a server to ignore or understand. And `GET //`, which s3s takes for a
//! bucket without name.

use http::{Extensions, HeaderMap, Method, Uri};
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::Doorkeeper;
use crate::errors::internal;
use crate::ops;
use crate::service::Target;

/// The operations that bypass s3s's reading of the request.
pub(crate) struct Reads {
    pub(crate) api: Api,
    pub(crate) doorkeeper: Doorkeeper,
}

#[async_trait::async_trait]
impl S3Route for Reads {
    fn is_match(&self, _: &Method, uri: &Uri, _: &HeaderMap, extensions: &mut Extensions) -> bool {
        extensions.get::<Target>().is_some_and(|target| match target.operation.name {
            "GetObject" | "HeadObject" => true,
            "ListBuckets" => uri.path() != "/",
            _ => false,
        })
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        let bucket = request.extensions.get::<Target>().and_then(|target| target.bucket.clone());
        let signed = request.credentials.is_some();
        let who = self.doorkeeper.admit(signed, bucket.as_deref(), &request.headers).await?;
        request.extensions.insert(who);
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let target = request.extensions.get::<Target>().cloned().ok_or_else(internal)?;
        match (target.operation.name, &target.bucket, &target.key) {
            ("GetObject", Some(bucket), Some(key)) => {
                ops::objects::get(&self.api, &request, bucket, key).await
            }
            ("HeadObject", Some(bucket), Some(key)) => {
                ops::objects::head(&self.api, &request, bucket, key).await
            }
            ("ListBuckets", ..) => ops::buckets::list_plain(&self.api, &request).await,
            _ => Err(internal()),
        }
    }
}
