//! Who signs a request. Each request looks its key up once: s3s asks for the secret, and the principal that
//! came with it is kept for the operation.

pub(crate) mod form;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use juststorage_core::application::access::{Access, S3Identity};
use juststorage_core::application::store::Store;
use juststorage_core::domain::principal::Principal;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3Request, S3Result};

use crate::dto::{address, text};
use crate::errors::{Refusal, fail, internal, translate};

/// What is found out about a request on its way, between s3s's callbacks and the answer.
#[derive(Default)]
struct Scope {
    identity: Mutex<Option<S3Identity>>,
    namespace: Mutex<Option<Arc<str>>>,
}

tokio::task_local! {
    static SCOPE: Scope;
}

/// Runs a request, and returns the namespace it turned out to be about.
pub(crate) async fn scoped<T>(request: impl Future<Output = T>) -> (T, Option<Arc<str>>) {
    let scope = Scope::default();
    SCOPE
        .scope(scope, async {
            let result = request.await;
            (result, SCOPE.with(|scope| lock(&scope.namespace).take()))
        })
        .await
}

/// Notes which namespace the request under way is about, for metrics.
pub(crate) fn note_namespace(namespace: &str) {
    let note = |scope: &Scope| *lock(&scope.namespace) = Some(namespace.into());
    // Outside a request (a unit test of an operation) there is nobody to note it for.
    let _ = SCOPE.try_with(note);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key with this name, if there is one that holds.
async fn look_up(access: &Access, access_key: &str) -> S3Result<S3Identity> {
    access.s3(access_key).await.map_err(translate)?.ok_or_else(|| {
        fail(
            StatusCode::FORBIDDEN,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        )
    })
}

/// What a client hears whose signature is of version 2 where those are off.
pub(crate) fn sigv2_is_off() -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        code: "InvalidRequest",
        message:
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256: \
                  Signature Version 2 is off here, and JUSTSTORAGE_S3_SIGV2=1 turns it on."
                .to_owned(),
    }
}

/// Whether a request is signed with version 2, in its header or in its query.
pub(crate) fn is_sigv2(headers: &HeaderMap, query: &[(String, String)]) -> bool {
    let header = headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS "));
    header || query.iter().any(|(key, _)| key == "AWSAccessKeyId")
}

/// Secrets for s3s.
pub(crate) struct Keys(pub(crate) Access);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let identity = look_up(&self.0, access_key).await?;
        let secret = SecretKey::from(identity.secret_key.as_str());
        SCOPE.try_with(|scope| *lock(&scope.identity) = Some(identity)).map_err(|_| internal())?;
        Ok(secret)
    }
}

/// Lets verified requests in, with their principal; nobody else.
pub(crate) struct Doorkeeper(pub(crate) Store);

impl Doorkeeper {
    /// The principal of a request whose signature s3s has verified. `signed` is whether it has.
    pub(crate) async fn admit(
        &self,
        signed: bool,
        bucket: Option<&str>,
        headers: &HeaderMap,
    ) -> S3Result<Principal> {
        let denied =
            || fail(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied: a signature is required.");
        if !signed {
            return Err(denied());
        }
        let identity = SCOPE.try_with(|scope| lock(&scope.identity).take()).ok().flatten();
        let who = identity.ok_or_else(denied)?.principal;
        if let (Some(bucket), Some(expected)) = (bucket, text(headers, "x-amz-expected-bucket-owner")) {
            check_owner(&self.0, &who, bucket, expected).await?;
        }
        Ok(who)
    }
}

/// Refuses a bucket that is not whose the client believes. The owner's account is the tenant.
pub(crate) async fn check_owner(
    store: &Store,
    who: &Principal,
    bucket: &str,
    expected: &str,
) -> S3Result<()> {
    let space = store.head_bucket(who, &address::bucket(bucket)?).await.map_err(translate)?;
    if space.address.tenant.as_str() == expected {
        return Ok(());
    }
    Err(fail(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied: the bucket has another owner."))
}

#[async_trait::async_trait]
impl S3Access for Doorkeeper {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let signed = cx.credentials().is_some();
        let bucket = (cx.s3_op().name() != "CreateBucket").then(|| cx.s3_path().get_bucket_name()).flatten();
        let who = self.admit(signed, bucket, cx.headers()).await?;
        cx.extensions_mut().insert(who);
        Ok(())
    }
}

/// The principal of a request.
pub(crate) fn who<T>(request: &S3Request<T>) -> Result<&Principal, S3Error> {
    request.extensions.get::<Principal>().ok_or_else(|| {
        // The doorkeeper runs before every operation; a request without principal is not let further.
        fail(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")
    })
}
