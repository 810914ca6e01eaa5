//! What is set on an upstream's bucket. A call that an upstream does not have, or that its credential may not make, is noted
//! and does no harm.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::answers::{Raw, failure};
use crate::application::ports::upstream::{Answer, UpstreamError, UpstreamFacts};

/// What a call came to: there is such a setting, there is none, or it could not be found out.
fn found<T, E>(
    what: &str,
    result: Result<T, SdkError<E, Raw>>,
    unknown: &mut Vec<String>,
) -> Answer<Option<T>>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let error = match result {
        Ok(found) => return Ok(Some(found)),
        Err(error) => error,
    };
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    match (status, failure(error)) {
        (Some(404), error) if !matches!(error, UpstreamError::NoSuchBucket(_)) => Ok(None),
        // Not every store has every call, nor may every credential make it.
        (Some(_), error) if !error.is_outage() || status == Some(501) => {
            unknown.push(format!("{what}: {error}"));
            Ok(None)
        }
        (_, error) => Err(error),
    }
}

pub(super) async fn facts(client: &Client, bucket: &str) -> Answer<UpstreamFacts> {
    let mut facts = UpstreamFacts::default();
    let unknown = &mut facts.unknown;
    let versioning = client.get_bucket_versioning().bucket(bucket).send().await;
    facts.versioning = found("versioning", versioning, unknown)?
        .and_then(|found| found.status().map(|status| status.as_str().to_owned()));
    let lock = client.get_object_lock_configuration().bucket(bucket).send().await;
    facts.object_lock = found("object lock", lock, unknown)?.is_some_and(|found| {
        found.object_lock_configuration().is_some_and(|lock| lock.object_lock_enabled().is_some())
    });
    let encryption = client.get_bucket_encryption().bucket(bucket).send().await;
    facts.encryption = found("encryption", encryption, unknown)?.and_then(|found| {
        let rules = found.server_side_encryption_configuration()?.rules();
        let default = rules.iter().find_map(|rule| rule.apply_server_side_encryption_by_default())?;
        Some(default.sse_algorithm().as_str().to_owned())
    });
    let policy = client.get_bucket_policy().bucket(bucket).send().await;
    facts.policy = found("policy", policy, unknown)?.is_some_and(|found| found.policy().is_some());
    let acl = client.get_bucket_acl().bucket(bucket).send().await;
    facts.shared_acl = found("ACL", acl, unknown)?.is_some_and(|found| found.grants().len() > 1);
    let lifecycle = client.get_bucket_lifecycle_configuration().bucket(bucket).send().await;
    facts.lifecycle = found("lifecycle", lifecycle, unknown)?.is_some_and(|found| !found.rules().is_empty());
    let cors = client.get_bucket_cors().bucket(bucket).send().await;
    facts.cors = found("CORS", cors, unknown)?.is_some_and(|found| !found.cors_rules().is_empty());
    let notifications = client.get_bucket_notification_configuration().bucket(bucket).send().await;
    facts.notifications = found("notifications", notifications, unknown)?.is_some_and(|found| {
        !found.topic_configurations().is_empty()
            || !found.queue_configurations().is_empty()
            || !found.lambda_function_configurations().is_empty()
    });
    Ok(facts)
}
