//! Who is told of a bucket's changes.

use juststorage_core::domain::event::{Arn, EventName, NotificationRule};
use s3s::dto::{
    Event, FilterRule, FilterRuleName, GetBucketNotificationConfigurationInput,
    GetBucketNotificationConfigurationOutput, NotificationConfigurationFilter,
    PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput, QueueConfiguration,
    S3KeyFilter,
};
use s3s::{S3Request, S3Response, S3Result};
use uuid::Uuid;

use crate::api::Api;
use crate::auth::who;
use crate::dto::address;
use crate::errors::{invalid_argument, translate, writable};
use crate::ops::buckets::settings_of;

pub(crate) async fn get(
    api: &Api,
    request: S3Request<GetBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
    let (_, settings) = settings_of(api, &request, &request.input.bucket).await?;
    let rules = settings.notifications.as_ref().map(|notifications| notifications.rules.as_slice());
    let rules: Vec<_> = rules.unwrap_or_default().iter().map(write).collect();
    Ok(S3Response::new(GetBucketNotificationConfigurationOutput {
        queue_configurations: (!rules.is_empty()).then_some(rules),
        ..GetBucketNotificationConfigurationOutput::default()
    }))
}

pub(crate) async fn put(
    api: &Api,
    mut request: S3Request<PutBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    let sent = request.input.notification_configuration.queue_configurations.take().unwrap_or_default();
    let rules = sent.into_iter().map(read).collect::<S3Result<Vec<_>>>()?;
    api.store.put_notifications(who(&request)?, &bucket, rules).await.map_err(translate)?;
    Ok(S3Response::new(PutBucketNotificationConfigurationOutput::default()))
}

fn write(rule: &NotificationRule) -> QueueConfiguration {
    let part = |name, value: &Option<String>| {
        value.as_ref().map(|value| FilterRule {
            name: Some(FilterRuleName::from_static(name)),
            value: Some(writable(value.clone())),
        })
    };
    let parts = [part(FilterRuleName::PREFIX, &rule.prefix), part(FilterRuleName::SUFFIX, &rule.suffix)];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    QueueConfiguration {
        events: rule.events.iter().map(|name| Event::from(name.as_str().to_owned())).collect(),
        filter: (!parts.is_empty()).then_some(NotificationConfigurationFilter {
            key: Some(S3KeyFilter { filter_rules: Some(parts) }),
        }),
        id: Some(writable(rule.id.clone())),
        queue_arn: rule.arn().to_string(),
    }
}

fn read(sent: QueueConfiguration) -> S3Result<NotificationRule> {
    let arn = Arn::parse(&sent.queue_arn)
        .map_err(|invalid| invalid_argument(format!("The ARN is not valid: it {}.", invalid.reason)))?;
    let events = sent.events.iter().map(|event| EventName::parse(event.as_ref()));
    let events = events
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| invalid_argument("The event is not supported for notifications."))?;
    let parts =
        sent.filter.and_then(|filter| filter.key).and_then(|key| key.filter_rules).unwrap_or_default();
    let (mut prefix, mut suffix) = (None, None);
    for FilterRule { name, value } in parts {
        let name = name.map(|name| name.as_str().to_ascii_lowercase());
        let place = match name.as_deref() {
            Some(FilterRuleName::PREFIX) => &mut prefix,
            Some(FilterRuleName::SUFFIX) => &mut suffix,
            _ => return Err(invalid_argument("filter rule name must be either prefix or suffix")),
        };
        if place.replace(value.unwrap_or_default()).is_some() {
            return Err(invalid_argument("Cannot specify more than one prefix or suffix rule in a filter."));
        }
    }
    Ok(NotificationRule {
        id: sent.id.filter(|id| !id.is_empty()).unwrap_or_else(|| Uuid::new_v4().to_string()),
        target: arn.target,
        kind: arn.kind,
        events,
        prefix: prefix.filter(|text: &String| !text.is_empty()),
        suffix: suffix.filter(|text: &String| !text.is_empty()),
    })
}
