//! Listings, and the keys that break them.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_s3::types::EncodingType;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::{Database, on_both_databases, s3};

use super::{BUCKET, Fixture};

on_both_databases!(
    five_thousand_keys_in_pages,
    awkward_keys_stay_verbatim,
    the_first_version_of_listing_pages_too
);

/// 5,000 keys in 40 folders, and some beside them.
fn many_keys() -> BTreeSet<String> {
    let foldered = (0..4900).map(|n| format!("folder-{:02}/object {n:05}", n % 40));
    let beside = (0..100).map(|n| format!("beside {n:03}"));
    foldered.chain(beside).collect()
}

async fn five_thousand_keys_in_pages(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    let expected = many_keys();
    let client = Arc::new(client);
    stream::iter(expected.iter().cloned())
        .for_each_concurrent(32, |key| {
            let client = client.clone();
            async move {
                s3::put(&client, BUCKET, &key, Bytes::from(key.clone())).await;
            }
        })
        .await;

    let listed = s3::keys(&client, BUCKET, "").await;
    assert!(listed.iter().eq(expected.iter()), "every key once, in the order of their bytes");
    assert_eq!(
        s3::keys(&client, BUCKET, "folder-07/").await.len(),
        expected.iter().filter(|k| k.starts_with("folder-07/")).count()
    );

    // Folders and lone keys together, in pages of seven: no folder twice, nothing lost at a seam.
    let pages = client.list_objects_v2().bucket(BUCKET).delimiter("/").max_keys(7).into_paginator().send();
    let pages: Vec<_> = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
    let mut lone = Vec::new();
    let mut folders = Vec::new();
    for page in &pages {
        assert!(page.contents().len() + page.common_prefixes().len() <= 7);
        assert_eq!(
            page.key_count(),
            i32::try_from(page.contents().len() + page.common_prefixes().len()).ok()
        );
        lone.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        folders.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
    }
    assert_eq!(pages.len(), 20);
    assert_eq!(lone, (0..100).map(|n| format!("beside {n:03}")).collect::<Vec<_>>());
    assert_eq!(folders, (0..40).map(|n| format!("folder-{n:02}/")).collect::<Vec<_>>());

    let after =
        client.list_objects_v2().bucket(BUCKET).start_after("folder-39/").max_keys(3).send().await.unwrap();
    let after: Vec<_> = after.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(after, expected.range("folder-39/".to_owned()..).take(3).collect::<Vec<_>>());
    let none = client.list_objects_v2().bucket(BUCKET).max_keys(0).send().await.unwrap();
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
    let bad = client.list_objects_v2().bucket(BUCKET).continuation_token("no token of ours").send().await;
    assert_eq!(s3::refusal("bad token", bad), (400, "InvalidArgument".to_owned()));
}

async fn the_first_version_of_listing_pages_too(database: Database) {
    let Fixture { server: _server, client } = Fixture::start(database).await;
    for key in ["a/1", "a/2", "b", "c/1", "d"] {
        s3::put(&client, BUCKET, key, Bytes::from_static(b"x")).await;
    }
    let (mut seen, mut marker) = (Vec::new(), None);
    loop {
        let request = client.list_objects().bucket(BUCKET).delimiter("/").max_keys(1).set_marker(marker);
        let page = request.send().await.unwrap();
        seen.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        seen.extend(page.common_prefixes().iter().map(|prefix| prefix.prefix().unwrap().to_owned()));
        if page.is_truncated() != Some(true) {
            break;
        }
        marker = Some(page.next_marker().expect("always sent when truncated").to_owned());
    }
    assert_eq!(seen, ["a/", "b", "c/", "d"]);
    // minio-js, restic and s3fs send an empty delimiter: it is none.
    let empty = client.list_objects().bucket(BUCKET).delimiter("").send().await.unwrap();
    assert_eq!(empty.contents().len(), 5);
}

async fn awkward_keys_stay_verbatim(database: Database) {
    let Fixture { mut server, client } = Fixture::start(database).await;
    let long = format!("long/{}", "x".repeat(1019));
    let wide = "é".repeat(512);
    let keys = [
        "plus+plus",
        "%2F",
        "a%2Fb",
        "a/b",
        "double//slash",
        "//",
        "/leading",
        "trailing/",
        "..",
        "../up",
        "a/../b",
        "a/./b",
        ".",
        " leading space",
        "trailing space ",
        "at@equals=amp&semi;",
        "question?mark",
        "hash#mark",
        "quote\"apostrophe'",
        "back\\slash",
        "<xml>&amp;",
        "tab\tnew\nline",
        "percent%",
        "%zz",
        "ünïcödé",
        "日本語/キー",
        "🦀",
        "e\u{301}",
        "\u{e9}",
        "~tilde",
        "*star",
        "(paren)",
        "[bracket]",
        "{brace}",
        "|pipe",
        "^",
        "`",
        "$dollar,comma:colon",
        long.as_str(),
        wide.as_str(),
    ];
    for key in keys {
        s3::put(&client, BUCKET, key, Bytes::from(key.to_owned())).await;
    }
    for key in keys {
        assert_same(key, &s3::get(&client, BUCKET, key).await, key.as_bytes());
        let head = client.head_object().bucket(BUCKET).key(key).send().await;
        assert_eq!(
            head.unwrap_or_else(|e| panic!("head {key:?}: {e:?}")).content_length(),
            i64::try_from(key.len()).ok()
        );
    }
    let mut expected: Vec<_> = keys.to_vec();
    expected.sort_unstable();
    assert_eq!(s3::keys(&client, BUCKET, "").await, expected);
    let encoded =
        client.list_objects_v2().bucket(BUCKET).encoding_type(EncodingType::Url).prefix("plus").send().await;
    assert_eq!(encoded.unwrap().contents()[0].key(), Some("plus%2Bplus"));
    assert_eq!(s3::keys(&client, BUCKET, "a/../").await, ["a/../b"]);

    let too_long = "x".repeat(1025);
    let put = client.put_object().bucket(BUCKET).key(too_long).body(Bytes::new().into()).send().await;
    assert_eq!(s3::refusal("1025 bytes", put), (400, "KeyTooLongError".to_owned()));

    // No key names a path: nothing lies outside of the tiers, and nothing in them has a key's name.
    for (path, _) in server.data_files() {
        let name = path.to_string_lossy().into_owned();
        assert!(!name.contains("plus") && !name.contains("long"), "{name}");
    }
    for key in keys {
        let delete = client.delete_object().bucket(BUCKET).key(key).send().await;
        delete.unwrap_or_else(|error| panic!("delete {key:?}: {error:?}"));
    }
    assert!(s3::keys(&client, BUCKET, "").await.is_empty());
    server.assert_nothing_left().await;
}
