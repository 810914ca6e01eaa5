//! Requests that s3s does not read, although it verified their signature: those that a row's [`ReadBy`] names, and all
//! with an XML document, because s3s does not read XML as XML 1.0 defines it ([`crate::wire`]).

use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use juststorage_core::domain::principal::Principal;
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result};

use crate::addressing::Selected;
use crate::api::Api;
use crate::auth::{self, Doorkeeper, hoisted};
use crate::dto::address;
use crate::dto::conditions::are_odd;
use crate::errors::{internal, translate};
use crate::operations::{BodyKind, NamedBucket, Raw, ReadBy};
use crate::ops;
use crate::wire::documents::Documents;

/// The operations that bypass s3s's reading of the request.
pub(crate) struct Routes {
    pub(crate) api: Api,
    pub(crate) doorkeeper: Doorkeeper,
    pub(crate) documents: Documents,
}

impl Routes {
    /// `answer`, unless its document was refused and there is no such bucket: S3 looks for the bucket before it reads a
    /// document. The bucket is looked up only after a refusal, so that all others do not wait.
    async fn unless_missing(
        &self,
        bucket: Option<&str>,
        who: Option<&Principal>,
        answer: S3Result<S3Response<Body>>,
    ) -> S3Result<S3Response<Body>> {
        let refused = match &answer {
            Ok(answer) => answer.status == Some(StatusCode::BAD_REQUEST),
            // A body without its declared digest is refused before anything is looked up.
            Err(error) => {
                let digests = ["XAmzContentSHA256Mismatch", "BadDigest"];
                error.status_code() == Some(StatusCode::BAD_REQUEST)
                    && !digests.contains(&error.code().as_str())
            }
        };
        let name = bucket.and_then(|bucket| address::bucket(bucket).ok());
        if let (true, Some(who), Some(name)) = (refused, who, name) {
            self.api.store.owner_of(who, &name).await.map_err(translate)?;
        }
        answer
    }
}

#[async_trait::async_trait]
impl S3Route for Routes {
    fn is_match(&self, _: &Method, uri: &Uri, headers: &HeaderMap, extensions: &mut Extensions) -> bool {
        let Some(selected) = extensions.get::<Selected>() else { return false };
        match (selected.operation.reader, selected.operation.body) {
            // `GET //`, which s3s takes for a bucket without a name.
            (ReadBy::Raw(Raw::ListBuckets), _) => uri.path() != "/",
            (ReadBy::Raw(Raw::GetObject | Raw::HeadObject | Raw::PutBucketPolicy), _)
            | (ReadBy::S3s, BodyKind::Xml { .. }) => true,
            (ReadBy::Conditions, _) => are_odd(headers),
            (ReadBy::S3s, _) => false,
        }
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        let selected = request.extensions.get::<Selected>().cloned().ok_or_else(internal)?;
        let bucket = selected.bucket.filter(|_| selected.operation.bucket == NamedBucket::Existing);
        let signed = request.credentials.is_some();
        let headers = hoisted(&request.headers, &request.uri);
        let context = auth::context(request.extensions.get(), &headers, Some(&request.uri));
        let who = self.doorkeeper.admit(signed, bucket.as_deref(), &headers, context).await?;
        request.extensions.insert(who);
        Ok(())
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let Selected { operation, bucket, key } =
            request.extensions.get::<Selected>().cloned().ok_or_else(internal)?;
        let existing = bucket.as_deref().filter(|_| operation.bucket == NamedBucket::Existing);
        let who = request.extensions.get::<Principal>().cloned();
        let bucket = || bucket.as_deref().ok_or_else(internal);
        let key = || key.as_deref().ok_or_else(internal);
        match (operation.reader, operation.body) {
            (ReadBy::Raw(Raw::ListBuckets), _) => ops::buckets::list_plain(&self.api, &request).await,
            (ReadBy::Raw(Raw::GetObject), _) => {
                ops::objects::get(&self.api, &request, bucket()?, key()?).await
            }
            (ReadBy::Raw(Raw::HeadObject), _) => {
                ops::objects::head(&self.api, &request, bucket()?, key()?).await
            }
            (ReadBy::Raw(Raw::PutBucketPolicy), BodyKind::Json { digest, .. }) => {
                let answer = ops::settings::policy::put(&self.api, request, bucket()?, digest).await;
                self.unless_missing(existing, who.as_ref(), answer).await
            }
            (ReadBy::Conditions, _) => self.documents.conditional(request).await,
            (ReadBy::S3s, BodyKind::Xml { document, digest, .. }) => {
                let answer = self.documents.call(request, document, digest).await;
                self.unless_missing(existing, who.as_ref(), answer).await
            }
            (ReadBy::Raw(Raw::PutBucketPolicy) | ReadBy::S3s, _) => Err(internal()),
        }
    }
}
