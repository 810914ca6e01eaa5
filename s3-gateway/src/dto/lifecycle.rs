//! Lifecycle rules: S3's XML to core's values and back.

use juststorage_core::domain::lifecycle::{
    Due, Expiration, Filter, Lifecycle, NoncurrentExpiration, NoncurrentTransition, Rule, Transition,
};
use juststorage_core::domain::object::Tags;
use s3s::S3Result;
use s3s::dto;

use super::{attributes, values};
use crate::errors::{bad_request, invalid_argument, malformed_xml, writable, wrong_argument};

/// The header that says whether small objects move, and its two values.
pub(crate) const SMALL_MOVE: &str = "varies_by_storage_class";
const SMALL_STAY: &str = "all_storage_classes_128K";

/// Reads the rules of a request.
pub(crate) fn read(
    rules: Vec<dto::LifecycleRule>,
    minimum: Option<&dto::TransitionDefaultMinimumObjectSize>,
) -> S3Result<Lifecycle> {
    if rules.is_empty() {
        return Err(malformed_xml("at least one rule is expected"));
    }
    let small_objects_move = match minimum.map(dto::TransitionDefaultMinimumObjectSize::as_str) {
        None | Some(SMALL_STAY) => false,
        Some(SMALL_MOVE) => true,
        Some(other) => {
            let name = "x-amz-transition-default-minimum-object-size";
            return Err(wrong_argument(name, other, format!("Invalid value for {name}")));
        }
    };
    let rules = rules.into_iter().map(read_rule).collect::<S3Result<_>>()?;
    Ok(Lifecycle { rules, small_objects_move })
}

fn read_rule(rule: dto::LifecycleRule) -> S3Result<Rule> {
    let enabled = match rule.status.as_str() {
        dto::ExpirationStatus::ENABLED => true,
        dto::ExpirationStatus::DISABLED => false,
        _ => return Err(malformed_xml("Status must be Enabled or Disabled")),
    };
    let filter = match (rule.prefix, rule.filter) {
        (Some(prefix), None) => Filter { legacy: true, prefix: Some(prefix), ..Filter::default() },
        (None, Some(filter)) => read_filter(filter)?,
        (None, None) => return Err(malformed_xml("a rule must have a Filter or a Prefix")),
        (Some(_), Some(_)) => return Err(malformed_xml("a rule must not have both a Filter and a Prefix")),
    };
    // S3 makes up an id where there is none.
    let id = rule.id.filter(|id| !id.is_empty()).unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let expiration = rule.expiration.map(read_expiration).transpose()?;
    let noncurrent_expiration = rule
        .noncurrent_version_expiration
        .map(|noncurrent| -> S3Result<_> {
            let days = required(noncurrent.noncurrent_days, "NoncurrentDays")?;
            let keep_newest = noncurrent.newer_noncurrent_versions.map(count).transpose()?;
            Ok(NoncurrentExpiration { days, keep_newest })
        })
        .transpose()?;
    let transitions =
        rule.transitions.unwrap_or_default().into_iter().map(read_transition).collect::<S3Result<_>>()?;
    let noncurrent_transitions = rule
        .noncurrent_version_transitions
        .unwrap_or_default()
        .into_iter()
        .map(|transition| -> S3Result<_> {
            Ok(NoncurrentTransition {
                days: required(transition.noncurrent_days, "NoncurrentDays")?,
                keep_newest: transition.newer_noncurrent_versions.map(count).transpose()?,
                class_name: class_name(transition.storage_class.as_ref())?,
            })
        })
        .collect::<S3Result<_>>()?;
    let abort_uploads_days = rule
        .abort_incomplete_multipart_upload
        .map(|abort| required(abort.days_after_initiation, "DaysAfterInitiation"))
        .transpose()?;
    Ok(Rule {
        id,
        enabled,
        filter,
        expiration,
        noncurrent_expiration,
        transitions,
        noncurrent_transitions,
        abort_uploads_days,
    })
}

/// All members of a filter must match, inside `And` or not. S3 refuses several members without `And`; their meaning
/// is clear, and no object is removed that any member excludes.
fn read_filter(filter: dto::LifecycleRuleFilter) -> S3Result<Filter> {
    let mut read = Filter::default();
    let inner = filter.and.unwrap_or_default();
    for prefix in [filter.prefix, inner.prefix].into_iter().flatten() {
        match &read.prefix {
            Some(known) if known.starts_with(&prefix) => {}
            Some(known) if !prefix.starts_with(known.as_str()) => {
                return Err(malformed_xml("no key begins with both of a filter's prefixes"));
            }
            _ => read.prefix = Some(prefix),
        }
    }
    let mut tags = Tags::new();
    for tag in filter.tag.into_iter().chain(inner.tags.unwrap_or_default()) {
        let (key, value) = (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
        if tags.insert(key, value).is_some() {
            return Err(bad_request("InvalidRequest", "Duplicate Tag Keys are not allowed."));
        }
    }
    read.tags = tags;
    read.larger_than = larger(filter.object_size_greater_than, inner.object_size_greater_than)?;
    read.smaller_than = match (size(filter.object_size_less_than)?, size(inner.object_size_less_than)?) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Ok(read)
}

fn larger(one: Option<i64>, other: Option<i64>) -> S3Result<Option<u64>> {
    Ok(size(one)?.max(size(other)?))
}

fn size(bytes: Option<i64>) -> S3Result<Option<u64>> {
    bytes
        .map(|bytes| u64::try_from(bytes).map_err(|_| invalid_argument("Object sizes must not be negative.")))
        .transpose()
}

fn read_expiration(expiration: dto::LifecycleExpiration) -> S3Result<Expiration> {
    match (expiration.days, expiration.date, expiration.expired_object_delete_marker) {
        (Some(days), None, None) => days
            .try_into()
            .map(Expiration::Days)
            .map_err(|_| invalid_argument("'Days' for Expiration action must be a positive integer")),
        (None, Some(date), None) => Ok(Expiration::Date(values::moment(&date))),
        (None, None, Some(wanted)) => Ok(Expiration::DeleteMarkers(wanted)),
        _ => Err(malformed_xml("an Expiration has one of Days, Date and ExpiredObjectDeleteMarker")),
    }
}

fn read_transition(transition: dto::Transition) -> S3Result<Transition> {
    let due = match (transition.days, transition.date) {
        (Some(days), None) => Due::Days(count(days)?),
        (None, Some(date)) => Due::Date(values::moment(&date)),
        _ => return Err(malformed_xml("a Transition has either Days or a Date")),
    };
    Ok(Transition { due, class_name: class_name(transition.storage_class.as_ref())? })
}

/// The classes that are the cold tier.
fn class_name(class: Option<&dto::TransitionStorageClass>) -> S3Result<String> {
    match class.map(dto::TransitionStorageClass::as_str) {
        Some(name @ ("STANDARD_IA" | "GLACIER_IR")) => Ok(name.to_owned()),
        Some(_) => Err(bad_request("InvalidStorageClass", "The storage class you specified is not valid.")),
        None => Err(malformed_xml("a transition must have a StorageClass")),
    }
}

fn required(days: Option<i32>, name: &str) -> S3Result<u32> {
    count(days.ok_or_else(|| malformed_xml(&format!("{name} is missing")))?)
}

fn count(number: i32) -> S3Result<u32> {
    number.try_into().map_err(|_| invalid_argument("Days and counts of versions must not be negative."))
}

/// Writes the rules for an answer.
pub(crate) fn write(lifecycle: &Lifecycle) -> dto::GetBucketLifecycleConfigurationOutput {
    let minimum = if lifecycle.small_objects_move { SMALL_MOVE } else { SMALL_STAY };
    dto::GetBucketLifecycleConfigurationOutput {
        rules: Some(lifecycle.rules.iter().map(write_rule).collect()),
        transition_default_minimum_object_size: Some(minimum.to_owned().into()),
    }
}

fn write_rule(rule: &Rule) -> dto::LifecycleRule {
    let status = if rule.enabled { dto::ExpirationStatus::ENABLED } else { dto::ExpirationStatus::DISABLED };
    let (prefix, filter) = match &rule.filter {
        Filter { legacy: true, prefix, .. } => (Some(writable(prefix.clone().unwrap_or_default())), None),
        filter => (None, Some(write_filter(filter))),
    };
    let expiration = rule.expiration.map(|expiration| {
        let mut written = dto::LifecycleExpiration::default();
        match expiration {
            Expiration::Days(days) => written.days = Some(number(days)),
            Expiration::Date(date) => written.date = Some(values::timestamp(date)),
            Expiration::DeleteMarkers(wanted) => written.expired_object_delete_marker = Some(wanted),
        }
        written
    });
    let transitions = rule.transitions.iter().map(|transition| {
        let mut written = dto::Transition {
            storage_class: Some(transition.class_name.clone().into()),
            ..dto::Transition::default()
        };
        match transition.due {
            Due::Days(days) => written.days = Some(number(days)),
            Due::Date(date) => written.date = Some(values::timestamp(date)),
        }
        written
    });
    let noncurrent = rule.noncurrent_transitions.iter().map(|transition| dto::NoncurrentVersionTransition {
        newer_noncurrent_versions: transition.keep_newest.map(number),
        noncurrent_days: Some(number(transition.days)),
        storage_class: Some(transition.class_name.clone().into()),
    });
    dto::LifecycleRule {
        abort_incomplete_multipart_upload: rule
            .abort_uploads_days
            .map(|days| dto::AbortIncompleteMultipartUpload { days_after_initiation: Some(number(days)) }),
        expiration,
        filter,
        id: Some(writable(rule.id.clone())),
        noncurrent_version_expiration: rule.noncurrent_expiration.map(|noncurrent| {
            dto::NoncurrentVersionExpiration {
                newer_noncurrent_versions: noncurrent.keep_newest.map(number),
                noncurrent_days: Some(number(noncurrent.days)),
            }
        }),
        noncurrent_version_transitions: Some(noncurrent.collect()).filter(|list: &Vec<_>| !list.is_empty()),
        prefix,
        status: dto::ExpirationStatus::from_static(status),
        transitions: Some(transitions.collect()).filter(|list: &Vec<_>| !list.is_empty()),
    }
}

/// One condition is written alone, several inside `And`.
fn write_filter(filter: &Filter) -> dto::LifecycleRuleFilter {
    let mut tags = attributes::write_tags(&filter.tags);
    let prefix = filter.prefix.clone().map(writable);
    let size = |bytes: Option<u64>| bytes.map(values::size);
    let sizes = [filter.larger_than, filter.smaller_than].into_iter().flatten().count();
    let mut written = dto::LifecycleRuleFilter::default();
    if usize::from(prefix.is_some()) + tags.len() + sizes > 1 {
        written.and = Some(dto::LifecycleRuleAndOperator {
            object_size_greater_than: size(filter.larger_than),
            object_size_less_than: size(filter.smaller_than),
            prefix,
            tags: (!tags.is_empty()).then_some(tags),
        });
    } else {
        written.object_size_greater_than = size(filter.larger_than);
        written.object_size_less_than = size(filter.smaller_than);
        written.prefix = prefix;
        written.tag = tags.pop();
    }
    written
}

fn number(of: u32) -> i32 {
    i32::try_from(of).unwrap_or(i32::MAX)
}
