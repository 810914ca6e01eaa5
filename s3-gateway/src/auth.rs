//! Who signs a request. Each request looks its key up once: s3s asks for the secret, and the principal that
//! came with it is kept for the operation.

pub(crate) mod bucket_path;
pub(crate) mod chunks;
pub(crate) mod form;
mod mac;
pub(crate) mod old_dates;
pub(crate) mod resign;
mod signature;
pub(crate) mod unsigned;

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, HeaderName, HeaderValue,
};
use http::{HeaderMap, StatusCode, Uri};
use juststorage_core::application::access::{Access, S3Identity};
use juststorage_core::application::store::Store;
use juststorage_core::domain::address::BucketName;
use juststorage_core::domain::context::{Context, Origin};
use juststorage_core::domain::principal::Principal;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Error, S3Request, S3Result};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;

use crate::acl;
use crate::allowlist::query_pairs;
use crate::dto::{address, effective_headers, text};
use crate::errors::{Refusal, fail, internal, translate, with_member};

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
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        let error = fail(StatusCode::FORBIDDEN, "InvalidAccessKeyId", message);
        with_member(error, "AWSAccessKeyId", access_key)
    })
}

/// What a client hears whose signature is of version 2 where those are off.
pub(crate) fn sigv2_is_off() -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256: Signature \
         Version 2 is off here, and JUSTSTORAGE_S3_SIGV2=1 turns it on.",
    )
}

/// Whether a request is signed with version 2, in its header or in its query.
pub(crate) fn is_sigv2(headers: &HeaderMap, query: &[(String, String)]) -> bool {
    let header = headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS "));
    header || query.iter().any(|(key, _)| key == "AWSAccessKeyId")
}

/// SigV4 takes the time from `x-amz-date`, or from `Date` where a client signs only that; s3s knows the former.
pub(crate) fn date_as_amz_date(headers: &mut HeaderMap) {
    let version_4 = headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS4-"));
    if !version_4 || headers.contains_key("x-amz-date") {
        return;
    }
    // Python writes UTC as -0000.
    let gmt = text(headers, "date").map(|date| date.replace(" -0000", " GMT").replace(" +0000", " GMT"));
    let Some(date) = gmt.and_then(|date| httpdate::parse_http_date(&date).ok()) else { return };
    let written = OffsetDateTime::from(date).format(AMZ_DATE).ok();
    if let Some(value) = written.and_then(|date| HeaderValue::try_from(date).ok()) {
        headers.insert("x-amz-date", value);
    }
}

/// Joins the headers that are lists, or that S3 joins, and that a client sent in several lines, as the signature
/// joins them: the SDKs for Go and for Java write `Content-Encoding: aws-chunked` beside one of the caller's. s3s
/// refuses a header that comes twice.
pub(crate) fn join_repeated(headers: &mut HeaderMap) {
    if headers.keys_len() == headers.len() {
        return;
    }
    let listed = |name: &HeaderName| {
        [CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE].contains(name)
            || name.as_str().starts_with("x-amz-meta-")
    };
    let names: Vec<_> = headers.keys().filter(|name| listed(name)).cloned().collect();
    for name in names {
        let values: Vec<_> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        if values.len() < 2 {
            continue;
        }
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(&b',')) {
            headers.insert(name, joined);
        }
    }
}

/// `20260102T030405Z`.
const AMZ_DATE: &[BorrowedFormatItem<'static>] =
    time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");

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
            // Nobody: gets what the bucket's owner grants to everybody, if anything.
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

/// Refuses a bucket that is not whose the client believes. The owner's account is the tenant.
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
    let query = uri.query().unwrap_or_default().to_ascii_lowercase();
    if ["x-amz-acl", "x-amz-expected", "x-amz-storage"].iter().any(|key| query.contains(key)) {
        Cow::Owned(effective_headers(headers, uri))
    } else {
        Cow::Borrowed(headers)
    }
}

/// What a request says of itself, for policies.
pub(crate) fn context(origin: Option<&Origin>, headers: &HeaderMap, uri: Option<&Uri>) -> Context {
    let origin = origin.copied().unwrap_or_default();
    let header = |name| text(headers, name).map(str::to_owned);
    let mut context = Context {
        source_ip: origin.address,
        secure: origin.secure,
        referer: header("referer"),
        acl: header("x-amz-acl"),
        sets_acl: acl::says_anything(headers),
        storage_class: header("x-amz-storage-class"),
        ..Context::default()
    };
    for (key, value) in uri.and_then(Uri::query).map(query_pairs).unwrap_or_default() {
        match key.as_str() {
            "prefix" => context.prefix = Some(value),
            "delimiter" => context.delimiter = Some(value),
            "max-keys" => context.max_keys = Some(value),
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
        let bucket = (cx.s3_op().name() != "CreateBucket").then(|| cx.s3_path().get_bucket_name()).flatten();
        let headers = hoisted(cx.headers(), cx.uri());
        let context = context(origin.as_ref(), &headers, Some(cx.uri()));
        let who = self.admit(signed, bucket, &headers, context).await?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_signed_date_stands_in_for_the_amz_date() {
        let with = |authorization: &'static str, date: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(authorization));
            headers.insert("date", HeaderValue::from_static(date));
            date_as_amz_date(&mut headers);
            text(&headers, "x-amz-date").map(str::to_owned)
        };
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 -0000"] {
            assert_eq!(with("AWS4-HMAC-SHA256 x", date).unwrap(), "19941106T084937Z", "{date}");
        }
        assert_eq!(with("AWS a:b", "Sun, 06 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(with("AWS4-HMAC-SHA256 x", "yesterday"), None);
    }

    #[test]
    fn headers_that_are_lists_may_come_in_several_lines() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-encoding", "gzip"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-meta-a", "1"),
            ("x-amz-meta-a", "2"),
            ("content-type", "a/b"),
            ("content-type", "c/d"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        join_repeated(&mut headers);
        assert_eq!(text(&headers, "content-encoding"), Some("gzip,aws-chunked"));
        assert_eq!(text(&headers, "x-amz-meta-a"), Some("1,2"));
        assert_eq!(headers.get_all("content-type").iter().count(), 2, "no list: refused behind this");
    }
}
