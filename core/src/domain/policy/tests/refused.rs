//! What is refused, and by which name.

use super::document;
use crate::domain::policy::{BYTES_MAX, Policy};

fn refusal(text: &str) -> String {
    match Policy::parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(invalid) => {
            assert_eq!(invalid.field, "policy");
            invalid.reason.into_owned()
        }
    }
}

/// Documents that are none.
#[test]
fn documents_are_json_with_known_elements() {
    const GOOD: &str =
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"}"#;
    for (text, why) in [
        ("", "first byte must be '{'"),
        ("false", "first byte must be '{'"),
        (" {}", "first byte must be '{'"),
        ("[]", "first byte must be '{'"),
        ("\u{feff}{}", "first byte must be '{'"),
        ("{true}", "invalid Json"),
        ("{", "invalid Json"),
        ("{} {}", "invalid Json"),
        ("{\"a\":\u{1}}", "invalid Json"),
        ("{}", "Missing required field Statement"),
        (r#"{"Version":"2012-10-17"}"#, "Missing required field Statement"),
        (r#"{"Statement":[]}"#, "Statement is empty"),
        (r#"{"Statement":null}"#, "Statement must be a list"),
        (r#"{"Statement":"x"}"#, "Statement must be a list"),
        (r#"{"Statement":[1]}"#, "Statement must be a list"),
        (&format!(r#"{{"Version":"2012-10-16","Statement":{GOOD}}}"#), "valid version"),
        (&format!(r#"{{"Version":"","Statement":{GOOD}}}"#), "valid version"),
        (&format!(r#"{{"Version":2012,"Statement":{GOOD}}}"#), "valid version"),
        (&format!(r#"{{"Id":1,"Statement":{GOOD}}}"#), "Id must be a text"),
        (&format!(r#"{{"Name":"x","Statement":{GOOD}}}"#), "Unknown field Name"),
        (&format!(r#"{{"statement":{GOOD}}}"#), "Unknown field statement"),
        (&format!(r#"{{"Statement":{GOOD},"Statement":{GOOD}}}"#), "the element Statement stands twice"),
    ] {
        let found = refusal(text);
        assert!(found.contains(why), "{text}: {found}");
    }
    let padded = |length: usize| {
        let text = document(GOOD);
        format!("{text}{}", " ".repeat(length - text.len()))
    };
    assert!(Policy::parse(&padded(BYTES_MAX)).is_ok());
    assert!(refusal(&padded(BYTES_MAX + 1)).contains("maximum allowed document size"));
    let deep = format!(r#"{{"Statement":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    assert!(refusal(&deep).contains("invalid Json"));
}

/// Statements with something in them that is not understood, or that says nothing.
#[test]
fn statements_are_refused_by_name() {
    const ALLOW: &str = r#""Effect":"Allow","Principal":"*""#;
    const GET: &str = r#""Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"@/*""#;
    const LIST: &str = r#""Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"@""#;
    let table: Vec<(String, &str)> = vec![
        // Elements.
        (r#""Principal":"*","Action":"s3:GetObject","Resource":"@/*""#.into(), "Missing required field Effect"),
        (r#""Effect":"Allow","Action":"s3:GetObject","Resource":"@/*""#.into(), "Missing required field Principal"),
        (format!(r#"{ALLOW},"Resource":"@/*""#), "Missing required field Action"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject""#), "Missing required field Resource"),
        (r#""Effect":"allow","Principal":"*","Action":"s3:GetObject","Resource":"@/*""#.into(), "Invalid effect: allow"),
        (r#""Effect":true,"Principal":"*","Action":"s3:GetObject","Resource":"@/*""#.into(), "Invalid effect"),
        (format!(r#"{GET},"Effect":"Deny""#), "the element Effect stands twice"),
        (format!(r#"{GET},"NotPrincipal":"*""#), "NotPrincipal"),
        (format!(r#"{GET},"NotResource":"@/x""#), "NotResource"),
        (format!(r#"{GET},"NotAction":"s3:PutObject""#), "either Action or NotAction"),
        (format!(r#"{GET},"Comment":"x""#), "Unknown field Comment"),
        (format!(r#"{GET},"condition":{{}}"#), "Unknown field condition"),
        (format!(r#"{GET},"Sid":7"#), "Sid must be a text"),
        // Principals.
        (r#""Effect":"Allow","Principal":"acme","Action":"s3:GetObject","Resource":"@/*""#.into(), "acme must stand under AWS"),
        (r#""Effect":"Allow","Principal":"","Action":"s3:GetObject","Resource":"@/*""#.into(), "Invalid principal"),
        (r#""Effect":"Allow","Principal":["*"],"Action":"s3:GetObject","Resource":"@/*""#.into(), "Invalid principal"),
        (r#""Effect":"Allow","Principal":{},"Action":"s3:GetObject","Resource":"@/*""#.into(), "Invalid principal"),
        (r#""Effect":"Allow","Principal":{"AWS":[]},"Action":"s3:GetObject","Resource":"@/*""#.into(), "Invalid principal"),
        (r#""Effect":"Allow","Principal":{"AWS":""},"Action":"s3:GetObject","Resource":"@/*""#.into(), "Invalid principal"),
        (r#""Effect":"Allow","Principal":{"AWS":"Bob"},"Action":"s3:GetObject","Resource":"@/*""#.into(), "Invalid principal in policy: Bob"),
        (r#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::acme:role/r"},"Action":"s3:GetObject","Resource":"@/*""#.into(), "role/r"),
        (r#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::acme:user/*"},"Action":"s3:GetObject","Resource":"@/*""#.into(), "user/*"),
        (r#""Effect":"Allow","Principal":{"CanonicalUser":"acme"},"Action":"s3:GetObject","Resource":"@/*""#.into(), "CanonicalUser"),
        (r#""Effect":"Allow","Principal":{"Service":"x.amazonaws.com"},"Action":"s3:GetObject","Resource":"@/*""#.into(), "Service"),
        (r#""Effect":"Deny","Principal":{"AWS":"*","Federated":"x"},"Action":"s3:GetObject","Resource":"@/*""#.into(), "Federated"),
        // Actions.
        (format!(r#"{ALLOW},"Action":"","Resource":"@/*""#), "Policy has invalid action"),
        (format!(r#"{ALLOW},"Action":[],"Resource":"@/*""#), "Policy has invalid action"),
        (format!(r#"{ALLOW},"Action":"GetObject","Resource":"@/*""#), "invalid action: GetObject"),
        (format!(r#"{ALLOW},"Action":"s3:","Resource":"@/*""#), "invalid action: s3:"),
        (format!(r#"{ALLOW},"Action":"s3:GetObjekt","Resource":"@/*""#), "invalid action: s3:GetObjekt"),
        (format!(r#"{ALLOW},"Action":"s3:RestoreObject","Resource":"@/*""#), "invalid action: s3:RestoreObject"),
        (format!(r#"{ALLOW},"Action":["s3:GetObject","s3:ReplicateObject"],"Resource":"@/*""#), "s3:ReplicateObject"),
        (format!(r#"{ALLOW},"Action":"iam:*","Resource":"@/*""#), "invalid action: iam:*"),
        (format!(r#"{ALLOW},"Action":"s3:Abort?","Resource":"@/*""#), "invalid action: s3:Abort?"),
        (format!(r#"{ALLOW},"Action":"*GetObject","Resource":"@/*""#), "invalid action: *GetObject"),
        (format!(r#"{ALLOW},"Action":"s3:ListAllMyBuckets","Resource":"@""#), "invalid action: s3:ListAllMyBuckets"),
        (format!(r#"{ALLOW},"NotAction":"s3:Nothing","Resource":"@""#), "invalid action: s3:Nothing"),
        (format!(r#"{ALLOW},"NotAction":"s3:*","Resource":"@""#), "does not apply"),
        // Resources.
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":[]"#), "Policy has invalid resource"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"""#), "Policy has invalid resource"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"*""#), "Policy has invalid resource: *"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"arn:aws:s3:::*/*""#), "Policy has invalid resource"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"arn:aws:s3:::buck*/x""#), "Policy has invalid resource"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket*""#), "Policy has invalid resource"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"arn:aws:s3:::/bucket""#), "Policy has invalid resource"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"arn:aws:s3:us-east-1:1:bucket/*""#), "Policy has invalid resource"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"arn:aws:iam:::bucket/*""#), "Policy has invalid resource"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"bucket/*""#), "Policy has invalid resource"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":["@/*","arn:aws:s3:::other/*"]"#), "invalid resource: arn:aws:s3:::other"),
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"@/${{aws:username}}/*""#), "variables"),
        // Actions on what they are not done to (S3 User Guide).
        (format!(r#"{ALLOW},"Action":"s3:GetObject","Resource":"@""#), "does not apply to any resource(s) in statement: s3:GetObject"),
        (format!(r#"{ALLOW},"Action":"s3:ListBucket","Resource":"@/*""#), "does not apply to any resource(s) in statement: s3:ListBucket"),
        (format!(r#"{ALLOW},"Action":["s3:GetObject","s3:ListBucket"],"Resource":"@/*""#), "statement: s3:ListBucket"),
        (format!(r#"{ALLOW},"Action":"s3:GetBucket*","Resource":"@/*""#), "does not apply"),
        (format!(r#"{ALLOW},"Action":"s3:*Multipart*Parts","Resource":"@""#), "does not apply"),
        // Conditions.
        (format!(r#"{GET},"Condition":[]"#), "Condition must be an object"),
        (format!(r#"{GET},"Condition":{{"StringEquals":"x"}}"#), "StringEquals must be an object"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{}}}}"#), "compares nothing"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:Referer":[]}}}}"#), "there is none"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:Referer":null}}}}"#), "invalid condition value"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:Referer":{{}}}}}}"#), "invalid condition value"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:Referer":1.5}}}}"#), "invalid condition value"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:Referer":"a","aws:Referer":"b"}}}}"#), "the element aws:Referer stands twice"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:Referer":"${{aws:username}}"}}}}"#), "variables"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:Referer":"a${{*}}"}}}}"#), "variables"),
        (format!(r#"{GET},"Condition":{{"stringEquals":{{"aws:Referer":"a"}}}}"#), "stringEquals is not offered"),
        (format!(r#"{GET},"Condition":{{"ForAnyValue:StringEquals":{{"aws:Referer":"a"}}}}"#), "ForAnyValue:StringEquals"),
        (format!(r#"{GET},"Condition":{{"DateLessThan":{{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}}}"#), "DateLessThan"),
        (format!(r#"{GET},"Condition":{{"ArnLike":{{"aws:SourceArn":"a"}}}}"#), "ArnLike"),
        (format!(r#"{GET},"Condition":{{"NullIfExists":{{"aws:Referer":"true"}}}}"#), "NullIfExists"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:username":"a"}}}}"#), "aws:username is not offered"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:PrincipalOrgID":"o"}}}}"#), "aws:PrincipalOrgID"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"s3:x-amz-server-side-encryption":"AES256"}}}}"#), "s3:x-amz-server-side-encryption"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"s3:ExistingObjectTag/":"a"}}}}"#), "s3:ExistingObjectTag/"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"s3:RequestObjectTag/a":"a"}}}}"#), "s3:RequestObjectTag/a"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"aws:SourceIp":"10.0.0.1"}}}}"#), "StringEquals does not compare aws:SourceIp"),
        (format!(r#"{GET},"Condition":{{"IpAddress":{{"aws:Referer":"10.0.0.1"}}}}"#), "IpAddress does not compare aws:Referer"),
        (format!(r#"{GET},"Condition":{{"Bool":{{"aws:Referer":"true"}}}}"#), "Bool does not compare"),
        (format!(r#"{GET},"Condition":{{"NumericEquals":{{"aws:Referer":"1"}}}}"#), "NumericEquals does not compare"),
        (format!(r#"{GET},"Condition":{{"IpAddress":{{"aws:SourceIp":"10.0.0"}}}}"#), "10.0.0 for IpAddress"),
        (format!(r#"{GET},"Condition":{{"IpAddress":{{"aws:SourceIp":["10.0.0.0/8","10.0.0.0/99"]}}}}"#), "10.0.0.0/99"),
        (format!(r#"{GET},"Condition":{{"Bool":{{"aws:SecureTransport":"yes"}}}}"#), "yes for Bool"),
        (format!(r#"{GET},"Condition":{{"Null":{{"aws:Referer":"maybe"}}}}"#), "maybe for Null"),
        (format!(r#"{LIST},"Condition":{{"NumericLessThan":{{"s3:max-keys":"many"}}}}"#), "many for NumericLessThan"),
        (format!(r#"{LIST},"Condition":{{"NumericLessThan":{{"s3:max-keys":1.5}}}}"#), "invalid condition value"),
        // Keys that no request of the statement has (S3 User Guide).
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"s3:prefix":"a"}}}}"#), "Conditions do not apply to combination of actions and resources in statement: s3:prefix"),
        (format!(r#"{LIST},"Condition":{{"StringEquals":{{"s3:ExistingObjectTag/a":"b"}}}}"#), "s3:ExistingObjectTag"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"s3:x-amz-acl":"private"}}}}"#), "s3:x-amz-acl"),
        (format!(r#"{GET},"Condition":{{"StringEquals":{{"s3:x-amz-storage-class":"STANDARD"}}}}"#), "s3:x-amz-storage-class"),
        (format!(r#"{ALLOW},"Action":"s3:DeleteObject","Resource":"@/*","Condition":{{"StringEquals":{{"s3:ExistingObjectTag/a":"b"}}}}"#), "s3:ExistingObjectTag"),
    ];
    assert!(table.len() >= 80);
    for (members, why) in table {
        let found = refusal(&document(&format!("{{{members}}}")));
        assert!(found.contains(why), "{members}: {found}");
    }
}

#[test]
fn ids_of_statements_are_unique() {
    let statement =
        r#"{"Sid":"one","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"@/*"}"#;
    assert!(refusal(&document(&format!("[{statement},{statement}]"))).contains("must be unique: one"));
    let other = statement.replace("one", "two");
    assert!(Policy::parse(&document(&format!("[{statement},{other}]"))).is_ok());
}
