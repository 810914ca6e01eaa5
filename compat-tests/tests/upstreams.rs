//! The stores of others as upstreams: what each has is read, fetched, compared and mirrored in the same way. A store that is not on the
//! machine is skipped, and named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use juststorage_compat_tests::both::{BUCKET, Both, all, assert_equal};
use juststorage_compat_tests::content::Content;
use juststorage_compat_tests::other_store::{Kind, OtherStore, Setup};
use juststorage_compat_tests::service::{Offers, Place, set_tags};
use juststorage_compat_tests::{Database, Options, Server, s3};

const OLD: Setup =
    Setup { access_key: "oldaccess", secret_key: "the-secret-of-the-old-store", bucket: "old" };

const MIB: usize = 1 << 20;

fn content(seed: u64, size: usize) -> Bytes {
    Content::new(seed, size).bytes()
}

/// Objects of every kind.
async fn fill(place: &Place, seed: u64, offers: Offers) {
    let Place { client, bucket, .. } = place;
    for (number, (key, size)) in (seed..).zip([
        ("empty", 0),
        ("dir/one", 1),
        ("dir/sub/two", 100_000),
        ("gr\u{fc}\u{df}e +%", 2 * MIB),
    ]) {
        s3::put(client, bucket, key, content(number, size)).await;
    }
    let put =
        client.put_object().bucket(bucket).key("carries").content_type("text/x").cache_control("max-age=60");
    let put = put.content_language("de").content_disposition("attachment").metadata("owner", "somebody");
    put.body(ByteStream::from(content(seed + 10, 5000))).send().await.unwrap();
    // In parts as SDKs make them, and as nobody does.
    let parts = [("usual parts", vec![8 * MIB, 8 * MIB, MIB]), ("odd parts", vec![6 * MIB, 9 * MIB, 5])];
    for (key, sizes) in parts.into_iter().filter(|_| offers.parts) {
        let parts: Vec<Bytes> = (seed + 20..).zip(sizes).map(|(seed, size)| content(seed, size)).collect();
        s3::put_in_parts(client, bucket, key, &parts).await;
    }
    if offers.tags {
        set_tags(place, "dir/one", &[("a b".to_owned(), "c/=".to_owned())].into()).await.unwrap();
    }
}

async fn everything_moves(kind: Kind) {
    let what = format!("{} as an upstream", kind.name());
    let Some(old) = OtherStore::start(kind, &what, OLD).await else { return };
    let there = Place { store: old.name, client: old.client.clone(), bucket: OLD.bucket.to_owned() };
    let offers = Offers::of(&there).await;
    fill(&there, 1, offers).await;
    let before = all(&there, offers.tags).await;
    let new = Server::start_with(Database::Sqlite, Options::terse()).await;
    let mut both = Both { old, new, tags: offers.tags };
    let here = both.here();
    here.client.create_bucket().bucket(BUCKET).send().await.unwrap();

    both.bind("observe");
    both.bind("read-through");
    // Listed and read while everything is there, and again when it is here.
    assert_equal(&all(&here, offers.tags).await, &before);
    both.backfill();
    assert_equal(&all(&here, offers.tags).await, &before);
    let done = both.verify();
    eprintln!("{}: {offers:?}, proved {}", kind.name(), done["proved"]);

    both.mode("mirror");
    fill(&here, 100, Offers { parts: true, ..offers }).await;
    let copy =
        here.client.copy_object().bucket(BUCKET).key("copy").copy_source(format!("{BUCKET}/odd%20parts"));
    copy.send().await.unwrap();
    for key in ["dir/sub/two", "empty"] {
        here.client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
    }
    both.are_equal().await;
    both.verify();
    assert_eq!(both.run(&["status"])["mirror"]["changed_there"], 0);
    both.mode("read-through");
    both.verify();
    both.run(&["detach"]);
    let last = all(&here, offers.tags).await;
    both.old.kill();
    assert_equal(&all(&here, offers.tags).await, &last);
    both.new.stop().await;
    both.new.assert_valid();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_from_our_own_gateway() {
    everything_moves(Kind::Ours).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_from_seaweedfs() {
    everything_moves(Kind::Seaweedfs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_from_minio() {
    everything_moves(Kind::Minio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_from_versitygw() {
    everything_moves(Kind::Versitygw).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_from_garage() {
    everything_moves(Kind::Garage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_moves_from_moto() {
    everything_moves(Kind::Moto).await;
}
