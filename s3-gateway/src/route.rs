//! What is taken from s3s once it has verified the signature. Reads of objects: it refuses ranges, lists of entity
//! tags and dates that HTTP tells a server to ignore or understand. `GET //`, which it takes for a bucket without
//! name. And every operation that takes an XML document, which it does not read as XML ([`crate::wire`]). Copies and deletes with
//! conditions that S3 takes and s3s does not: a tag without quotes, a date that is none.

use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use juststorage_core::domain::principal::Principal;
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::{self, Doorkeeper, hoisted};
use crate::dto::address;
use crate::dto::conditions::are_odd;
use crate::errors::{internal, translate};
use crate::ops;
use crate::service::Target;
use crate::wire::{self, Documents};

/// The operations that bypass s3s's reading of the request.
pub(crate) struct Routes {
    pub(crate) api: Api,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) documents: Documents,
}

impl Routes {
    /// Answers a request with a document. A document that is refused does not hide that there is no such bucket: S3
    /// looks for the bucket before it reads a document. The bucket is looked up only then, so that the others do not wait.
    async fn documented(&self, request: S3Request<Body>, bucket: Option<&str>) -> S3Result<S3Response<Body>> {
        let name = bucket.and_then(|bucket| address::bucket(bucket).ok());
        let who = request.extensions.get::<Principal>().cloned();
        let answer = match bucket {
            Some(bucket) if is_policy(&request) => ops::policy::put(&self.api, request, bucket).await,
            _ => self.documents.call(request).await,
        };
        let refused = match &answer {
            Ok(answer) => answer.status == Some(StatusCode::BAD_REQUEST),
            // A body that is not the one that was signed, or said, is refused before anything is asked of it.
            Err(error) => {
                let digests = ["XAmzContentSHA256Mismatch", "BadDigest"];
                error.status_code() == Some(StatusCode::BAD_REQUEST)
                    && !digests.contains(&error.code().as_str())
            }
        };
        if let (true, Some(who), Some(name)) = (refused, who, name) {
            self.api.store.owner_of(&who, &name).await.map_err(translate)?;
        }
        answer
    }
}

fn is_policy(request: &S3Request<Body>) -> bool {
    request.extensions.get::<Target>().is_some_and(|target| target.operation.name == "PutBucketPolicy")
}

#[async_trait::async_trait]
impl S3Route for Routes {
    fn is_match(&self, _: &Method, uri: &Uri, headers: &HeaderMap, extensions: &mut Extensions) -> bool {
        extensions.get::<Target>().is_some_and(|target| match target.operation.name {
            "DeleteObject" => are_odd(headers),
            "PutObject" | "UploadPart" => headers.contains_key("x-amz-copy-source") && are_odd(headers),
            "GetObject" | "HeadObject" | "PutBucketPolicy" => true,
            "ListBuckets" => uri.path() != "/",
            operation => wire::takes_xml(operation),
        })
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        let target = request.extensions.get::<Target>().cloned().ok_or_else(internal)?;
        // The bucket that is to be made belongs to nobody yet.
        let bucket = target.bucket.filter(|_| target.operation.name != "CreateBucket");
        let signed = request.credentials.is_some();
        let headers = hoisted(&request.headers, &request.uri);
        let context = auth::context(request.extensions.get(), &headers, Some(&request.uri));
        let who = self.doorkeeper.admit(signed, bucket.as_deref(), &headers, context).await?;
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
            ("PutObject" | "UploadPart" | "DeleteObject", ..) => self.documents.conditional(request).await,
            // The bucket that is to be made is not there yet.
            ("CreateBucket", ..) => self.documented(request, None).await,
            (_, bucket, _) => self.documented(request, bucket.as_deref()).await,
        }
    }
}
