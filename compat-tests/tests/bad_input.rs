//! Requests that are wrong: each is refused with a 4xx that names what is wrong, and nothing is stored.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use bytes::Bytes;
use juststorage_compat_tests::content::{base64, sha256};
use juststorage_compat_tests::native::{Native, problem};
use juststorage_compat_tests::raw::{Answer, Request};
use juststorage_compat_tests::{Content, Database, Options, Server, on_both_databases, s3};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

on_both_databases!(
    wrong_digests,
    short_bodies,
    headers_missing_or_malformed,
    keys_that_cannot_be,
    unknown_and_impossible_uploads,
    xml_that_is_none,
    json_that_is_none,
    paths_that_lead_astray,
    a_newer_schema_is_refused,
);

const BUCKET: &str = "bucket";

/// Sizes on either side of what goes into a pack: they take different ways through the store.
const SIZES: [usize; 2] = [1000, (2 << 20) + 3];

async fn start(database: Database) -> (Server, Native) {
    let server = Server::start(database).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    let native = server.native();
    (server, native)
}

/// Nothing is visible, nothing is counted, and after `gc` nothing is left on disk.
async fn nothing_was_stored(mut server: Server) {
    let (client, native) = (server.s3(), server.native());
    assert_eq!(s3::keys(&client, BUCKET, "").await, Vec::<String>::new());
    assert!(native.list(BUCKET, "", 100).await.is_empty());
    let usage = native.request(Method::GET, "/v1/usage").send().await.unwrap().text().await.unwrap();
    let usage: serde_json::Value = serde_json::from_str(&usage).unwrap();
    for space in usage["spaces"].as_array().unwrap_or_else(|| panic!("{usage}")) {
        let total = |name: &str| space[name].as_u64().unwrap_or_else(|| panic!("{name}: {space}"));
        assert_eq!((total("objects"), total("logical_bytes")), (0, 0), "{space}");
    }
    let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    for upload in uploads.uploads() {
        let abort = client.abort_multipart_upload().bucket(BUCKET).key(upload.key().unwrap());
        abort.upload_id(upload.upload_id().unwrap()).send().await.unwrap();
    }
    server.assert_nothing_left().await;
}

/// The answer to an S3 request is a refusal of this status and code, in S3's form.
fn assert_refused(what: &str, answer: &Answer, status: u16, code: &str) {
    let text = answer.text();
    assert_eq!((answer.status, answer.element("Code").as_deref()), (status, Some(code)), "{what}: {text}");
    assert!(answer.element("Message").is_some_and(|message| !message.is_empty()), "{what}: {text}");
    assert!(answer.header("x-amz-request-id").is_some(), "{what}: no request id");
    assert!(answer.element("RequestId").is_some(), "{what}: {text}");
}

/// The answer to a native request is a problem document with this status and code.
async fn assert_problem(what: &str, request: RequestBuilder, status: u16, code: &str) {
    let (actual, actual_code, text) = problem(request.send().await.expect("an answer")).await;
    assert_eq!((actual, actual_code.as_str()), (status, code), "{what}: {text}");
}

/// As [`assert_problem`], for an answer read from a socket.
fn assert_raw_problem(what: &str, answer: &Answer, status: u16, code: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{what}: {text}");
    let document: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{what}: {e}: {text}"));
    assert_eq!(document["code"], code, "{what}: {text}");
}

fn put(key: &str) -> Request {
    Request::new("PUT", &format!("/{BUCKET}/{key}"))
}

async fn wrong_digests(database: Database) {
    let (server, native) = start(database).await;
    let endpoint = server.s3_url();
    for size in SIZES {
        let body = Content::new(1, size).bytes().to_vec();
        let other = sha256(b"something else");
        for (what, header, value, code) in [
            ("Content-MD5", "content-md5", base64(&[0; 16]), "BadDigest"),
            ("Content-MD5, malformed", "content-md5", "AAAA".to_owned(), "InvalidDigest"),
            ("payload hash", "x-amz-content-sha256", other.clone(), "XAmzContentSHA256Mismatch"),
            ("crc32", "x-amz-checksum-crc32", base64(&[0; 4]), "BadDigest"),
            ("crc32c", "x-amz-checksum-crc32c", base64(&[0; 4]), "BadDigest"),
            ("crc64nvme", "x-amz-checksum-crc64nvme", base64(&[0; 8]), "BadDigest"),
            ("sha1", "x-amz-checksum-sha1", base64(&[0; 20]), "BadDigest"),
            ("sha256", "x-amz-checksum-sha256", base64(&[0; 32]), "BadDigest"),
            ("crc32, malformed", "x-amz-checksum-crc32", "zz".to_owned(), "InvalidRequest"),
        ] {
            let answer =
                put("key").header(header, value).body(body.clone()).signed(endpoint).send(endpoint).await;
            assert_refused(&format!("{what} of {size} bytes"), &answer, 400, code);
        }
        // Two right checksums are one too many: which of them is stored?
        let answer = put("key")
            .header("x-amz-checksum-crc32", base64(&[0; 4]))
            .header("x-amz-checksum-sha1", base64(&[0; 20]))
            .body(body.clone());
        let answer = answer.signed(endpoint).send(endpoint).await;
        assert_refused("two checksums", &answer, 400, "InvalidRequest");

        let post = || native.post(BUCKET, "key").body(body.clone());
        assert_problem("native", post().header("X-Content-SHA256", &other), 400, "digest_mismatch").await;
        let malformed = post().header("X-Content-SHA256", "beef");
        assert_problem("native, malformed", malformed, 400, "invalid_content_sha256").await;
    }
    nothing_was_stored(server).await;
}

async fn short_bodies(database: Database) {
    let (server, native) = start(database).await;
    let endpoint = server.s3_url();
    for size in SIZES {
        let body = Content::new(2, size).bytes().to_vec();
        let declared = size as u64 + 10;
        let unsigned = "UNSIGNED-PAYLOAD";
        let request = put("key").header("x-amz-content-sha256", unsigned).body(body.clone());
        let answer = request.signed(endpoint).declared_length(declared).send(endpoint).await;
        // A client that hung up may not get to read the answer; one that did gets this.
        if answer.status != 0 {
            assert_refused("S3", &answer, 400, "IncompleteBody");
        }
        let request =
            Request::new("POST", "/v1/objects").header("x-namespace", BUCKET).header("x-key", "key");
        let request = request.header("x-tenant", &native.tenant).body(body.clone()).declared_length(declared);
        let answer = request.send(server.native_url()).await;
        assert!(answer.status == 0 || answer.status == 400, "{}: {}", answer.status, answer.text());

        // Signed chunks that end in the middle of one.
        let chunk = format!("{size:x};chunk-signature={}\r\n", "0".repeat(64)).into_bytes();
        let request = put("key")
            .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", size.to_string())
            .body([chunk, body[..size / 2].to_vec()].concat());
        let answer = request.signed(endpoint).send(endpoint).await;
        assert!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.text());

        // A trailer announced and never sent.
        let framed = [format!("{size:x}\r\n").into_bytes(), body, b"\r\n0\r\n\r\n".to_vec()].concat();
        let request = put("key")
            .header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .header("content-encoding", "aws-chunked")
            .header("x-amz-decoded-content-length", size.to_string())
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .body(framed);
        let answer = request.signed(endpoint).send(endpoint).await;
        assert!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.text());
    }
    nothing_was_stored(server).await;
}

async fn headers_missing_or_malformed(database: Database) {
    let (server, native) = start(database).await;
    let endpoint = server.s3_url();
    let unsigned = put("key").body("x").send(endpoint).await;
    assert_refused("no signature", &unsigned, 403, "AccessDenied");
    let garbage =
        put("key").header("authorization", "AWS4-HMAC-SHA256 nonsense").body("x").send(endpoint).await;
    assert!((400..404).contains(&garbage.status), "{}: {}", garbage.status, garbage.text());
    for (what, name, value, status, code) in [
        ("storage class", "x-amz-storage-class", "LUKEWARM", 400, "InvalidStorageClass"),
        ("if-match", "if-match", "no \"quotes", 400, "InvalidArgument"),
        ("copy source", "x-amz-copy-source", "nonsense", 400, "InvalidArgument"),
        ("encryption", "x-amz-server-side-encryption", "AES256", 501, "NotImplemented"),
        ("acl", "x-amz-acl", "public-read", 400, "AccessControlListNotSupported"),
        ("checksum algorithm", "x-amz-sdk-checksum-algorithm", "CRC31", 400, "InvalidRequest"),
    ] {
        let answer = put("key").header(name, value).body("x").signed(endpoint).send(endpoint).await;
        assert_refused(what, &answer, status, code);
    }
    let metadata =
        put("key").header("x-amz-meta-big", "x".repeat(2100)).body("x").signed(endpoint).send(endpoint).await;
    assert_refused("metadata over 2 KiB", &metadata, 400, "MetadataTooLarge");

    let post =
        |name: &str| native.request(Method::POST, "/v1/objects").body("x").header("X-Key", name.to_owned());
    assert_problem("no namespace", post("key"), 400, "missing_header").await;
    let bad = post("key").header("X-Namespace", "../up");
    assert_problem("namespace", bad, 400, "invalid_namespace").await;
    let bad = post("key").header("X-Namespace", BUCKET).header("X-Storage-Class", "lukewarm");
    assert_problem("class", bad, 400, "invalid_storage_class").await;
    let bad = post("key").header("X-Namespace", BUCKET).header("If-Match", "no \"quotes");
    assert_problem("if-match", bad, 400, "invalid_if_match").await;
    let bad = post("key").header("X-Namespace", BUCKET).header("X-Meta-Big", "x".repeat(2100));
    assert_problem("metadata", bad, 400, "invalid_metadata").await;
    let request =
        Request::new("POST", "/v1/objects").header("x-namespace", BUCKET).header("x-tenant", "NO/../tenant");
    let answer = request.body("x").send(server.native_url()).await;
    assert_raw_problem("tenant", &answer, 400, "invalid_tenant");
    let request = Request::new("POST", "/v1/objects").header("x-namespace", BUCKET).body("x");
    assert_raw_problem("no tenant", &request.send(server.native_url()).await, 400, "missing_header");
    let request =
        Request::new("POST", "/v1/objects").header("x-namespace", BUCKET).header("x-tenant", "default");
    let answer = request.header("x-key", [0xff, 0xfe]).body("x").send(server.native_url()).await;
    assert_raw_problem("a key that is no UTF-8", &answer, 400, "invalid_key");
    for length in ["nonsense", "-1", "1, 2"] {
        let request =
            Request::new("POST", "/v1/objects").header("x-namespace", BUCKET).header("x-tenant", "default");
        let answer = request.header("content-length", length).body("x").send(server.native_url()).await;
        assert_eq!(answer.status, 400, "Content-Length: {length}");
    }
    nothing_was_stored(server).await;
}

async fn keys_that_cannot_be(database: Database) {
    let (server, native) = start(database).await;
    let endpoint = server.s3_url();
    let long = "x".repeat(1025);
    let wide = "%C3%A9".repeat(513);
    for (what, key, code) in [
        ("1025 bytes", long.as_str(), "KeyTooLongError"),
        ("513 characters of two bytes", wide.as_str(), "KeyTooLongError"),
        ("NUL", "a%00b", "InvalidArgument"),
        ("no UTF-8", "a%FFb", "InvalidArgument"),
    ] {
        let answer = put(key).body("x").signed(endpoint).send(endpoint).await;
        if what == "no UTF-8" {
            // S3 says InvalidURI here, and so may we.
            assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        } else {
            assert_refused(what, &answer, 400, code);
        }
        let begin =
            Request::new("POST", &format!("/{BUCKET}/{key}?uploads")).signed(endpoint).send(endpoint).await;
        assert_eq!(begin.status, 400, "{what}, upload: {}", begin.text());
        let path = format!("/v1/objects/by-key/{BUCKET}/default/{key}");
        let answer = Request::new("GET", &path).header("x-tenant", "default").send(server.native_url()).await;
        assert_raw_problem(what, &answer, 400, "invalid_key");
    }
    let longer = native.post(BUCKET, &long).body("x");
    assert_problem("1025 bytes", longer, 400, "invalid_key").await;
    let empty = native.post(BUCKET, "").body("x");
    assert_problem("no bytes", empty, 400, "invalid_key").await;
    let begin = |key: &str| {
        let body = json!({"namespace": BUCKET, "tenant": "default", "key": key});
        native.request(Method::POST, "/v1/uploads").json(&body)
    };
    assert_problem("1025 bytes, upload", begin(&long), 400, "invalid_key").await;
    assert_problem("NUL, upload", begin("a\0b"), 400, "invalid_key").await;
    nothing_was_stored(server).await;
}

async fn unknown_and_impossible_uploads(database: Database) {
    let (server, native) = start(database).await;
    let endpoint = server.s3_url();
    let client = server.s3();
    let unknown = "0190163d8694739baea5966c26f8ad90";
    let part = Request::new("PUT", &format!("/{BUCKET}/key?partNumber=1&uploadId={unknown}"));
    assert_refused("part", &part.body("x").signed(endpoint).send(endpoint).await, 404, "NoSuchUpload");
    let nowhere = Request::new("PUT", "/nowhere/key").body("x").signed(endpoint).send(endpoint).await;
    assert_refused("bucket", &nowhere, 404, "NoSuchBucket");
    let upload = s3::begin(&client, BUCKET, "key").await;
    for number in ["0", "10001", "-1", "one", ""] {
        let part = Request::new("PUT", &format!("/{BUCKET}/key?partNumber={number}&uploadId={upload}"));
        let answer = part.body("x").signed(endpoint).send(endpoint).await;
        assert_eq!(answer.status, 400, "part number {number:?}: {}", answer.text());
    }
    let without = Request::new("PUT", &format!("/{BUCKET}/key?partNumber=1")).body("x");
    let answer = without.signed(endpoint).send(endpoint).await;
    assert!(
        (400..=501).contains(&answer.status) && answer.status != 500,
        "a part without its upload was put"
    );

    for id in [unknown, "nonsense", "%2e%2e"] {
        let path = format!("/v1/uploads/{id}");
        let (status, _, text) = problem(native.request(Method::GET, &path).send().await.unwrap()).await;
        assert!(status == 404 || status == 400, "{id}: {text}");
    }
    let begin =
        native.request(Method::POST, "/v1/uploads").header("X-Namespace", BUCKET).header("X-Key", "k");
    let begun: serde_json::Value =
        serde_json::from_str(&begin.send().await.unwrap().text().await.unwrap()).unwrap();
    let path = format!("/v1/uploads/{}", begun["id"].as_str().unwrap());
    for number in 1..=2 {
        let part = native.request(Method::PUT, &format!("{path}/parts/{number}")).body("too small");
        assert!(part.send().await.unwrap().status().is_success());
    }
    let complete = |parts: serde_json::Value| {
        native.request(Method::POST, &format!("{path}/complete")).json(&json!({ "parts": parts }))
    };
    let (one, two) = (json!({"part_number": 1}), json!({"part_number": 2}));
    assert_problem("order", complete(json!([two, one])), 400, "invalid_part_order").await;
    assert_problem("small", complete(json!([one, two])), 400, "part_too_small").await;
    assert_problem("none", complete(json!([])), 400, "no_parts").await;
    assert_problem("absent", complete(json!([{"part_number": 3}])), 400, "invalid_part").await;
    let forged = json!([{"part_number": 1, "etag": "\"0\""}]);
    assert_problem("etag", complete(forged), 400, "invalid_part").await;
    let part = native.request(Method::PUT, &format!("{path}/parts/10001")).body("x");
    assert_problem("number", part, 400, "invalid_part_number").await;
    let abort = native.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(abort.status(), 204);
    assert_problem("gone", native.request(Method::DELETE, &path), 404, "upload_not_found").await;
    nothing_was_stored(server).await;
}

async fn xml_that_is_none(database: Database) {
    let (server, _) = start(database).await;
    let endpoint = server.s3_url();
    let upload = s3::begin(&server.s3(), BUCKET, "key").await;
    let bomb = format!(
        "<!DOCTYPE a [<!ENTITY a \"{}\"><!ENTITY b \"{}\">]><Delete><Object><Key>&b;</Key></Object></Delete>",
        "x".repeat(1000),
        "&a;".repeat(1000)
    );
    let external = "<!DOCTYPE a [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>\
                    <Delete><Object><Key>&a;</Key></Object></Delete>";
    let bodies =
        ["", "not xml", "<Delete>", "<Delete><Object></Delete>", "<Other/>", "\u{0}", &bomb, external];
    for body in bodies {
        let what: String = body.chars().take(40).collect();
        let delete = Request::new("POST", &format!("/{BUCKET}?delete")).body(body);
        let delete = delete.header("content-md5", md5_of(body)).signed(endpoint).send(endpoint).await;
        assert_eq!(delete.status, 400, "DeleteObjects {what:?}: {}", delete.text());
        assert!(delete.element("Code").is_some(), "{what:?}: {}", delete.text());
        let complete = Request::new("POST", &format!("/{BUCKET}/key?uploadId={upload}")).body(body);
        let complete = complete.signed(endpoint).send(endpoint).await;
        assert_eq!(complete.status, 400, "CompleteMultipartUpload {what:?}: {}", complete.text());
    }
    let location = "<CreateBucketConfiguration><LocationConstraint>";
    let create = Request::new("PUT", "/another").body(location).signed(endpoint).send(endpoint).await;
    assert_refused("CreateBucket", &create, 400, "MalformedXML");
    // A list of deletions without any digest could have been changed on the way.
    let bare = Request::new("POST", &format!("/{BUCKET}?delete"))
        .body("<Delete><Object><Key>k</Key></Object></Delete>")
        .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    let answer = bare.signed(endpoint).send(endpoint).await;
    assert_eq!(answer.status, 400, "no digest: {}", answer.text());
    nothing_was_stored(server).await;
}

fn md5_of(text: &str) -> String {
    base64(&hex::decode(juststorage_compat_tests::content::md5(text.as_bytes())).unwrap())
}

async fn json_that_is_none(database: Database) {
    let (server, native) = start(database).await;
    for path in ["/v1/uploads", "/v1/objects/copy"] {
        for body in ["", "{", "[]", "null", "{\"namespace\": 1}", "{\"no_such_field\": true}", "\u{0}"] {
            // An upload may be begun by headers alone: with an empty body they are missing, not the JSON.
            let request =
                native.request(Method::POST, path).header("Content-Type", "application/json").body(body);
            let (status, code, text) = problem(request.send().await.unwrap()).await;
            assert!((400..500).contains(&status), "{path} {body:?}: {code} {text}");
        }
    }
    for query in ["limit=0", "limit=x", "cursor=nonsense", "no_such=1", "versions=maybe"] {
        let list =
            native.request(Method::GET, &format!("/v1/objects?namespace={BUCKET}&tenant=default&{query}"));
        let (status, code, text) = problem(list.send().await.unwrap()).await;
        assert_eq!(status, 400, "{query}: {code} {text}");
    }
    let none = native.request(Method::GET, "/v1/objects");
    assert_problem("no namespace", none, 400, "invalid_query").await;
    assert_problem("no such path", native.request(Method::GET, "/v1/nothing"), 404, "path_not_found").await;
    assert_problem("method", native.request(Method::DELETE, "/v1/objects"), 405, "method_not_allowed").await;
    nothing_was_stored(server).await;
}

/// No path reaches a file outside of the store.
async fn paths_that_lead_astray(database: Database) {
    let (server, _) = start(database).await;
    let secret = server.data().parent().unwrap().join("secret");
    std::fs::write(&secret, "SECRET").unwrap();
    let (s3_url, native_url) = (server.s3_url(), server.native_url());
    let astray = [
        "../secret",
        "../../secret",
        "..%2fsecret",
        "%2e%2e/%2e%2e/secret",
        "..%252fsecret",
        "/etc/passwd",
        "//etc/passwd",
        "....//secret",
        "..\\secret",
    ];
    for path in astray {
        let path = path.replace('\\', "%5C");
        let get = Request::new("GET", &format!("/{BUCKET}/{path}")).signed(s3_url).send(s3_url).await;
        assert!((400..500).contains(&get.status) && !get.text().contains("SECRET"), "{path}: {}", get.text());
        for target in [
            format!("/v1/objects/by-key/{BUCKET}/default/{path}"),
            format!("/v1/objects/{path}"),
            format!("/{path}"),
        ] {
            let get = Request::new("GET", &target).header("x-tenant", "default").send(native_url).await;
            let text = get.text();
            assert!(
                (400..500).contains(&get.status) && !text.contains("SECRET") && !text.contains("root:"),
                "{target}: {text}"
            );
        }
        for target in [
            format!("/v1/objects/by-key/../default/{path}"),
            format!("/v1/objects/by-key/{BUCKET}/%2e%2e/{path}"),
        ] {
            let get = Request::new("GET", &target).header("x-tenant", "default").send(native_url).await;
            assert!((400..500).contains(&get.status), "{target}: {}", get.text());
        }
    }
    for bucket in ["..", "%2e%2e", ".", "a..b", "a%2fb", "A", "xx", "%00%00%00"] {
        let create = Request::new("PUT", &format!("/{bucket}")).signed(s3_url).send(s3_url).await;
        assert!((400..500).contains(&create.status), "{bucket}: {} {}", create.status, create.text());
    }
    // A key that looks like a path is only a key.
    let key = "..%2F..%2Fsecret";
    let answer = put("../../secret").body("mine").signed(s3_url).send(s3_url).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(std::fs::read(&secret).unwrap(), b"SECRET");
    let native = server.native();
    let path = format!("/v1/objects/by-key/{BUCKET}/default/{key}");
    let get = Request::new("GET", &path).header("x-tenant", "default").send(native_url).await;
    assert_eq!((get.status, get.text()), (200, "mine".to_owned()));
    assert_eq!(native.list(BUCKET, "", 10).await[0]["key"], "../../secret");
    let delete = Request::new("DELETE", &path).header("x-tenant", "default").send(native_url).await;
    assert_eq!(delete.status, 204, "{}", delete.text());
    nothing_was_stored(server).await;
}

/// A binary that meets a schema from its future does not touch it.
async fn a_newer_schema_is_refused(database: Database) {
    let mut server = Server::prepare(database, Options::default());
    server.run_ok(&["migrate"]);
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
               VALUES (9999, 'from the future', TRUE, '\\x00', 0)";
    let output = if let Some(url) = server.database_url() {
        Command::new("psql").args([url, "-v", "ON_ERROR_STOP=1", "-c", sql]).output().unwrap()
    } else {
        let script =
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
        let file = server.data().join("metadata.db");
        Command::new("python3").args(["-c", script]).arg(file).arg(sql).output().unwrap()
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for command in ["serve", "migrate", "gc", "validate", "stats"] {
        let output = server.run(&[command]);
        let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(!output.status.success(), "{command} went on");
        assert!(said.contains("newer") || said.contains("9999"), "{command} does not say why: {said}");
    }
    server.kill();
}

/// A harness that never saw a body arrive would prove nothing above.
#[tokio::test]
async fn the_raw_client_can_put() {
    let (server, native) = start(Database::Sqlite).await;
    let endpoint = server.s3_url();
    let answer = put("k%C3%BC?x-id=PutObject").body("hello").signed(endpoint).send(endpoint).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(native.read(BUCKET, "kü").await, Bytes::from_static(b"hello"));
}
