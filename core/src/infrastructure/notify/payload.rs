//! Events as S3's event message and as `CloudEvents`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::application::ports::metadata::OutboxRow;
use crate::domain::event::{EventKind, Facts, PayloadFormat};
use crate::domain::timestamp::Timestamp;

/// As S3 writes times in events.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// What a form leaves as it is; a blank becomes a plus. S3 encodes keys in events so.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');

/// A body to be sent, and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// An event of a store in `region`.
pub fn payload(
    format: PayloadFormat,
    region: &str,
    row: &OutboxRow,
    kind: EventKind,
    facts: &Facts,
) -> Payload {
    let record = if kind == EventKind::Test { test(row, facts) } else { record(region, row, kind, facts) };
    match format {
        PayloadFormat::S3 => {
            let body = if kind == EventKind::Test { record } else { json!({ "Records": [record] }) };
            Payload { content_type: "application/json", body: body.to_string() }
        }
        PayloadFormat::CloudEvents => {
            let event = json!({
                "specversion": "1.0",
                "id": row.event_id.to_string(),
                // As CloudEvents' own adapter for S3 has source, type and subject.
                "source": format!("aws:s3.{region}.{}", facts.bucket),
                "type": format!("com.amazonaws.s3.{}", kind.as_str()),
                "subject": row.key,
                "time": rfc3339(row.created_at),
                "datacontenttype": "application/json",
                "sequence": sequencer(row.seq),
                "data": record,
            });
            Payload { content_type: "application/cloudevents+json; charset=utf-8", body: event.to_string() }
        }
    }
}

/// One of S3's records (User Guide, "Event message structure").
fn record(region: &str, row: &OutboxRow, kind: EventKind, facts: &Facts) -> Value {
    let mut object = Map::new();
    object.insert("key".to_owned(), json!(form_encoded(&row.key)));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    };
    put("size", facts.size.map(Value::from));
    put("eTag", facts.etag.as_deref().map(Value::from));
    put("versionId", facts.version_id.as_deref().map(Value::from));
    put("sequencer", Some(json!(sequencer(row.seq))));
    let request = facts.request_id.as_deref().unwrap_or_default();
    let mut record = json!({
        "eventVersion": version(kind),
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": rfc3339(row.created_at),
        "eventName": kind.as_str(),
        "userIdentity": { "principalId": facts.who.as_deref().unwrap_or("juststorage") },
        "requestParameters": {
            "sourceIPAddress": facts.from.map_or_else(|| "127.0.0.1".to_owned(), |from| from.to_string()),
        },
        "responseElements": { "x-amz-request-id": request, "x-amz-id-2": row.event_id.to_string() },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": facts.rule.as_deref().unwrap_or_default(),
            "bucket": {
                "name": facts.bucket,
                "ownerIdentity": { "principalId": facts.tenant },
                "arn": format!("arn:aws:s3:::{}", facts.bucket),
            },
            "object": object,
        },
    });
    match kind {
        EventKind::LifecycleTransition => {
            record["lifecycleEventData"] =
                json!({ "transitionEventData": { "destinationStorageClass": s3_class(facts) } });
        }
        EventKind::RestoreCompleted => {
            record["glacierEventData"] =
                json!({ "restoreEventData": { "lifecycleRestoreStorageClass": s3_class(facts) } });
        }
        _ => {}
    }
    record
}

fn s3_class(facts: &Facts) -> &'static str {
    if facts.class.as_deref() == Some("cold") { "STANDARD_IA" } else { "STANDARD" }
}

/// What S3 sends when a configuration names a target.
fn test(row: &OutboxRow, facts: &Facts) -> Value {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": rfc3339(row.created_at),
        "Bucket": facts.bucket,
        "RequestId": facts.request_id.as_deref().unwrap_or_default(),
        "HostId": row.event_id.to_string(),
    })
}

/// The version of the structure that S3 uses for a kind.
fn version(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Put
        | EventKind::Post
        | EventKind::Copy
        | EventKind::CompleteMultipartUpload
        | EventKind::Delete
        | EventKind::DeleteMarkerCreated => "2.1",
        _ => "2.3",
    }
}

/// Of two events of one key the later one has the larger text.
fn sequencer(seq: i64) -> String {
    format!("{seq:018X}")
}

fn form_encoded(key: &str) -> String {
    utf8_percent_encode(key, FORM).to_string().replace(' ', "+")
}

fn rfc3339(at: Timestamp) -> String {
    let nanos = i128::from(at.millis()) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(TIME).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use uuid::Uuid;

    use super::*;
    use crate::domain::space::SpaceId;

    fn row(kind: EventKind, facts: &Facts) -> OutboxRow {
        OutboxRow {
            seq: 255,
            space: SpaceId(1),
            key: "red flower/ä+b.jpg".to_owned(),
            event_id: Uuid::nil(),
            event: Ok((kind, facts.clone())),
            created_at: Timestamp(1_764_478_800_123),
        }
    }

    fn facts() -> Facts {
        Facts {
            bucket: "photos".to_owned(),
            namespace: "photos".to_owned(),
            tenant: "acme".to_owned(),
            size: Some(5),
            etag: Some("0".repeat(32)),
            version_id: Some("v".to_owned()),
            class: Some("cold".to_owned()),
            rule: Some("r1".to_owned()),
            who: Some("key".to_owned()),
            from: Some([10, 0, 0, 1].into()),
            request_id: Some("req".to_owned()),
            ..Facts::default()
        }
    }

    fn s3(kind: EventKind) -> Value {
        let made = payload(PayloadFormat::S3, "us-east-1", &row(kind, &facts()), kind, &facts());
        serde_json::from_str(&made.body).unwrap()
    }

    /// As in S3's User Guide, field by field.
    #[test]
    fn a_record_is_as_s3_writes_it() {
        let record = &s3(EventKind::Put)["Records"][0];
        for (pointer, value) in [
            ("/eventVersion", json!("2.1")),
            ("/eventSource", json!("aws:s3")),
            ("/awsRegion", json!("us-east-1")),
            ("/eventTime", json!("2025-11-30T05:00:00.123Z")),
            ("/eventName", json!("ObjectCreated:Put")),
            ("/userIdentity/principalId", json!("key")),
            ("/requestParameters/sourceIPAddress", json!("10.0.0.1")),
            ("/responseElements/x-amz-request-id", json!("req")),
            ("/s3/s3SchemaVersion", json!("1.0")),
            ("/s3/configurationId", json!("r1")),
            ("/s3/bucket/name", json!("photos")),
            ("/s3/bucket/ownerIdentity/principalId", json!("acme")),
            ("/s3/bucket/arn", json!("arn:aws:s3:::photos")),
            ("/s3/object/key", json!("red+flower%2F%C3%A4%2Bb.jpg")),
            ("/s3/object/size", json!(5)),
            ("/s3/object/versionId", json!("v")),
            ("/s3/object/sequencer", json!("0000000000000000FF")),
        ] {
            assert_eq!(record.pointer(pointer), Some(&value), "{pointer}");
        }
        let cooled = &s3(EventKind::LifecycleTransition)["Records"][0];
        assert_eq!(cooled["eventVersion"], "2.3");
        assert_eq!(
            cooled["lifecycleEventData"]["transitionEventData"]["destinationStorageClass"],
            "STANDARD_IA"
        );
        let test = s3(EventKind::Test);
        assert_eq!((&test["Event"], &test["Bucket"]), (&json!("s3:TestEvent"), &json!("photos")));
    }

    #[test]
    fn a_cloud_event_is_structured() {
        let kind = EventKind::Delete;
        let made = payload(PayloadFormat::CloudEvents, "us-east-1", &row(kind, &facts()), kind, &facts());
        assert!(made.content_type.starts_with("application/cloudevents+json"));
        let event: Value = serde_json::from_str(&made.body).unwrap();
        for (field, value) in [
            ("specversion", "1.0"),
            ("id", "00000000-0000-0000-0000-000000000000"),
            ("source", "aws:s3.us-east-1.photos"),
            ("type", "com.amazonaws.s3.ObjectRemoved:Delete"),
            ("subject", "red flower/ä+b.jpg"),
        ] {
            assert_eq!(event[field], value, "{field}");
        }
        assert_eq!(event["data"]["s3"]["bucket"]["name"], "photos");
    }
}
