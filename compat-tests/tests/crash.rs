//! kill -9 at any moment: what was acknowledged is there, what was not is all there or not at all.
//!
//! An oracle outside of the server knows, for each key, what was acknowledged last and what was under way when
//! the process died. `JUSTSTORAGE_CRASH_CYCLES` (100) is the number of kills, half on each database;
//! `JUSTSTORAGE_CRASH_SERVERS` (1) is among how many servers on each they are divided, each with an oracle of its own;
//! `JUSTSTORAGE_CRASH_SEED` repeats the choices of a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::join_all;
use juststorage_compat_tests::content::assert_same;
use juststorage_compat_tests::native::Native;
use juststorage_compat_tests::{Content, Database, Options, Server, on_both_databases, s3};
use reqwest::StatusCode;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

on_both_databases!(every_acknowledged_write_survives_kills);

const BUCKET: &str = "bucket";

/// How often the whole store is validated, its garbage collected, and uploads that kills left are aborted, in cycles.
const VALIDATE_EVERY: usize = 10;

/// Keys per writer: few, so that overwriting and deleting are frequent.
const KEYS: u64 = 12;

/// A choice that a seed repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        let bytes = Content::new(self.0, 8).bytes();
        u64::from_le_bytes(bytes[..].try_into().unwrap()) % below
    }
}

/// What a key holds: nothing, or these bytes.
type State = Option<Content>;

/// What one writer knows of its keys.
#[derive(Default)]
struct Known {
    acknowledged: BTreeMap<String, State>,
    /// Asked for when the server died; it may have happened.
    pending: Option<(String, State)>,
    /// How many writes and deletions were acknowledged.
    count: usize,
    /// How many of those were deletions.
    deletions: usize,
    /// How many of those that were under way at a kill turned out to have happened.
    happened: usize,
    /// How many times a key was read behind a kill.
    read: usize,
}

/// How a writer writes.
#[derive(Clone, Copy)]
enum Kind {
    /// Up to 64 KiB, over the native API, with deletions between.
    Small,
    /// Up to 64 KiB, over S3.
    SmallS3,
    /// 1 to 2 MiB in one request: too large for a pack.
    Large,
    /// An upload of two parts.
    Parts,
}

const WRITERS: [Kind; 6] = [Kind::Small, Kind::Small, Kind::SmallS3, Kind::SmallS3, Kind::Large, Kind::Parts];

struct Writer {
    number: usize,
    kind: Kind,
    dice: Dice,
    known: Known,
}

impl Writer {
    /// Writes and deletes until the server is gone.
    async fn run(&mut self, client: &aws_sdk_s3::Client, native: &Native, acknowledgements: &Semaphore) {
        loop {
            let key = format!("writer {} key {}", self.number, self.dice.roll(KEYS));
            let delete = self.dice.roll(5) == 0;
            let length = match self.kind {
                Kind::Small | Kind::SmallS3 => self.dice.roll(64 << 10),
                Kind::Large => (1 << 20) + self.dice.roll(1 << 20),
                Kind::Parts => (5 << 20) + self.dice.roll(1 << 20),
            };
            let content = Content::new(self.dice.roll(u64::MAX), usize::try_from(length).unwrap());
            let state = (!delete).then_some(content);
            self.known.pending = Some((key.clone(), state));
            let done = match (state, self.kind) {
                (None, Kind::Small) => {
                    let request = native.request(reqwest::Method::DELETE, &native.path(BUCKET, &key));
                    let status = request.send().await.ok().map(|answer| answer.status());
                    matches!(status, Some(StatusCode::NO_CONTENT | StatusCode::NOT_FOUND))
                }
                (None, _) => client.delete_object().bucket(BUCKET).key(&key).send().await.is_ok(),
                (Some(content), Kind::Small) => {
                    let answer = native.post(BUCKET, &key).body(content.bytes()).send().await;
                    answer.is_ok_and(|answer| answer.status() == StatusCode::CREATED)
                }
                (Some(content), Kind::SmallS3 | Kind::Large) => {
                    let put = client.put_object().bucket(BUCKET).key(&key).body(content.bytes().into());
                    put.send().await.is_ok()
                }
                (Some(content), Kind::Parts) => in_parts(client, &key, content.bytes()).await.is_some(),
            };
            if !done {
                return;
            }
            self.known.pending = None;
            self.known.count += 1;
            self.known.deletions += usize::from(delete);
            acknowledgements.add_permits(1);
            self.known.acknowledged.insert(key, state);
        }
    }

    /// Compares some of the keys, or all, with what the server has. What was under way is known afterwards.
    async fn verify(&mut self, native: &Native, all: bool) {
        if let Some((key, state)) = self.known.pending.take() {
            let before = self.known.acknowledged.get(&key).copied().flatten();
            let found = read(native, &key).await;
            self.known.read += 1;
            let matches = |state: State| match (&found, state) {
                (None, None) => true,
                (Some(bytes), Some(content)) => *bytes == content.bytes(),
                _ => false,
            };
            let settled = [before, state].into_iter().find(|state| matches(*state));
            let length = found.as_ref().map(Bytes::len);
            let settled = settled.unwrap_or_else(|| {
                panic!("{key:?} holds {length:?} bytes: neither {before:?}, acknowledged, nor {state:?}, under way")
            });
            self.known.happened += usize::from(settled == state && settled != before);
            self.known.acknowledged.insert(key, settled);
        }
        // Reading megabytes takes longer than all else of a cycle: of those fewer each time.
        let one_in = match self.kind {
            Kind::Small | Kind::SmallS3 => 4,
            Kind::Large | Kind::Parts => KEYS,
        };
        for (key, state) in &self.known.acknowledged {
            if !all && self.dice.roll(one_in) != 0 {
                continue;
            }
            let found = read(native, key).await;
            self.known.read += 1;
            match (found, state) {
                (None, None) => {}
                (Some(bytes), Some(content)) => assert_same(key, &bytes, &content.bytes()),
                (found, state) => {
                    panic!(
                        "{key:?} holds {:?} bytes, but {state:?} was acknowledged",
                        found.map(|b| b.len())
                    );
                }
            }
        }
    }
}

async fn in_parts(client: &aws_sdk_s3::Client, key: &str, whole: Bytes) -> Option<()> {
    let begun = client.create_multipart_upload().bucket(BUCKET).key(key).send().await.ok()?;
    let upload = begun.upload_id()?;
    let mut done = Vec::new();
    for (number, bytes) in [(1, whole.slice(..5 << 20)), (2, whole.slice(5 << 20..))] {
        let part = client.upload_part().bucket(BUCKET).key(key).upload_id(upload).part_number(number);
        let part = part.body(bytes.into()).send().await.ok()?;
        let completed = aws_sdk_s3::types::CompletedPart::builder().part_number(number);
        done.push(completed.set_e_tag(part.e_tag).set_checksum_crc32(part.checksum_crc32).build());
    }
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(upload);
    complete.multipart_upload(s3::completed(done)).send().await.ok().map(drop)
}

async fn read(native: &Native, key: &str) -> Option<Bytes> {
    let answer = native.get(BUCKET, key).await;
    match answer.status() {
        StatusCode::OK => Some(answer.bytes().await.unwrap_or_else(|error| panic!("{key:?}: {error}"))),
        StatusCode::NOT_FOUND => None,
        status => panic!("{key:?}: {status}: {}", answer.text().await.unwrap_or_default()),
    }
}

async fn every_acknowledged_write_survives_kills(database: Database) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cycles = usize::try_from(number("JUSTSTORAGE_CRASH_CYCLES").unwrap_or(100)).unwrap().div_ceil(2);
    let servers = usize::try_from(number("JUSTSTORAGE_CRASH_SERVERS").unwrap_or(1).max(1)).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = number("JUSTSTORAGE_CRASH_SEED").unwrap_or(now);
    eprintln!("{database:?}: {cycles} kills of {servers} servers, JUSTSTORAGE_CRASH_SEED={seed}");
    let begun = Instant::now();
    // Each has a thread of its own: a start and a validation are waited for without giving it away.
    let lives: Vec<_> = (0..servers)
        .map(|server| {
            let cycles = cycles / servers + usize::from(server < cycles % servers);
            let seed = (seed + u64::try_from(server).unwrap()) << 20;
            tokio::task::spawn_blocking(move || Handle::current().block_on(life(database, cycles, seed)))
        })
        .collect();
    let mut sum = Figures::default();
    for life in join_all(lives).await {
        sum.add(&life.expect("a server's life"));
    }
    let Figures { acknowledged, deletions, happened, validations, read, .. } = sum;
    let seconds = begun.elapsed().as_secs();
    println!(
        "figures: kills: {database:?}: {cycles} kills of {servers} servers, {acknowledged} writes acknowledged, \
         {deletions} of them deletions, {happened} more that had happened unacknowledged; {read} keys read behind \
         kills, {validations} validations and collections; 0 lost, 0 left; {seconds} s, {} kills/min",
        u64::try_from(cycles).unwrap() * 60 / seconds.max(1)
    );
    println!(
        "figures: kills: {database:?}: seconds of all servers: {:.0} load, {:.0} validation, {:.0} starts, {:.0} reading",
        sum.load.as_secs_f64(),
        sum.validate.as_secs_f64(),
        sum.start.as_secs_f64(),
        sum.verify.as_secs_f64()
    );
}

/// What came out, and where the time went.
#[derive(Default)]
struct Figures {
    acknowledged: usize,
    deletions: usize,
    happened: usize,
    validations: usize,
    read: usize,
    load: Duration,
    validate: Duration,
    start: Duration,
    verify: Duration,
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.deletions += other.deletions;
        self.happened += other.happened;
        self.validations += other.validations;
        self.read += other.read;
        self.load += other.load;
        self.validate += other.validate;
        self.start += other.start;
        self.verify += other.verify;
    }
}

/// One server with its oracle, from an empty store to an empty store.
async fn life(database: Database, cycles: usize, seed: u64) -> Figures {
    let mut dice = Dice(seed);
    let mut writers: Vec<_> = (0..)
        .zip(WRITERS)
        .map(|(number, kind)| {
            let dice = Dice(dice.roll(u64::MAX));
            Writer { number, kind, dice, known: Known::default() }
        })
        .collect();
    let mut figures = Figures::default();
    let mut server = Server::start_with(database, Options::terse()).await;
    server.s3().create_bucket().bucket(BUCKET).send().await.unwrap();
    for cycle in 1..=cycles {
        let (client, native) = (server.s3(), server.native());
        // Early kills meet the first commits after a start, late ones meet many at once: late by what was
        // acknowledged, so that a slow machine tests as much as a fast one.
        let acknowledgements = Semaphore::new(0);
        // Most come soon, since what is new in a cycle is its start and its kill.
        let late = 1 + dice.roll(60);
        let (count, more) = if dice.roll(3) == 0 { (0, 15_000) } else { (dice.roll(late), 5_000) };
        let moment = Duration::from_micros(dice.roll(more));
        let load = join_all(writers.iter_mut().map(|writer| writer.run(&client, &native, &acknowledgements)));
        let kill = async {
            let enough = acknowledgements.acquire_many(u32::try_from(count).unwrap());
            let enough = tokio::time::timeout(Duration::from_secs(60), enough).await;
            assert!(enough.is_ok(), "not {count} writes were acknowledged within a minute");
            tokio::time::sleep(moment).await;
            server.kill();
        };
        let mut step = Instant::now();
        let mut ended = |of: &mut Duration| *of += std::mem::replace(&mut step, Instant::now()).elapsed();
        tokio::join!(load, kill);
        ended(&mut figures.load);
        if cycle % VALIDATE_EVERY == 0 {
            server.assert_valid();
            // A server that lives for a moment collects hardly anything, and a validation reads garbage too.
            server.run_ok(&["gc"]);
            figures.validations += 1;
        }
        ended(&mut figures.validate);
        server.resume().await;
        ended(&mut figures.start);
        let native = server.native();
        let all = cycle == cycles;
        join_all(writers.iter_mut().map(|writer| writer.verify(&native, all))).await;
        if cycle % VALIDATE_EVERY == 0 {
            // Every other kill leaves an abandoned upload with five MiB.
            s3::abort_all(&server.s3(), BUCKET).await;
        }
        ended(&mut figures.verify);
    }
    let sum = |count: fn(&Known) -> usize| writers.iter().map(|writer| count(&writer.known)).sum::<usize>();
    figures.acknowledged = sum(|known| known.count);
    figures.deletions = sum(|known| known.deletions);
    figures.happened = sum(|known| known.happened);
    figures.read = sum(|known| known.read);
    assert!(
        figures.acknowledged > 5 * cycles.saturating_sub(10),
        "hardly anything was acknowledged: the kills came too early"
    );

    let mut expected: Vec<_> = writers
        .iter()
        .flat_map(|writer| writer.known.acknowledged.iter().filter(|(_, state)| state.is_some()))
        .map(|(key, _)| key.clone())
        .collect();
    expected.sort();
    assert_eq!(s3::keys(&server.s3(), BUCKET, "").await, expected, "the listing");
    server.stop().await;
    server.assert_valid();
    server.resume().await;
    let native = server.native();
    join_all(writers.iter_mut().map(|writer| writer.verify(&native, true))).await;
    s3::empty(&server.s3(), BUCKET).await;
    server.assert_nothing_left().await;
    figures
}
