//! The signer of a request. Each request looks its key up once: s3s asks for the secret, and the principal that
//! came with it is kept for the operation.

pub(crate) mod form;

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode, Uri};
use juststorage_core::application::access::{Access, S3Identity};
use juststorage_core::application::store::Store;
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::BucketName;
use juststorage_core::domain::context::{Context, Origin};
use juststorage_core::domain::principal::Principal;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3Request, S3Result};

use crate::acl;
use crate::addressing::Selected;
use crate::dto::acl::says_anything;
use crate::dto::{address, effective_headers, fields::text};
use crate::errors::{Refusal, fail, internal, translate, with_member};
use crate::operations::{NamedBucket, Operation};
use crate::query::{QueryPair, query_pairs};

/// Facts about the current request that s3s's callbacks find, kept for the operation and the answer.
#[derive(Default)]
struct Scope {
    identity: Mutex<Option<S3Identity>>,
    namespace: Mutex<Option<Arc<str>>>,
}

tokio::task_local! {
    static SCOPE: Scope;
}

/// Runs a request, and returns its namespace if an operation noted one.
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
    // Unit tests run operations outside of a request: there is no scope then.
    let _ = SCOPE.try_with(note);
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key with this name, if there is one that holds.
async fn look_up(access: &Access, access_key: &str) -> S3Result<S3Identity> {
    access.s3(access_key).await.map_err(translate)?.ok_or_else(|| {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        let error = fail(StatusCode::FORBIDDEN, "InvalidAccessKeyId", message);
        with_member(error, "AWSAccessKeyId", access_key)
    })
}

/// The refusal of a signature of version 2 where they are off.
pub(crate) fn sigv2_is_off() -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256: Signature \
         Version 2 is off here, and JUSTSTORAGE_S3_SIGV2=1 turns it on.",
    )
}

/// Whether a request is signed with version 2, in its header or in its query.
pub(crate) fn is_sigv2(headers: &HeaderMap, query: &[QueryPair<'_>]) -> bool {
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

/// Lets verified requests in, with their principal, and unsigned ones where something may be granted to everybody, with
/// one without rights.
pub(crate) struct Doorkeeper(pub(crate) Store);

impl Doorkeeper {
    /// The principal of a request whose signature s3s has verified, or that has none. `signed` is whether it has.
    pub(crate) async fn admit(
        &self,
        signed: bool,
        bucket: Option<&str>,
        headers: &HeaderMap,
        context: Context,
    ) -> S3Result<Principal> {
        let denied =
            || fail(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied: a signature is required.");
        let who = match (signed, bucket) {
            (true, _) => {
                let identity = SCOPE.try_with(|scope| lock(&scope.identity).take()).ok().flatten();
                identity.ok_or_else(denied)?.principal
            }
            // Without a signature: the caller gets what the bucket's owner grants to everybody, if anything.
            (false, Some(bucket)) => match BucketName::new(bucket) {
                Ok(bucket) if self.0.lets_strangers_ask(&bucket).await.map_err(translate)? => {
                    self.0.anonymous(&bucket).await.map_err(translate)?
                }
                Err(_) if self.0.heeds_acls() => {
                    return Err(address::bucket(bucket).err().unwrap_or_else(denied));
                }
                _ => return Err(denied()),
            },
            (false, None) => return Err(denied()),
        };
        let who = who.asking(context);
        self.0.admit(&who).await.map_err(translate)?;
        if let (Some(bucket), Some(expected)) = (bucket, text(headers, "x-amz-expected-bucket-owner")) {
            check_owner(&self.0, &who, bucket, expected).await?;
        }
        acl::check(&self.0, &who, bucket, headers).await?;
        Ok(who)
    }
}

/// Refuses a request that expects another owner than the bucket has. The owner's account id is the tenant.
pub(crate) async fn check_owner(
    store: &Store,
    who: &Principal,
    bucket: &str,
    expected: &str,
) -> S3Result<()> {
    let owner = store.owner_of(who, &address::bucket(bucket)?).await.map_err(translate)?;
    if owner.as_str() == expected {
        return Ok(());
    }
    Err(fail(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied: the bucket has another owner."))
}

/// The headers of a request, with those in its query if the door looks at one of them: a presigned URL may ask for an
/// ACL, or name the bucket's owner.
pub(crate) fn hoisted<'h>(headers: &'h HeaderMap, uri: &Uri) -> Cow<'h, HeaderMap> {
    let Some(query) = uri.query().map(str::to_ascii_lowercase) else { return Cow::Borrowed(headers) };
    if ["x-amz-acl", "x-amz-expected", "x-amz-storage"].iter().any(|key| query.contains(key)) {
        effective_headers(headers, uri)
    } else {
        Cow::Borrowed(headers)
    }
}

/// Facts about a request, for policies.
pub(crate) fn context(origin: Option<&Origin>, headers: &HeaderMap, uri: Option<&Uri>) -> Context {
    let origin = origin.copied().unwrap_or_default();
    let header = |name| text(headers, name).map(str::to_owned);
    let mut context = Context {
        source_ip: origin.address,
        secure: origin.secure,
        referer: header("referer"),
        acl: header("x-amz-acl"),
        sets_acl: says_anything(headers),
        storage_class: header("x-amz-storage-class"),
        ..Context::default()
    };
    for (key, value) in uri.and_then(Uri::query).map(query_pairs).unwrap_or_default() {
        match key.as_ref() {
            "prefix" => context.prefix = Some(value.into_owned()),
            "delimiter" => context.delimiter = Some(value.into_owned()),
            "max-keys" => context.max_keys = Some(value.into_owned()),
            _ => {}
        }
    }
    context
}

#[async_trait::async_trait]
impl S3Access for Doorkeeper {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let origin = cx.extensions_mut().get::<Origin>().copied();
        let signed = cx.credentials().is_some();
        let operation = cx.extensions_mut().get::<Selected>().ok_or_else(internal)?.operation;
        let exists = operation.bucket == NamedBucket::Existing;
        let bucket = exists.then(|| cx.s3_path().get_bucket_name()).flatten();
        let headers = hoisted(cx.headers(), cx.uri());
        let context = context(origin.as_ref(), &headers, Some(cx.uri()));
        let who = self.admit(signed, bucket, &headers, context).await?;
        cx.extensions_mut().insert(who);
        Ok(())
    }
}

/// The operation of a request.
fn operation<T>(request: &S3Request<T>) -> S3Result<&'static Operation> {
    Ok(request.extensions.get::<Selected>().ok_or_else(internal)?.operation)
}

/// The action that a request asks for, as its operation's row says.
pub(crate) fn action<T>(request: &S3Request<T>) -> S3Result<Action> {
    operation(request)?.actions.first().copied().ok_or_else(internal)
}

/// The principal of a request.
pub(crate) fn who<T>(request: &S3Request<T>) -> Result<&Principal, S3Error> {
    request.extensions.get::<Principal>().ok_or_else(|| {
        // The doorkeeper runs before every operation, so this is a fault of the gateway: deny.
        fail(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")
    })
}
