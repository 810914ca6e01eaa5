use crate::server::{Answer, Client, Server};

async fn filled(server: &Server, bucket: &str, keys: &[&str]) -> Client {
    let s3 = server.root();
    s3.put(&format!("/{bucket}"), b"").await.ok();
    for key in keys {
        s3.put(&format!("/{bucket}/{key}"), b"x").await.ok();
    }
    s3
}

fn names(answer: &Answer) -> Vec<String> {
    let prefixes: String = answer.all("CommonPrefixes").concat();
    let prefixes = prefixes.split("<Prefix>").skip(1).map(|p| p.split('<').next().unwrap().to_owned());
    answer.all("Key").into_iter().chain(prefixes).collect()
}

#[tokio::test]
async fn pages_walk_every_key_and_prefix_once() {
    let server = Server::start().await;
    let keys = ["a", "b/1", "b/2", "b/3", "c", "d/1", "e"];
    let s3 = filled(&server, "walk", &keys).await;
    // V1: NextMarker is always there when truncated, and a prefix as marker skips all of its keys.
    let (mut marker, mut seen) = (String::new(), Vec::new());
    loop {
        let page = s3.get(&format!("/walk?delimiter=%2F&max-keys=1&marker={marker}")).await.ok();
        seen.extend(names(&page));
        if page.xml("IsTruncated").unwrap() == "false" {
            assert_eq!(page.xml("NextMarker"), None);
            break;
        }
        marker = page.xml("NextMarker").unwrap().replace('/', "%2F");
    }
    assert_eq!(seen, ["a", "b/", "c", "d/", "e"]);
    // V2, by token, without and with a delimiter.
    for (query, expected) in [("", keys.to_vec()), ("&delimiter=%2F", vec!["a", "b/", "c", "d/", "e"])] {
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let page = s3.get(&format!("/walk?list-type=2&max-keys=2{query}{token}")).await.ok();
            let names = names(&page);
            assert_eq!(page.xml("KeyCount"), Some(names.len().to_string()));
            seen.extend(names);
            let Some(next) = page.xml("NextContinuationToken") else { break };
            token = format!("&continuation-token={next}");
        }
        seen.sort();
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn odd_parameters_mean_what_they_mean_to_s3() {
    let server = Server::start().await;
    let s3 = filled(&server, "odd", &["a", "b%20c", "d%2Be"]).await;
    let none = s3.get("/odd?list-type=2&max-keys=0").await.ok();
    assert_eq!(
        (none.xml("KeyCount").unwrap(), none.xml("IsTruncated").unwrap()),
        ("0".into(), "false".into())
    );
    assert_eq!(names(&s3.get("/odd?delimiter=&prefix=").await.ok()), ["a", "b c", "d+e"]);
    let encoded = s3.get("/odd?list-type=2&encoding-type=url").await.ok();
    assert_eq!(names(&encoded), ["a", "b%20c", "d%2Be"]);
    assert_eq!(encoded.xml("EncodingType"), Some("url".into()));
    assert!(s3.get("/odd?list-type=2").await.ok().xml("Owner").is_none());
    assert!(s3.get("/odd?list-type=2&fetch-owner=true").await.ok().xml("Owner").is_some());
    assert_eq!(names(&s3.get("/odd?list-type=2&start-after=a").await.ok()), ["b c", "d+e"]);
    for bad in [
        "max-keys=-1",
        "max-keys=x",
        "encoding-type=base64",
        "list-type=3",
        "list-type=2&continuation-token=x",
    ] {
        assert_eq!(s3.get(&format!("/odd?{bad}")).await.error(), (400, "InvalidArgument".into()), "{bad}");
    }
    assert_eq!(s3.get("/none-such").await.error(), (404, "NoSuchBucket".into()));
    // A key that XML cannot hold does not fail the listing: it comes encoded, and the answer says so.
    s3.put("/odd/z%01", b"x").await.ok();
    let listed = s3.get("/odd?list-type=2&prefix=z").await.ok();
    assert_eq!((names(&listed), listed.xml("EncodingType")), (vec!["z%01".to_owned()], Some("url".into())));
}

#[tokio::test]
async fn versions_of_an_unversioned_bucket_are_null() {
    let server = Server::start().await;
    let s3 = filled(&server, "versions", &["a", "b"]).await;
    let page = s3.get("/versions?versions&max-keys=1").await.ok();
    assert_eq!((page.all("Key"), page.all("VersionId")), (vec!["a".to_owned()], vec!["null".to_owned()]));
    let (key, version) = (page.xml("NextKeyMarker").unwrap(), page.xml("NextVersionIdMarker").unwrap());
    let next = s3.get(&format!("/versions?versions&key-marker={key}&version-id-marker={version}")).await.ok();
    assert_eq!((next.all("Key"), next.xml("IsTruncated")), (vec!["b".to_owned()], Some("false".into())));
}

#[tokio::test]
async fn buckets_are_listed_in_pages() {
    let server = Server::start().await;
    let s3 = server.root();
    for bucket in ["logs-a", "logs-b", "other"] {
        s3.put(&format!("/{bucket}"), b"").await.ok();
    }
    assert_eq!(s3.get("/").await.ok().all("Name"), ["logs-a", "logs-b", "other"]);
    assert_eq!(s3.get("//").await.ok().all("Name"), ["logs-a", "logs-b", "other"]);
    let first = s3.get("/?prefix=logs-&max-buckets=1").await.ok();
    assert_eq!(first.all("Name"), ["logs-a"]);
    let token = first.xml("ContinuationToken").unwrap();
    let rest = s3.get(&format!("/?prefix=logs-&max-buckets=1&continuation-token={token}")).await.ok();
    assert_eq!((rest.all("Name"), rest.xml("ContinuationToken")), (vec!["logs-b".to_owned()], None));
    assert_eq!(s3.get("/?max-buckets=0").await.error(), (400, "InvalidArgument".into()));
}
