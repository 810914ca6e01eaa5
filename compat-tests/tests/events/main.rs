//! Event notifications as their users meet them: a receiver that may be away, slow or broken, a server that is killed, and
//! the clients by which rules are set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod nats;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter,
    QueueConfiguration, S3KeyFilter,
};
use bytes::Bytes;
use juststorage_compat_tests::{Database, Server, binary, on_both_databases, python, s3, tools, wait};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const BUCKET: &str = "photos";
const ARN: &str = "arn:juststorage:sqs::hooks:webhook";
const SECRET: &str = "a secret of this very test";
const LONG: Duration = Duration::from_secs(60);

/// What the receiver does with a request instead of an answer.
const HANG: u16 = 0;

#[derive(Clone, Debug)]
struct Received {
    headers: HashMap<String, String>,
    body: String,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A webhook.
struct Receiver {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let status = Arc::new(AtomicU16::new(204));
        let (asked, taken) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<Received>>>::default());
        let receiver = Self { address, status: status.clone(), asked: asked.clone(), taken: taken.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, status.clone(), asked.clone(), taken.clone()));
            }
        });
        receiver
    }

    fn does(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn taken(&self) -> Vec<Received> {
        self.taken.lock().unwrap().clone()
    }

    /// The records that were taken, without test events.
    fn records(&self) -> Vec<Value> {
        self.taken().iter().filter_map(|received| received.json()["Records"].get(0).cloned()).collect()
    }

    /// (event, key) of the records.
    fn events(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.records().iter().map(|r| (text(&r["eventName"]), text(&r["s3"]["object"]["key"]))).collect()
    }
}

async fn answer(
    stream: TcpStream,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<Received>>>,
) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(": ") {
                headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        asked.fetch_add(1, Ordering::SeqCst);
        let status = status.load(Ordering::SeqCst);
        if status == HANG {
            std::future::pending::<()>().await;
        }
        if status < 300 {
            let body = String::from_utf8(body).unwrap();
            taken.lock().unwrap().push(Received { headers, body });
        }
        // A redirect to a metadata service, if it is one: not to be followed.
        let head =
            format!("HTTP/1.1 {status} X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n");
        if stream.get_mut().write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn admin(server: &Server, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = server.native().request(method, &format!("/v1/admin{path}"));
    let request = match body {
        Some(body) => request.json(&body),
        None => request.header("Content-Type", "application/json"),
    };
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or(Value::Null))
}

async fn declare(server: &Server, receiver: &Receiver, more: Value) -> Value {
    let mut body = json!({
        "kind": "webhook", "url": format!("http://{}/hook", receiver.address), "secret": SECRET,
        "allow_private": true,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, target) = admin(server, Method::PUT, "/targets/hooks", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{target}");
    target
}

fn queue(events: &[&str], suffix: &str) -> QueueConfiguration {
    let rule = FilterRule::builder().name(FilterRuleName::Suffix).value(suffix).build();
    let filter = S3KeyFilter::builder().filter_rules(rule).build();
    let mut queue = QueueConfiguration::builder().id("new").queue_arn(ARN);
    for event in events {
        queue = queue.events(Event::from(*event));
    }
    queue.filter(NotificationConfigurationFilter::builder().key(filter).build()).build().unwrap()
}

async fn set_rules(client: &aws_sdk_s3::Client, queue: QueueConfiguration) {
    let rules = NotificationConfiguration::builder().queue_configurations(queue).build();
    let put = client.put_bucket_notification_configuration().bucket(BUCKET).notification_configuration(rules);
    put.send().await.unwrap();
}

on_both_databases!(events_arrive_whatever_happens);

/// Overwrites and deletes of a few keys over both fronts while the server is killed, the receiver breaks, redirects, hangs and
/// is gone: every acknowledged change arrives, those of a key first in their order, each time with the id that it had.
async fn events_arrive_whatever_happens(database: Database) {
    let mut server = Server::start(database).await;
    server.made(SECRET);
    let receiver = Receiver::start().await;
    declare(&server, &receiver, json!({"timeout_seconds": 1})).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    set_rules(&server.s3(), queue(&["s3:ObjectCreated:*", "s3:ObjectRemoved:*"], ".jpg")).await;
    // The tag of each acknowledged write, `None` for a deletion, by key.
    let mut done: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for (round, status) in [204, 500, 307, HANG, 404, 204].into_iter().enumerate() {
        receiver.does(status);
        let (client, native) = (server.s3(), server.native());
        for n in 0..4_usize {
            for key in ["a.jpg", "b c.jpg"] {
                let body = Bytes::from(format!("{round} {n} {key}"));
                let known = done.entry(key.to_owned()).or_default();
                if (n + round) % 2 == 0 {
                    let tag = s3::put(&client, BUCKET, key, body).await;
                    known.push(Some(tag.trim_matches('"').to_owned()));
                } else {
                    let made = native.put(BUCKET, key, body).await;
                    known.push(Some(made["etag"].as_str().unwrap().trim_matches('"').to_owned()));
                }
            }
            s3::put(&client, BUCKET, "not told.png", Bytes::from_static(b"x")).await;
        }
        client.delete_object().bucket(BUCKET).key("a.jpg").send().await.unwrap();
        done.get_mut("a.jpg").unwrap().push(None);
        server.kill();
        server.resume().await;
    }
    receiver.does(204);
    let all: usize = done.values().map(Vec::len).sum();
    wait::until("every event has arrived", LONG, async || {
        let ids: HashSet<_> = receiver.taken().iter().map(|r| r.headers["webhook-id"].clone()).collect();
        // One more: the test event.
        (ids.len() > all).then_some(())
    })
    .await;
    let mut seen = HashMap::new();
    let mut first: BTreeMap<String, Vec<(String, Option<String>)>> = BTreeMap::new();
    for received in receiver.taken() {
        let body = received.json();
        let Some(record) = body["Records"].get(0) else { continue };
        let object = &record["s3"]["object"];
        let before = seen.insert(received.headers["webhook-id"].clone(), record.clone());
        if let Some(before) = before {
            assert_eq!(&before, record, "an event that comes again says something else");
            continue;
        }
        let key = object["key"].as_str().unwrap().replace('+', " ");
        let tag = object["eTag"].as_str().map(str::to_owned);
        first.entry(key).or_default().push((object["sequencer"].as_str().unwrap().to_owned(), tag));
    }
    for (key, arrived) in &first {
        assert!(arrived.is_sorted_by(|one, other| one.0 < other.0), "{key} is out of order: {arrived:?}");
    }
    let arrived: BTreeMap<_, Vec<_>> =
        first.into_iter().map(|(key, all)| (key, all.into_iter().map(|(_, tag)| tag).collect())).collect();
    assert_eq!(arrived, done);
    let (_, target) = admin(&server, Method::GET, "/targets/hooks", None).await;
    assert_eq!((&target["spaces"], &target["signed"]), (&json!(["photos/default"]), &json!(true)));
    wait::until("nothing waits", LONG, async || {
        let (_, target) = admin(&server, Method::GET, "/targets/hooks", None).await;
        (target["waiting"] == 0).then_some(())
    })
    .await;
    server.stop().await;
    server.assert_valid();
}

#[tokio::test]
async fn every_kind_of_event_is_told() {
    let server = Server::start(Database::Sqlite).await;
    server.made(SECRET);
    let receiver = Receiver::start().await;
    declare(&server, &receiver, json!({})).await;
    let client = server.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let events = [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:ObjectTagging:*",
        "s3:LifecycleTransition",
        "s3:ObjectRestore:*",
    ];
    set_rules(&client, queue(&events, "")).await;
    s3::put(&client, BUCKET, "k", Bytes::from_static(b"1")).await;
    client.copy_object().bucket(BUCKET).key("copy").copy_source("photos/k").send().await.unwrap();
    let upload = s3::begin(&client, BUCKET, "parts").await;
    let part = s3::part(&client, BUCKET, "parts", &upload, 1, Bytes::from_static(b"part")).await;
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("parts").upload_id(&upload);
    complete.multipart_upload(s3::completed([part])).send().await.unwrap();
    let native = server.native();
    let written = native.list(BUCKET, "k", 1).await.remove(0);
    let object = format!("/v1/objects/{}", written["id"].as_str().unwrap());
    let answer =
        native.request(Method::PATCH, &object).json(&json!({"storage_class": "cold"})).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
    let versioned = aws_sdk_s3::types::VersioningConfiguration::builder()
        .status(aws_sdk_s3::types::BucketVersioningStatus::Enabled)
        .build();
    client.put_bucket_versioning().bucket(BUCKET).versioning_configuration(versioned).send().await.unwrap();
    assert_eq!(native.delete(BUCKET, "copy").await, StatusCode::NO_CONTENT);
    let expected = [
        ("ObjectCreated:Put", "k"),
        ("ObjectCreated:Copy", "copy"),
        ("ObjectCreated:CompleteMultipartUpload", "parts"),
        ("LifecycleTransition", "k"),
        ("ObjectRemoved:DeleteMarkerCreated", "copy"),
    ];
    let expected: HashSet<_> = expected.map(|(event, key)| (event.to_owned(), key.to_owned())).into();
    wait::until("every event has arrived", LONG, async || {
        (receiver.events().len() >= expected.len()).then_some(())
    })
    .await;
    assert_eq!(receiver.events().into_iter().collect::<HashSet<_>>(), expected);
    let record = receiver.records().into_iter().find(|r| r["eventName"] == "ObjectCreated:Put").unwrap();
    assert_eq!(record["userIdentity"]["principalId"], "root");
    assert_eq!(record["requestParameters"]["sourceIPAddress"], "127.0.0.1");
    assert!(!record["responseElements"]["x-amz-request-id"].as_str().unwrap().is_empty());
    assert_eq!(receiver.taken()[0].json()["Event"], "s3:TestEvent");

    // Told again, with the ids that they had.
    let before: Vec<_> = receiver.taken();
    let from = json!({"from_time": "2020-01-01T00:00:00Z"});
    let (status, replayed) = admin(&server, Method::POST, "/targets/hooks/replay", Some(from)).await;
    assert_eq!((status, &replayed["replayed"]), (StatusCode::OK, &json!(before.len())));
    wait::until("they arrive again", LONG, async || {
        (receiver.taken().len() == 2 * before.len()).then_some(())
    })
    .await;
    let ids = |all: &[Received]| all.iter().map(|r| r.headers["webhook-id"].clone()).collect::<HashSet<_>>();
    assert_eq!(ids(&receiver.taken()), ids(&before));
}

/// A setting leads nowhere but where the operator lets it, whatever the receiver answers.
#[tokio::test]
async fn a_target_leads_only_where_it_may() {
    let server = Server::start(Database::Sqlite).await;
    let receiver = Receiver::start().await;
    let port = receiver.address.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[::ffff:169.254.169.254]/".to_owned(),
        format!("ftp://127.0.0.1:{port}/"),
    ] {
        let body = json!({"kind": "webhook", "url": url});
        let (status, problem) = admin(&server, Method::PUT, "/targets/hooks", Some(body)).await;
        assert_eq!((status, &problem["field"]), (StatusCode::BAD_REQUEST, &json!("url")), "{url}: {problem}");
    }
    // A name is judged when it is looked up.
    let body = json!({"kind": "webhook", "url": format!("http://localhost:{port}/")});
    assert_eq!(admin(&server, Method::PUT, "/targets/hooks", Some(body)).await.0, StatusCode::OK);
    let (_, tested) = admin(&server, Method::POST, "/targets/hooks/test", None).await;
    assert_eq!(tested["delivered"], false);
    assert!(tested["error"].as_str().unwrap().contains("loopback"), "{tested}");
    assert_eq!(receiver.asked.load(Ordering::SeqCst), 0);
    declare(&server, &receiver, json!({})).await;
    receiver.does(302);
    let (_, tested) = admin(&server, Method::POST, "/targets/hooks/test", None).await;
    assert!(tested["error"].as_str().unwrap().contains("302"), "{tested}");
    receiver.does(204);
    let (_, tested) = admin(&server, Method::POST, "/targets/hooks/test", None).await;
    assert_eq!(tested, json!({"delivered": true, "error": null}));
    // Only an operator declares one.
    let client = server.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    set_rules(&client, queue(&["s3:ObjectCreated:*"], ".jpg")).await;
    let (status, problem) = admin(&server, Method::DELETE, "/targets/hooks", None).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("target_in_use")));
    let none = NotificationConfiguration::builder().build();
    client
        .put_bucket_notification_configuration()
        .bucket(BUCKET)
        .notification_configuration(none)
        .send()
        .await
        .unwrap();
    let (status, _) = admin(&server, Method::DELETE, "/targets/hooks?discard=true", None).await;
    assert_eq!(status, StatusCode::OK);
    let unknown = queue(&["s3:ObjectCreated:*"], "");
    let rules = NotificationConfiguration::builder().queue_configurations(unknown).build();
    let put = client.put_bucket_notification_configuration().bucket(BUCKET).notification_configuration(rules);
    assert_eq!(s3::refusal("an unknown target", put.send().await), (400, "InvalidArgument".to_owned()));
}

/// `mc event add`, boto3, and the check of the signature as docs/events.md has it.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_with_the_clients_that_it_names() {
    let server = Server::start(Database::Sqlite).await;
    server.made(SECRET);
    let receiver = Receiver::start().await;
    declare(&server, &receiver, json!({"format": "cloudevents"})).await;
    let client = server.s3();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    if tools::are_there("docs/events.md", &["mc"]) {
        let home = tempfile::tempdir().unwrap();
        let lines = format!(
            "mc alias set local {} {root} {root}\n\
             mc event add local/{BUCKET} {ARN} --event put,delete --prefix in/ --suffix .jpg\n\
             mc event list local/{BUCKET} | grep -F s3:ObjectCreated\n\
             if mc event add local/{BUCKET} {ARN} --event get; then exit 1; fi\n\
             mc event remove local/{BUCKET} --force\n\
             test -z \"$(mc event list local/{BUCKET})\"",
            server.s3_url(),
            root = s3::ROOT_KEY
        );
        let output = Command::new("bash")
            .args(["-euxc", &lines])
            .env("HOME", home.path())
            .env("MC_CONFIG_DIR", home.path())
            .env("MC_DISABLE_PAGER", "1")
            .env("PATH", tools::path())
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let page = std::fs::read_to_string(binary::workspace().join("docs/events.md")).unwrap();
    let blocks: Vec<_> =
        page.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [_, check] = blocks[..] else { panic!("the page has {} blocks of Python", blocks.len()) };
    let script = format!(
        "{check}\n\
         import boto3, json, os, sys\n\
         s3 = boto3.client('s3', endpoint_url=os.environ['S3_URL'], region_name='us-east-1',\n\
         \x20   aws_access_key_id='{root}', aws_secret_access_key='{root}')\n\
         rules = {{'QueueConfigurations': [{{'QueueArn': '{ARN}', 'Events': ['s3:ObjectCreated:*'],\n\
         \x20   'Filter': {{'Key': {{'FilterRules': [{{'Name': 'prefix', 'Value': 'in/'}}]}}}}}}]}}\n\
         s3.put_bucket_notification_configuration(Bucket='{BUCKET}', NotificationConfiguration=rules)\n\
         got = s3.get_bucket_notification_configuration(Bucket='{BUCKET}')\n\
         [rule] = got['QueueConfigurations']\n\
         assert rule['QueueArn'] == '{ARN}' and rule['Id'] and rule['Events'] == ['s3:ObjectCreated:*'], got\n\
         assert rule['Filter']['Key']['FilterRules'][0]['Value'] == 'in/', got\n\
         s3.put_object(Bucket='{BUCKET}', Key='in/x', Body=b'1')\n",
        root = s3::ROOT_KEY
    );
    let run = |script: &str| {
        let output = Command::new(python::interpreter())
            .args(["-c", script])
            .env("S3_URL", server.s3_url())
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    run(&script);
    let created = wait::until("the event of boto3's object", LONG, async || {
        receiver.taken().into_iter().find(|received| received.json()["subject"] == "in/x")
    })
    .await;
    assert_eq!(created.json()["type"], "com.amazonaws.s3.ObjectCreated:Put");
    let headers = json!(created.headers).to_string();
    for (secret, genuine) in [(SECRET, "True"), ("another secret, as long", "False")] {
        let body = json!(created.body).to_string();
        run(&format!(
            "{check}\nimport json\nheaders = json.loads({headers:?})\nbody = {body}.encode()\n\
             assert is_genuine({secret:?}.encode(), headers, body) is {genuine}"
        ));
    }
}
