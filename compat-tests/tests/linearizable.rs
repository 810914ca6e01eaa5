//! Conditional writes are decided once: what clients of two replicas on one PostgreSQL saw of a key, kills of a
//! replica included, can always be explained by one order of their requests (claim E).
//!
//! `JUSTSTORAGE_LINEAR_ROUNDS` (12) is the number of rounds; in every third a replica is killed in the middle.
//! `JUSTSTORAGE_LINEAR_SEED` repeats the choices of a run, not its timing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{MetadataDirective, Tag, Tagging};
use futures::future::join_all;
use juststorage_compat_tests::line::{Line, Manner};
use juststorage_compat_tests::linear::{Answer, Event, Request, is_linearizable};
use juststorage_compat_tests::{Content, Database, Options, Server, s3};
use reqwest::Method;

const BUCKET: &str = "bucket";
const KEYS: u64 = 3;
const CLIENTS: u64 = 6;
/// Requests of each client in a round: of all clients together, on one key at worst, no more than the judge takes.
const REQUESTS: u64 = 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn roll(seed: u64, below: u64) -> u64 {
    u64::from_le_bytes(Content::new(seed, 8).bytes()[..].try_into().unwrap()) % below
}

/// A value's bytes say which value it is; some lie in packs, some in files of their own.
fn body(value: u32) -> Vec<u8> {
    let length = if value.is_multiple_of(16) { 1_100_000 } else { 16 };
    let mut bytes = vec![7; length];
    bytes[..4].copy_from_slice(&value.to_le_bytes());
    bytes
}

struct Seen {
    value: Option<u32>,
    etag: Option<String>,
}

/// Sends one request; what came of it, and what the client now believes of the key.
async fn send(client: &Client, key: &str, request: Request, etag: Option<&str>) -> (Answer, Option<Seen>) {
    let put = |value| client.put_object().bucket(BUCKET).key(key).body(body(value).into());
    let (written, value) = match request {
        Request::Read => {
            return match client.get_object().bucket(BUCKET).key(key).send().await {
                Ok(answer) => {
                    let etag = answer.e_tag().map(str::to_owned);
                    let Ok(bytes) = answer.body.collect().await else { return (Answer::Unknown, None) };
                    let value = u32::from_le_bytes(bytes.into_bytes()[..4].try_into().unwrap());
                    (Answer::Is(Some(value)), Some(Seen { value: Some(value), etag }))
                }
                Err(error) => match error.raw_response().map(|answer| answer.status().as_u16()) {
                    Some(404) => (Answer::Is(None), Some(Seen { value: None, etag: None })),
                    _ => (Answer::Unknown, None),
                },
            };
        }
        Request::Delete => {
            let deleted = client.delete_object().bucket(BUCKET).key(key).send().await;
            let answer = if deleted.is_ok() { Answer::Done } else { Answer::Unknown };
            return (answer, None);
        }
        Request::Remove(_) => {
            let delete = client.delete_object().bucket(BUCKET).key(key).if_match(etag.unwrap_or_default());
            return match delete.send().await {
                Ok(_) => (Answer::Done, None),
                Err(error) => (refusal(error.raw_response().map(|answer| answer.status().as_u16())), None),
            };
        }
        Request::Write(value) => (put(value).send().await, value),
        Request::Create(value) => (put(value).if_none_match("*").send().await, value),
        Request::Swap(_, value) => (put(value).if_match(etag.unwrap_or_default()).send().await, value),
    };
    match written {
        Ok(answer) => {
            (Answer::Done, Some(Seen { value: Some(value), etag: answer.e_tag().map(str::to_owned) }))
        }
        Err(error) => (refusal(error.raw_response().map(|answer| answer.status().as_u16())), None),
    }
}

/// What a failed conditional request says of the key.
fn refusal(status: Option<u16>) -> Answer {
    match status {
        Some(412) => Answer::Refused,
        Some(404) => Answer::Missing,
        _ => Answer::Unknown,
    }
}

/// A client's part of a round.
async fn play(client: Client, start: Instant, seed: u64, round: u64, number: u64) -> Vec<(u64, Event)> {
    let moment = || u64::try_from(start.elapsed().as_nanos()).unwrap();
    let mut seen: Vec<Option<Seen>> = (0..KEYS).map(|_| None).collect();
    let mut events = Vec::new();
    for turn in 0..REQUESTS {
        let dice = |what: u64| seed ^ (round << 40 | number << 32 | turn << 8 | what);
        let key = roll(dice(1), KEYS);
        let at = usize::try_from(key).unwrap();
        let new = u32::try_from(round << 16 | number << 8 | turn).unwrap();
        let known = seen[at].as_ref().and_then(|seen| Some((seen.value?, seen.etag.clone()?)));
        let (request, etag) = match (roll(dice(2), 10), known) {
            (0..2, _) => (Request::Read, None),
            (2..4, _) => (Request::Create(new), None),
            (4, _) => (Request::Delete, None),
            (5, _) => (Request::Write(new), None),
            (6, Some((old, etag))) => (Request::Remove(old), Some(etag)),
            (_, Some((old, etag))) => (Request::Swap(old, new), Some(etag)),
            (_, None) => (Request::Read, None),
        };
        let begun = moment();
        let (answer, now) = send(&client, &format!("{round}/{key}"), request, etag.as_deref()).await;
        events.push((key, Event { request, answer, begun, ended: moment() }));
        // A refusal says that something else is there, not what.
        seen[at] = now;
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditional_writes_are_decided_once() {
    histories(None, 12).await;
}

/// The same with both tiers in a bucket, over a line that loses requests and answers, of each 5 in a thousand pieces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditional_writes_are_decided_once_in_a_bucket() {
    const KEY: &str = "peersaccess";
    let settings = vec![
        ("JUSTSTORAGE_S3_ROOT_ACCESS_KEY", KEY.to_owned()),
        ("JUSTSTORAGE_S3_ROOT_SECRET_KEY", KEY.to_owned()),
    ];
    let peer = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    s3::client(peer.s3_url(), KEY, KEY).create_bucket().bucket(BUCKET).send().await.unwrap();
    let manner = Manner { delay: Duration::from_millis(3), lost_requests: 5, lost_answers: 5 };
    let line = Line::to(peer.s3_url().trim_start_matches("http://"), manner).await;
    let tiers = vec![
        ("JUSTSTORAGE_HOT_URL", format!("s3://{BUCKET}/hot")),
        ("JUSTSTORAGE_COLD_URL", format!("s3://{BUCKET}/cold")),
        ("AWS_ENDPOINT", format!("http://{}", line.address())),
        ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
    ];
    histories(Some(tiers), 6).await;
    println!("figures: linearizable: the line lost {} requests and answers", line.lost());
    assert!(line.lost() > 0, "the line was too good");
}

/// Rounds of clients at two replicas whose tiers are elsewhere, or in the directories of one of them.
async fn histories(tiers: Option<Vec<(&'static str, String)>>, rounds: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (rounds, seed) = (
        number("JUSTSTORAGE_LINEAR_ROUNDS").unwrap_or(rounds),
        number("JUSTSTORAGE_LINEAR_SEED").unwrap_or(now),
    );
    println!("{rounds} rounds, JUSTSTORAGE_LINEAR_SEED={seed}");
    let settings = tiers.clone().unwrap_or_default();
    let mut one = Server::start_with(Database::Postgres, Options { settings, ..Options::terse() }).await;
    let mut settings = tiers.unwrap_or_else(|| {
        let url = |tier| format!("file://{}", one.data().join(tier).display());
        vec![("JUSTSTORAGE_HOT_URL", url("hot")), ("JUSTSTORAGE_COLD_URL", url("cold"))]
    });
    settings.push(("DATABASE_URL", one.database_url().unwrap().to_owned()));
    let mut other = Server::start_with(Database::Postgres, Options { settings, ..Options::terse() }).await;
    one.s3().create_bucket().bucket(BUCKET).send().await.unwrap();

    let (start, mut judged, mut unknown, mut refused) = (Instant::now(), 0, 0, 0);
    for round in 0..rounds {
        let clients = [one.s3(), other.s3()];
        let load = join_all((0..CLIENTS).map(|client| {
            let to = clients[usize::try_from(client % 2).unwrap()].clone();
            tokio::spawn(play(to, start, seed, round, client))
        }));
        let killed = round % 3 == 2;
        let mishap = async {
            if killed {
                // In the middle: by what was done so far, so that a slow machine sees as much as a fast one.
                let key = format!("{round}/");
                while s3::keys(&clients[0], BUCKET, &key).await.is_empty() {
                    tokio::task::yield_now().await;
                }
                other.kill();
            }
        };
        let (histories, ()) = tokio::join!(load, mishap);
        let events: Vec<_> = histories.into_iter().flat_map(Result::unwrap).collect();
        for key in 0..KEYS {
            let history: Vec<_> =
                events.iter().filter(|(of, _)| *of == key).map(|(_, event)| *event).collect();
            judged += history.len();
            unknown += history.iter().filter(|event| event.answer == Answer::Unknown).count();
            let refusals = [Answer::Refused, Answer::Missing];
            refused += history.iter().filter(|event| refusals.contains(&event.answer)).count();
            if !is_linearizable(&history) {
                let lines: Vec<_> = history.iter().map(|event| format!("{event:?}")).collect();
                panic!("no order explains what clients saw of {round}/{key}:\n{}", lines.join("\n"));
            }
        }
        if killed {
            other.resume().await;
        }
    }
    println!(
        "figures: linearizable: {judged} requests of {CLIENTS} clients to 2 replicas in {rounds} rounds explained, \
         {refused} refused, {unknown} without an answer, {} kills; {} s",
        rounds / 3,
        start.elapsed().as_secs()
    );
    assert!(refused > 0, "hardly anyone met anyone");
    s3::empty(&one.s3(), BUCKET).await;
    other.stop().await;
    one.stop().await;
    one.assert_valid();
}

/// A key that is overwritten through one replica is there all the time for the other: every condition on it that does not
/// hold is 412, and no change of it finds nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_overwritten_is_never_missing() {
    const KEY: &str = "busy";
    let rounds = number("JUSTSTORAGE_MISSING_ROUNDS").unwrap_or(100);
    let mut one = Server::start_with(Database::Postgres, Options::terse()).await;
    let settings = vec![
        ("DATABASE_URL", one.database_url().unwrap().to_owned()),
        ("JUSTSTORAGE_HOT_URL", format!("file://{}", one.data().join("hot").display())),
        ("JUSTSTORAGE_COLD_URL", format!("file://{}", one.data().join("cold").display())),
    ];
    let mut other = Server::start_with(Database::Postgres, Options { settings, ..Options::terse() }).await;
    let (writer, client) = (one.s3(), other.s3());
    writer.create_bucket().bucket(BUCKET).send().await.unwrap();
    s3::put(&writer, BUCKET, KEY, vec![0; 8].into()).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let overwriting = join_all((0..2_u64).map(|n| {
        let (writer, stopped) = (writer.clone(), stopped.clone());
        tokio::spawn(async move {
            let mut written = 0_u64;
            while !*stopped.borrow() {
                s3::put(&writer, BUCKET, KEY, (written << 1 | n).to_le_bytes().to_vec().into()).await;
                written += 1;
            }
            written
        })
    }));
    let asking = async {
        let failed = (412, "PreconditionFailed".to_owned());
        let never = "\"00000000000000000000000000000000\"";
        let native = other.native();
        let path = native.path(BUCKET, KEY);
        for round in 0..rounds {
            let put = client.put_object().bucket(BUCKET).key(KEY).if_match(never).body(vec![1].into());
            assert_eq!(s3::refusal("put", put.send().await), failed, "round {round}");
            let delete = client.delete_object().bucket(BUCKET).key(KEY).if_match(never);
            assert_eq!(s3::refusal("delete", delete.send().await), failed, "round {round}");
            let copy = client.copy_object().bucket(BUCKET).key(KEY).copy_source(format!("{BUCKET}/{KEY}"));
            let copy = copy.if_match(never).metadata_directive(MetadataDirective::Replace);
            assert_eq!(s3::refusal("copy", copy.send().await), failed, "round {round}");
            let upload = s3::begin(&client, BUCKET, KEY).await;
            let part = s3::part(&client, BUCKET, KEY, &upload, 1, vec![2].into()).await;
            let complete = client.complete_multipart_upload().bucket(BUCKET).key(KEY).upload_id(&upload);
            let complete = complete.multipart_upload(s3::completed([part])).if_match(never);
            assert_eq!(s3::refusal("complete", complete.send().await), failed, "round {round}");
            let tag = Tag::builder().key("a").value("b").build().unwrap();
            let tags = Tagging::builder().tag_set(tag).build().unwrap();
            client.put_object_tagging().bucket(BUCKET).key(KEY).tagging(tags).send().await.unwrap();
            for method in [Method::PUT, Method::DELETE] {
                let answer = native.request(method.clone(), &path).header("if-match", never).body("x").send();
                assert_eq!(answer.await.unwrap().status(), 412, "{method} in round {round}");
            }
        }
        stop.send(true).unwrap();
    };
    let (written, ()) = tokio::join!(overwriting, asking);
    let written: u64 = written.into_iter().map(Result::unwrap).sum();
    println!("figures: missing: {rounds} rounds of 7 conditions beside {written} overwrites, 0 answered 404");
    s3::empty(&one.s3(), BUCKET).await;
    other.stop().await;
    one.stop().await;
    one.assert_valid();
}
