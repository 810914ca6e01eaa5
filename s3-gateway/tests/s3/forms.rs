use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use juststorage_core::domain::checksum::{ChecksumAlgorithm, ChecksumHasher};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::server::{Answer, Client, Options, Server, raw};

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn policy(conditions: Value) -> String {
    policy_until(OffsetDateTime::now_utc() + time::Duration::minutes(5), conditions)
}

fn policy_until(expiration: OffsetDateTime, mut conditions: Value) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].000Z");
    let conditions = std::mem::take(conditions.as_array_mut().unwrap());
    let json = json!({ "expiration": expiration.format(format).unwrap(), "conditions": conditions });
    STANDARD.encode(json.to_string())
}

/// The fields of a form that boto3's `generate_presigned_post` would make, signed for another day: a form is
/// good until its policy expires, however old its signature.
fn version_4(client: &Client, conditions: &[Value]) -> Vec<(String, String)> {
    let mut conditions = conditions.to_vec();
    conditions.extend([
        json!({ "x-amz-algorithm": "AWS4-HMAC-SHA256" }),
        json!({ "x-amz-credential": credential(client) }),
        json!({ "x-amz-date": "20200102T030405Z" }),
    ]);
    version_4_over(client, policy(Value::Array(conditions)))
}

fn credential(client: &Client) -> String {
    format!("{}/20200102/us-east-1/s3/aws4_request", client.access_key)
}

/// The same over any policy, whatever it says.
fn version_4_over(client: &Client, policy: String) -> Vec<(String, String)> {
    let mut key = format!("AWS4{}", client.secret_key).into_bytes();
    for step in ["20200102", "us-east-1", "s3", "aws4_request"] {
        key = hmac(&key, step);
    }
    let signature = hex::encode(hmac(&key, &policy));
    [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
        ("X-Amz-Credential", credential(client)),
        ("X-Amz-Date", "20200102T030405Z".to_owned()),
        ("Policy", policy),
        ("X-Amz-Signature", signature),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn version_2(client: &Client, conditions: Value) -> Vec<(String, String)> {
    let policy = policy(conditions);
    let mut mac = Hmac::<Sha1>::new_from_slice(client.secret_key.as_bytes()).unwrap();
    mac.update(policy.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    [("AWSAccessKeyId", client.access_key.clone()), ("policy", policy), ("signature", signature)]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
}

fn form(fields: &[(String, String)], file: &str) -> String {
    let mut body = String::new();
    for (name, value) in fields {
        let disposition = format!("Content-Disposition: form-data; name=\"{name}\"");
        body.extend(["--XX\r\n", &disposition, "\r\n\r\n", value, "\r\n"]);
    }
    body + "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\x\\photo.jpg\"\r\n\
            Content-Type: image/jpeg\r\n\r\n"
        + file
        + "\r\n--XX--\r\n"
}

async fn post(server: &Server, target: &str, body: &str) -> Answer {
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: multipart/form-data; boundary=XX\r\n\r\n",
        body.len()
    );
    raw(server.address, (head + body).as_bytes(), false).await
}

fn with(fields: &[(String, String)], more: &[(&str, &str)]) -> Vec<(String, String)> {
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    more.chain(fields.iter().cloned()).collect()
}

#[tokio::test]
async fn a_form_stores_its_file_and_what_its_fields_say() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/forms", b"").await.ok();
    let conditions = [
        json!({ "bucket": "forms" }),
        json!(["starts-with", "$key", "user/"]),
        json!(["starts-with", "$x-amz-meta-colour", ""]),
        json!({ "Content-Type": "image/jpeg" }),
        json!(["starts-with", "$success_action_status", ""]),
        json!(["starts-with", "$success_action_redirect", ""]),
        json!(["starts-with", "$tagging", ""]),
        json!(["content-length-range", 1, 10]),
    ];
    let signed = version_4(&s3, &conditions);
    let said = [("key", "user/${filename}"), ("X-Amz-Meta-Colour", "red"), ("Content-Type", "image/jpeg")];
    let answer = post(&server, "/forms", &form(&with(&signed, &said), "pixels")).await.ok();
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.header("location"), Some("http://x/forms/user/photo.jpg"));
    let stored = s3.get("/forms/user/photo.jpg").await.ok();
    assert_eq!(stored.text(), "pixels");
    assert_eq!(stored.header("x-amz-meta-colour"), Some("red"));
    assert_eq!(stored.header("content-type"), Some("image/jpeg"));

    let created = [("key", "user/a&b"), ("Content-Type", "image/jpeg"), ("success_action_status", "201")];
    let created = post(&server, "/forms/", &form(&with(&signed, &created), "x")).await.ok();
    assert_eq!((created.status, created.xml("Key")), (201, Some("user/a&amp;b".into())));
    let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    let gone_to = [
        ("key", "user/r"),
        ("Content-Type", "image/jpeg"),
        ("success_action_redirect", "https://example.com/done?a=1"),
        ("tagging", tags),
    ];
    let gone_to = post(&server, "/forms", &form(&with(&signed, &gone_to), "x")).await;
    assert_eq!(gone_to.status, 303);
    let location = gone_to.header("location").unwrap();
    assert!(
        location.starts_with("https://example.com/done?a=1&bucket=forms&key=user%2Fr&etag=%22"),
        "{location}"
    );
    assert_eq!(s3.get("/forms/user/r?tagging").await.ok().xml("Key"), Some("a".into()));
}

#[tokio::test]
async fn a_form_that_its_policy_does_not_allow_stores_nothing() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/strict", b"").await.ok();
    let conditions = [
        json!({ "bucket": "strict" }),
        json!(["starts-with", "$key", "user/"]),
        json!(["starts-with", "$acl", ""]),
        json!(["content-length-range", 2, 10]),
    ];
    let signed = version_4(&s3, &conditions);
    let key = [("key", "user/k")];
    let good = with(&signed, &key);
    let changed = |name: &str, value: &str| {
        let change = |(field, old): &(String, String)| {
            (field.clone(), if field == name { value.to_owned() } else { old.clone() })
        };
        good.iter().map(change).collect::<Vec<_>>()
    };
    let whole = form(&good, "bytes");
    let cases = [
        (form(&signed, "bytes"), (403, "AccessDenied")),
        (form(&with(&signed, &[("key", "other/k")]), "bytes"), (403, "AccessDenied")),
        (form(&with(&good, &[("x-amz-meta-a", "b")]), "bytes"), (403, "AccessDenied")),
        (form(&with(&good, &[("acl", "public-read")]), "bytes"), (400, "AccessControlListNotSupported")),
        (form(&with(&good, &[("x-amz-server-side-encryption", "AES256")]), "bytes"), (403, "AccessDenied")),
        (form(&with(&good, &[("x-amz-checksum-crc32", "AAAAAA==")]), "bytes"), (400, "BadDigest")),
        (form(&with(&good, &key), "bytes"), (400, "InvalidArgument")),
        (form(&good, "b"), (400, "EntityTooSmall")),
        (form(&good, "eleven bytes"), (400, "EntityTooLarge")),
        (form(&changed("X-Amz-Signature", &"0".repeat(64)), "bytes"), (403, "SignatureDoesNotMatch")),
        (
            form(&changed("X-Amz-Credential", "NOBODY/20200102/us-east-1/s3/aws4_request"), "bytes"),
            (403, "InvalidAccessKeyId"),
        ),
        (form(&changed("X-Amz-Credential", "malformed"), "bytes"), (400, "InvalidArgument")),
        (
            form(&changed("X-Amz-Credential", "A/20200102/us-east-1/ec2/aws4_request"), "bytes"),
            (400, "InvalidArgument"),
        ),
        (form(&changed("X-Amz-Date", "yesterday"), "bytes"), (400, "InvalidArgument")),
        (form(&changed("X-Amz-Date", "20200103T030405Z"), "bytes"), (400, "InvalidArgument")),
        (form(&changed("X-Amz-Signature", ""), "bytes"), (400, "InvalidArgument")),
        (form(&changed("Policy", ""), "bytes"), (403, "SignatureDoesNotMatch")),
        (form(&[("key".to_owned(), "user/k".to_owned())], "bytes"), (403, "AccessDenied")),
        (form(&version_2(&s3, json!([{ "bucket": "strict" }])), "bytes"), (400, "InvalidRequest")),
        (whole[..whole.len() - 9].to_owned(), (400, "MalformedPOSTRequest")),
        ("--XX--\r\n".to_owned(), (400, "MalformedPOSTRequest")),
    ];
    for (body, (status, code)) in cases {
        let answer = post(&server, "/strict", &body).await;
        assert_eq!(answer.error(), (status, code.to_owned()), "{}\n{body}", answer.text());
        assert!(answer.xml("RequestId").is_some());
        assert_eq!(s3.get("/strict/user/k").await.status, 404, "{body}");
    }
    let unbounded = s3.call("POST", "/strict").header("content-type", "multipart/form-data").body("x");
    assert_eq!(unbounded.send().await.error(), (400, "MalformedPOSTRequest".into()));
    let none = s3.call("POST", "/strict").header("content-type", "text/plain").body("x").send().await;
    assert_eq!(none.error(), (412, "PreconditionFailed".into()));
    post(&server, "/strict", &whole).await.ok();
}

#[tokio::test]
async fn a_form_carries_a_checksum_of_every_algorithm() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/sums", b"").await.ok();
    let signed = version_4(&s3, &[json!({ "bucket": "sums" }), json!(["starts-with", "$key", ""])]);
    for algorithm in ChecksumAlgorithm::ALL {
        let of = |bytes: &[u8]| {
            let mut hasher = ChecksumHasher::new(algorithm);
            hasher.update(bytes);
            hasher.finish().value
        };
        let (name, key) =
            (format!("x-amz-checksum-{}", algorithm.as_str().to_lowercase()), algorithm.as_str());
        let wrong = with(&signed, &[("key", key), (&name, &of(b"other"))]);
        assert_eq!(
            post(&server, "/sums", &form(&wrong, "bytes")).await.error(),
            (400, "BadDigest".into()),
            "{name}"
        );
        assert_eq!(s3.get(&format!("/sums/{key}")).await.status, 404);
        let right = with(&signed, &[("key", key), (&name, &of(b"bytes"))]);
        let stored = post(&server, "/sums", &form(&right, "bytes")).await.ok();
        assert_eq!(stored.header(&name), Some(of(b"bytes").as_str()));
    }
}

/// MinIO would write the file to every key of the list.
#[tokio::test]
async fn a_field_of_minios_own_is_refused_by_name() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/fan", b"").await.ok();
    let conditions = [
        json!({ "bucket": "fan" }),
        json!({ "key": "k" }),
        json!(["starts-with", "$x-minio-fanout-list", ""]),
    ];
    let signed = version_4(&s3, &conditions);
    let fields = with(&signed, &[("key", "k"), ("x-minio-fanout-list", "{\"key\":\"other\"}")]);
    let refused = post(&server, "/fan", &form(&fields, "bytes")).await;
    assert_eq!(refused.error(), (501, "NotImplemented".into()));
    assert_eq!(refused.xml("Header").as_deref(), Some("x-minio-fanout-list"));
    assert_eq!(s3.get("/fan/k").await.status, 404);
}

/// A form has no copy: the field would be ignored.
#[tokio::test]
async fn a_form_copies_nothing() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/uncopied", b"").await.ok();
    let conditions = [
        json!({ "bucket": "uncopied" }),
        json!({ "key": "k" }),
        json!(["starts-with", "$x-amz-copy-source", ""]),
    ];
    let signed = version_4(&s3, &conditions);
    let fields = with(&signed, &[("key", "k"), ("x-amz-copy-source", "/uncopied/other")]);
    let refused = post(&server, "/uncopied", &form(&fields, "bytes")).await;
    assert_eq!(refused.error(), (400, "InvalidArgument".into()));
    assert_eq!(refused.xml("ArgumentName").as_deref(), Some("x-amz-copy-source"));
    assert_eq!(s3.get("/uncopied/k").await.status, 404);
}

#[tokio::test]
async fn version_2_forms_are_taken_where_they_are_allowed() {
    let server = Server::start_with(Options { sigv2: true, ..Options::default() }).await;
    let s3 = server.root();
    s3.put("/old", b"").await.ok();
    let signed = version_2(&s3, json!([{ "bucket": "old" }, ["eq", "$key", "k"]]));
    post(&server, "/old", &form(&with(&signed, &[("key", "k")]), "bytes")).await.ok();
    assert_eq!(s3.get("/old/k").await.ok().text(), "bytes");
    let stranger = Client { secret_key: "wrong".into(), ..s3.clone() };
    let forged = version_2(&stranger, json!([{ "bucket": "old" }, ["eq", "$key", "k"]]));
    let refused = post(&server, "/old", &form(&with(&forged, &[("key", "k")]), "other")).await;
    assert_eq!(refused.error(), (403, "SignatureDoesNotMatch".into()));
}

/// A form that was signed rightly once: everything its signature covers is changed in turn, and nothing that
/// was changed is stored.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a list")]
async fn a_changed_form_opens_nothing() {
    let server = Server::start().await;
    let client = server.tenant("acme", "read,write,delete").await;
    let stranger = server.tenant("evil", "read,write,delete").await;
    let reader = server.tenant("acme", "read").await;
    for bucket in ["/sealed", "/other"] {
        client.put(bucket, b"").await.ok();
    }
    let conditions = [json!({ "bucket": "sealed" }), json!({ "key": "k" })];
    let key = [("key", "k")];
    let good = with(&version_4(&client, &conditions), &key);
    let set = |name: &str, value: &str| {
        let change = |(field, old): &(String, String)| {
            (field.clone(), if field == name { value.to_owned() } else { old.clone() })
        };
        good.iter().map(change).collect::<Vec<_>>()
    };
    let value = |name: &str| good.iter().find(|(field, _)| field == name).unwrap().1.clone();
    let (signature, signed) = (value("X-Amz-Signature"), value("Policy"));
    let mut corpus: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut add = |what: &str, fields| corpus.push((what.to_owned(), fields));
    for at in 0..signature.len() {
        let mut changed = signature.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        add("signature", set("X-Amz-Signature", &String::from_utf8(changed).unwrap()));
    }
    for forged in ["", "0", &signature[..63], &format!("{signature}0"), &"f".repeat(64), &"\u{e9}".repeat(32)]
    {
        add("signature", set("X-Amz-Signature", forged));
    }
    for (field, _) in &good {
        add(&format!("no {field}"), good.iter().filter(|(name, _)| name != field).cloned().collect());
        add(&format!("empty {field}"), set(field, ""));
        add(&format!("two of {field}"), with(&good, &[(field, &value(field))]));
    }
    // The policy itself, changed under its signature: what it allows, until when, and how it is written.
    let decoded = String::from_utf8(STANDARD.decode(&signed).unwrap()).unwrap();
    for (from, to) in
        [("sealed", "other"), ("\"k\"", "\"l\""), ("202", "203"), ("{", " {"), ("conditions", "condition")]
    {
        assert!(decoded.contains(from), "{decoded}");
        add(&format!("{from} for {to}"), set("Policy", &STANDARD.encode(decoded.replacen(from, to, 1))));
    }
    add("policy in plain", set("Policy", &decoded));
    add("policy cut off", set("Policy", &signed[..signed.len() - 4]));
    add("policy with a line break", set("Policy", &format!("{signed}\n")));
    for (from, to) in [
        ("20200102", "20200103"),
        ("us-east-1", "us-west-2"),
        ("/s3/", "/sts/"),
        ("aws4_request", "aws4_reques"),
        (client.access_key.as_str(), stranger.access_key.as_str()),
        (client.access_key.as_str(), reader.access_key.as_str()),
        ("/", ""),
    ] {
        add(&format!("{from} for {to}"), set("X-Amz-Credential", &credential(&client).replacen(from, to, 1)));
    }
    add("date", set("X-Amz-Date", "20200102T030406Z"));
    for algorithm in ["AWS4-HMAC-SHA1", "none", "AWS4-ECDSA-P256-SHA256", "aws4-hmac-sha256"] {
        add(algorithm, set("X-Amz-Algorithm", algorithm));
    }
    add("another key", with(&version_4(&client, &conditions), &[("key", "l")]));
    add("one more field", with(&good, &[("x-amz-storage-class", "STANDARD_IA")]));
    // Signed rightly over what cannot be meant, or does not hold any more.
    for policy in
        ["", "{}", "[]", "null", "{\"conditions\":[]}", "{\"expiration\":\"soon\",\"conditions\":[]}"]
    {
        add(policy, with(&version_4_over(&client, STANDARD.encode(policy)), &key));
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    add("a deep policy", with(&version_4_over(&client, STANDARD.encode(deep)), &key));
    let past = OffsetDateTime::now_utc() - time::Duration::seconds(2);
    let late = policy_until(
        past,
        json!([{ "bucket": "sealed" }, { "key": "k" }, ["starts-with", "$x-amz-algorithm", ""],
        ["starts-with", "$x-amz-credential", ""], ["starts-with", "$x-amz-date", ""]]),
    );
    add("expired", with(&version_4_over(&client, late), &key));
    // Signed rightly by somebody who may not.
    let wrong = Client { secret_key: "wrong".into(), ..client.clone() };
    let unknown = Client { access_key: "JSNOBODY".into(), ..client.clone() };
    for (what, signer) in
        [("wrong secret", &wrong), ("unknown key", &unknown), ("reader", &reader), ("stranger", &stranger)]
    {
        add(what, with(&version_4(signer, &conditions), &key));
    }
    let revoked = server.tenant("acme", "read,write,delete").await;
    let keys = server.access.list_keys(None).await.unwrap();
    let id = keys.iter().find(|key| key.lookup == revoked.access_key).unwrap().id;
    server.access.revoke_key(id).await.unwrap();
    add("revoked key", with(&version_4(&revoked, &conditions), &key));

    let whole = form(&good, "bytes");
    let nothing_stored = async |what: &str| {
        for bucket in ["/sealed", "/other"] {
            let keys = client.get(bucket).await.ok().all("Key");
            assert!(keys.is_empty(), "{what} stored {keys:?} in {bucket}");
        }
    };
    for (what, fields) in &corpus {
        let answer = post(&server, "/sealed", &form(fields, "bytes")).await;
        assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
        nothing_stored(what).await;
    }
    let elsewhere = post(&server, "/other", &whole).await;
    assert_eq!(elsewhere.error(), (403, "AccessDenied".into()), "{}", elsewhere.text());
    nothing_stored("the form of another bucket").await;
    let foreign =
        post(&server, "/sealed", &form(&with(&version_4(&stranger, &conditions), &key), "bytes")).await;
    assert_eq!(foreign.error(), (403, "AccessDenied".into()));
    let missing = post(
        &server,
        "/nowhere",
        &form(
            &with(&version_4(&stranger, &[json!({ "bucket": "nowhere" }), json!({ "key": "k" })]), &key),
            "bytes",
        ),
    )
    .await;
    assert_eq!(missing.error(), (404, "NoSuchBucket".into()));
    // The signature behind the file is no field of the form.
    let (before, file) = whole.split_once("--XX\r\nContent-Disposition: form-data; name=\"file\"").unwrap();
    let moved = format!(
        "--XX\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n\
         --XX\r\nContent-Disposition: form-data; name=\"file\"{}{before}--XX--\r\n",
        file.strip_suffix("--XX--\r\n").unwrap()
    );
    assert_eq!(post(&server, "/sealed", &moved).await.error().0, 403);
    nothing_stored("a form signed behind its file").await;
    post(&server, "/sealed", &whole).await.ok();
    assert_eq!(client.get("/sealed/k").await.ok().text(), "bytes");
}

#[tokio::test]
async fn a_refusal_repeats_of_a_name_what_xml_can_hold() {
    let server = Server::start().await;
    server.root().put("/named", b"").await.ok();
    let twice = ["1", "2"].map(|value| ("odd\u{1}".to_owned(), value.to_owned()));
    let refused = post(&server, "/named", &form(&twice, "x")).await;
    assert_eq!(refused.error(), (400, "InvalidArgument".into()));
    assert_eq!(refused.xml("Message"), Some("The form contains the field odd\u{fffd} twice.".into()));
}

/// Any other operation would be parsed as a form by s3s before its sender is authenticated, and become its own
/// `PostObject`, which knows none of the rules here.
#[tokio::test]
async fn a_form_is_taken_by_post_object_only() {
    let server = Server::start().await;
    let client = server.tenant("acme", "read,write").await;
    client.put("/forms", b"").await.ok();
    let body = form(&with(&version_4(&client, &[]), &[("key", "k")]), "bytes");
    for target in
        ["/forms?delete", "/forms?delete&x-id=PostObject", "/forms/k?uploads", "/forms/k?uploadId=1"]
    {
        let answer = post(&server, target, &body).await;
        assert_eq!(answer.error(), (501, "NotImplemented".to_owned()), "{target}");
    }
    assert_eq!(client.get("/forms/k").await.error(), (404, "NoSuchKey".to_owned()));
}
