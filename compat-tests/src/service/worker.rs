//! What one worker of a service does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Tag, Tagging};
use bytes::Bytes;

use super::{Common, Known, Place};
use crate::content::Content;

/// Keys of a worker.
const KEYS: u64 = 12;

/// Smallest part but the last, in bytes.
const PART: usize = 5 << 20;

/// What an object carries that has headers.
const TYPE: &str = "text/x-service";
const CACHE: &str = "max-age=60";

/// What became of a request.
enum Came {
    /// An answer that was as it had to be.
    Right,
    /// Another answer.
    Wrong(String),
    /// None, or one that says that the store cannot answer.
    Failed(String),
}

/// An answer, or how it was refused.
type Answered<T> = Result<T, Refused>;

/// A status, or none if nothing was answered, and what was said.
#[derive(Debug)]
pub struct Refused {
    status: Option<u16>,
    said: String,
}

impl<E: ProvideErrorMetadata + std::fmt::Debug> From<SdkError<E>> for Refused {
    fn from(error: SdkError<E>) -> Self {
        let status = error.raw_response().map(|answer| answer.status().as_u16());
        let said = match error.code() {
            Some(code) => format!("{status:?} {code} {}", error.message().unwrap_or_default()),
            None => format!("{error:?}").chars().take(300).collect(),
        };
        Self { status, said }
    }
}

impl Refused {
    /// It must have been this status.
    fn must_be(self, status: u16) -> Came {
        match self.status {
            Some(found) if found == status => Came::Right,
            Some(found) if found < 500 => Came::Wrong(format!("{}, not {status}", self.said)),
            _ => Came::Failed(self.said),
        }
    }

    /// It must not have been refused.
    fn not_at_all(self) -> Came {
        match self.status {
            Some(found) if found < 500 => Came::Wrong(self.said),
            _ => Came::Failed(self.said),
        }
    }
}

fn must(is: bool, said: impl FnOnce() -> String) -> Came {
    if is { Came::Right } else { Came::Wrong(said()) }
}

/// Sets the tags of an object.
pub async fn set_tags(place: &Place, key: &str, tags: &BTreeMap<String, String>) -> Answered<()> {
    let mut tagging = Tagging::builder();
    for (name, value) in tags {
        tagging = tagging.tag_set(Tag::builder().key(name).value(value).build().expect("a tag"));
    }
    let tagging = tagging.build().expect("tags");
    let request = place.client.put_object_tagging().bucket(&place.bucket).key(key).tagging(tagging);
    Ok(request.send().await.map(drop)?)
}

/// The tags of an object.
pub async fn tags(place: &Place, key: &str) -> Answered<BTreeMap<String, String>> {
    let tags = place.client.get_object_tagging().bucket(&place.bucket).key(key).send().await?;
    Ok(tags.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect())
}

/// One thing that a worker does at a time.
#[derive(Clone, Copy, Debug)]
enum Act {
    Put,
    Parts,
    Get,
    Range,
    Head,
    Delete,
    Copy,
    PutNew,
    PutSame,
    PutOther,
    List,
    SetTags,
    Tags,
}

/// How often each is done, of a hundred.
const ACTS: [(Act, u64); 13] = [
    (Act::Put, 26),
    (Act::Parts, 1),
    (Act::Get, 24),
    (Act::Range, 6),
    (Act::Head, 6),
    (Act::Delete, 9),
    (Act::Copy, 5),
    (Act::PutNew, 4),
    (Act::PutSame, 3),
    (Act::PutOther, 3),
    (Act::List, 6),
    (Act::SetTags, 3),
    (Act::Tags, 4),
];

pub(super) struct Worker {
    number: u64,
    common: Arc<Common>,
    step: u64,
    /// What must be under each key.
    keys: BTreeMap<String, Option<Known>>,
    /// Keys of which that is not known, as a request failed: they are not used again.
    lost: u64,
}

impl Worker {
    pub(super) fn new(number: u64, common: Arc<Common>) -> Self {
        Self { number, common, step: 0, keys: BTreeMap::new(), lost: 0 }
    }

    pub(super) async fn run(mut self) -> BTreeMap<String, Option<Known>> {
        while !self.common.over.load(Ordering::Relaxed) {
            self.step += 1;
            let common = self.common.clone();
            let place = common.place().await;
            let act = self.chosen();
            let key = self.key();
            let was = self.keys.get(&key).cloned().flatten();
            let came = self.act(&place, act, &key, was.as_ref()).await;
            self.note(&place, act, &key, was.is_some(), came);
        }
        self.keys
    }

    /// A number that depends on the step alone.
    fn dice(&self, salt: u64, sides: u64) -> u64 {
        let bytes = Content::new(self.number << 40 | self.step << 4 | salt, 8).bytes();
        bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)) % sides
    }

    fn chosen(&self) -> Act {
        let offers = self.common.offers;
        let offered = |act: &Act| match act {
            Act::PutNew | Act::PutSame | Act::PutOther => offers.conditions,
            Act::SetTags | Act::Tags => offers.tags,
            Act::Parts => offers.parts,
            _ => true,
        };
        let mut at = self.dice(1, 100);
        for (act, often) in ACTS {
            if at < often {
                return if offered(&act) { act } else { Act::Get };
            }
            at -= often;
        }
        Act::Get
    }

    fn prefix(&self) -> String {
        format!("service/{}/", self.number)
    }

    fn key(&self) -> String {
        let (number, lost) = (self.dice(2, KEYS), self.lost);
        let name = if number % 3 == 0 { "gr\u{fc}\u{df}e +%/" } else { "" };
        format!("{}{name}{lost}-{number}", self.prefix())
    }

    fn content(&self, salt: u64) -> Content {
        let length = match self.dice(3, 10) {
            0 => 0,
            1 => 300_000,
            _ => 20_000,
        };
        let length = if length == 0 { 0 } else { 1 + self.dice(4, length) };
        Content::new(self.number << 40 | self.step << 4 | salt, usize::try_from(length).expect("small"))
    }

    async fn act(&mut self, place: &Place, act: Act, key: &str, was: Option<&Known>) -> Came {
        let Place { client, bucket, .. } = place;
        match act {
            Act::Put => self.put(place, key, [None, None]).await.unwrap_or_else(Refused::not_at_all),
            Act::PutNew => match (self.put(place, key, [Some("*".to_owned()), None]).await, was) {
                (Ok(_), Some(_)) => Came::Wrong("an object was replaced that is there".to_owned()),
                (Ok(came), None) => came,
                (Err(refused), Some(_)) => refused.must_be(412),
                (Err(refused), None) => refused.not_at_all(),
            },
            Act::PutSame => {
                match (self.put(place, key, [None, was.map(|was| was.etag.clone())]).await, was) {
                    (Ok(came), _) => came,
                    (Err(refused), _) => refused.not_at_all(),
                }
            }
            Act::PutOther => {
                let other = "\"0123456789abcdef0123456789abcdef\"".to_owned();
                match (self.put(place, key, [None, Some(other)]).await, was) {
                    (Ok(_), _) => Came::Wrong("written over an object that is another one".to_owned()),
                    (Err(refused), Some(_)) => refused.must_be(412),
                    // S3 says 404, and some stores 412.
                    (Err(refused), None) => match refused.status {
                        Some(412) => Came::Right,
                        _ => refused.must_be(404),
                    },
                }
            }
            Act::Parts => self.put_in_parts(place, key).await.unwrap_or_else(Refused::not_at_all),
            Act::Get => {
                let answer = client.get_object().bucket(bucket).key(key).send().await.map_err(Refused::from);
                match (answer, was) {
                    (Ok(answer), Some(was)) => compared(answer, was).await,
                    (Ok(_), None) => Came::Wrong("an object that was deleted, or never written".to_owned()),
                    (Err(refused), Some(_)) => refused.not_at_all(),
                    (Err(refused), None) => refused.must_be(404),
                }
            }
            Act::Range => match was.filter(|was| was.length() > 1) {
                Some(was) => ranged(place, key, was, self.dice(5, was.length() - 1)).await,
                None => Came::Right,
            },
            Act::Head => {
                match (client.head_object().bucket(bucket).key(key).send().await.map_err(Refused::from), was)
                {
                    (Ok(head), Some(was)) => {
                        let length = head.content_length().and_then(|length| u64::try_from(length).ok());
                        let same = head.e_tag() == Some(&was.etag) && length == Some(was.length());
                        must(same, || format!("{:?} of {length:?} bytes", head.e_tag()))
                    }
                    (Ok(_), None) => Came::Wrong("an object that was deleted, or never written".to_owned()),
                    (Err(refused), Some(_)) => refused.not_at_all(),
                    (Err(refused), None) => refused.must_be(404),
                }
            }
            Act::Delete => match client.delete_object().bucket(bucket).key(key).send().await {
                Ok(_) => {
                    self.keys.insert(key.to_owned(), None);
                    Came::Right
                }
                Err(error) => Refused::from(error).not_at_all(),
            },
            Act::Copy => self.copy(place, key).await.unwrap_or_else(Refused::not_at_all),
            Act::List => self.list(place).await.unwrap_or_else(Refused::not_at_all),
            Act::SetTags => match was {
                None => Came::Right,
                Some(was) => {
                    let tags: BTreeMap<_, _> =
                        [("step".to_owned(), self.step.to_string()), ("a b".to_owned(), "c/=".to_owned())]
                            .into();
                    match set_tags(place, key, &tags).await {
                        Ok(()) => {
                            self.keys.insert(key.to_owned(), Some(Known { tags, ..was.clone() }));
                            Came::Right
                        }
                        Err(refused) => refused.not_at_all(),
                    }
                }
            },
            Act::Tags => match (tags(place, key).await, was) {
                (Ok(tags), Some(was)) => must(tags == was.tags, || format!("{tags:?}, not {:?}", was.tags)),
                (Ok(_), None) => Came::Wrong("an object that was deleted, or never written".to_owned()),
                (Err(refused), Some(_)) => refused.not_at_all(),
                (Err(refused), None) => refused.must_be(404),
            },
        }
    }

    async fn put(&mut self, place: &Place, key: &str, [new, same]: [Option<String>; 2]) -> Answered<Came> {
        let content = self.content(0);
        let headers = self.dice(6, 2) == 0;
        let owner = (self.dice(7, 2) == 0).then(|| format!("worker {}", self.number));
        let request = place.client.put_object().bucket(&place.bucket).key(key);
        let request = request.set_if_none_match(new).set_if_match(same);
        let request = request.set_content_type(headers.then(|| TYPE.to_owned()));
        let request = request.set_cache_control(headers.then(|| CACHE.to_owned()));
        let metadata = owner.clone().map(|owner| [("owner".to_owned(), owner)].into());
        let answer = request.set_metadata(metadata).body(ByteStream::from(content.bytes())).send().await?;
        let etag = answer.e_tag().unwrap_or_default().to_owned();
        let known = Known { parts: vec![content], etag, headers, owner, tags: BTreeMap::new() };
        self.keys.insert(key.to_owned(), Some(known));
        Ok(Came::Right)
    }

    async fn put_in_parts(&mut self, place: &Place, key: &str) -> Answered<Came> {
        let Place { client, bucket, .. } = place;
        let parts = [Content::new(self.number << 40 | self.step << 4 | 8, PART), self.content(9)];
        let parts: Vec<Content> = parts.into_iter().filter(|part| part.length > 0).collect();
        let begun = client.create_multipart_upload().bucket(bucket).key(key).content_type(TYPE);
        let begun = begun.cache_control(CACHE).send().await?;
        let upload = begun.upload_id().unwrap_or_default();
        let mut done = Vec::new();
        for (number, part) in (1..).zip(&parts) {
            let request = client.upload_part().bucket(bucket).key(key).upload_id(upload).part_number(number);
            let answer = request.body(ByteStream::from(part.bytes())).send().await?;
            let part = aws_sdk_s3::types::CompletedPart::builder().part_number(number);
            let part = part.set_e_tag(answer.e_tag).set_checksum_crc32(answer.checksum_crc32);
            done.push(part.build());
        }
        let request = client.complete_multipart_upload().bucket(bucket).key(key).upload_id(upload);
        let answer = request.multipart_upload(crate::s3::completed(done)).send().await?;
        let etag = answer.e_tag().unwrap_or_default().to_owned();
        let known = Known { parts, etag, headers: true, owner: None, tags: BTreeMap::new() };
        self.keys.insert(key.to_owned(), Some(known));
        Ok(Came::Right)
    }

    /// Copies to the key whatever is under another one.
    async fn copy(&mut self, place: &Place, key: &str) -> Answered<Came> {
        let others = self.keys.iter().filter(|(other, _)| *other != key);
        let others: Vec<_> =
            others.filter_map(|(other, known)| Some((other.clone(), known.clone()?))).collect();
        let Some(at) = self.dice(5, 1 << 20).checked_rem(others.len() as u64) else { return Ok(Came::Right) };
        let Some((source, known)) = others.into_iter().nth(usize::try_from(at).expect("small")) else {
            return Ok(Came::Right);
        };
        let from = format!("{}/{}", place.bucket, encoded(&source));
        let request = place.client.copy_object().bucket(&place.bucket).key(key).copy_source(from);
        let answer = request.send().await?;
        // Some stores give a copy of an upload in parts another tag, and some tell it without quotes.
        let etag = answer.copy_object_result().and_then(|copy| copy.e_tag()).unwrap_or_default();
        let etag = format!("\"{}\"", etag.trim_matches('"'));
        self.keys.insert(key.to_owned(), Some(Known { etag, ..known }));
        Ok(Came::Right)
    }

    async fn list(&self, place: &Place) -> Answered<Came> {
        let request = place.client.list_objects_v2().bucket(&place.bucket).prefix(self.prefix());
        let size = if self.dice(5, 2) == 0 { 5 } else { 1000 };
        let mut pages = request.max_keys(size).into_paginator().send();
        let mut found = BTreeMap::new();
        while let Some(page) = pages.next().await {
            for object in page?.contents() {
                let size = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
                let key = object.key().unwrap_or_default().to_owned();
                found.insert(key, (object.e_tag().unwrap_or_default().to_owned(), size));
            }
        }
        let lost = format!("{}-", self.lost);
        let own = |key: &str| key.rsplit_once('/').is_some_and(|(_, name)| name.starts_with(&lost));
        found.retain(|key, _| own(key));
        let known = self.keys.iter().filter_map(|(key, known)| Some((key, known.as_ref()?)));
        let expected: BTreeMap<String, (String, u64)> = known
            .filter(|(key, _)| own(key))
            .map(|(key, known)| (key.clone(), (known.etag.clone(), known.length())))
            .collect();
        let same = |key: &&String| found.get(*key) == expected.get(*key);
        let differ: Vec<_> = found.keys().chain(expected.keys()).filter(|key| !same(key)).collect();
        Ok(must(differ.is_empty(), || {
            let line = |key: &&String| format!("{key}: {:?}, not {:?}", found.get(*key), expected.get(*key));
            differ.iter().map(line).collect::<Vec<_>>().join("; ")
        }))
    }

    fn note(&mut self, place: &Place, act: Act, key: &str, there: bool, came: Came) {
        let common = self.common.clone();
        common.answers.fetch_add(1, Ordering::Relaxed);
        let mut tally = common.tally();
        let what = |why: &str| format!("{}: {act:?} of {key:?} ({there}): {why}", place.store);
        match came {
            Came::Right => *tally.right.entry((place.store, name(act))).or_default() += 1,
            Came::Wrong(why) => tally.wrong.push(what(&why)),
            // What is nowhere here has to be asked of the old store.
            Came::Failed(_) if common.away.load(Ordering::Relaxed) && must_ask(act, there) => {
                tally.excused += 1;
            }
            Came::Failed(why) => {
                tally.failed.push(what(&why));
                // Whether it was done is not known.
                self.keys.remove(key);
                self.lost += 1;
            }
        }
    }
}

/// Whether the old store has to be asked about a key that is not here, if it never was.
fn must_ask(act: Act, there: bool) -> bool {
    match act {
        Act::List => true,
        Act::Get | Act::Head | Act::Tags | Act::PutNew | Act::PutSame | Act::PutOther => !there,
        _ => false,
    }
}

fn name(act: Act) -> &'static str {
    match act {
        Act::Put | Act::PutNew | Act::PutSame | Act::PutOther | Act::Parts => "written",
        Act::Get | Act::Range | Act::Head | Act::Tags => "read",
        Act::Delete => "deleted",
        Act::Copy => "copied",
        Act::List => "listed",
        Act::SetTags => "tagged",
    }
}

fn encoded(key: &str) -> String {
    percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl Known {
    /// In bytes.
    pub fn length(&self) -> u64 {
        self.parts.iter().map(|part| part.length as u64).sum()
    }

    /// Its bytes.
    pub fn bytes(&self) -> Bytes {
        match self.parts.as_slice() {
            [whole] => whole.bytes(),
            parts => parts.iter().flat_map(|part| part.bytes()).collect(),
        }
    }
}

async fn ranged(place: &Place, key: &str, was: &Known, start: u64) -> Came {
    let end = (start + 999).min(was.length() - 1);
    let request =
        place.client.get_object().bucket(&place.bucket).key(key).range(format!("bytes={start}-{end}"));
    match request.send().await.map_err(Refused::from) {
        Ok(answer) => match answer.body.collect().await {
            Ok(bytes) => {
                let range = usize::try_from(start).expect("small")..=usize::try_from(end).expect("small");
                must(bytes.into_bytes() == was.bytes()[range], || "other bytes".to_owned())
            }
            Err(error) => Came::Failed(format!("its body: {error:?}")),
        },
        Err(refused) => refused.not_at_all(),
    }
}

/// Whether an answer is the object, with all that it carries.
async fn compared(answer: GetObjectOutput, was: &Known) -> Came {
    let owner = answer.metadata().and_then(|metadata| metadata.get("owner").cloned());
    let carried = (answer.e_tag().unwrap_or_default().to_owned(), owner);
    let headers = [answer.content_type() == Some(TYPE), answer.cache_control() == Some(CACHE)];
    let bytes = match answer.body.collect().await {
        Ok(bytes) => bytes.into_bytes(),
        Err(error) => return Came::Failed(format!("its body: {error:?}")),
    };
    if bytes != was.bytes() {
        return Came::Wrong(format!("{} other bytes, not {}", bytes.len(), was.length()));
    }
    must(carried == (was.etag.clone(), was.owner.clone()) && headers == [was.headers; 2], || {
        format!("{carried:?} {headers:?}, not {was:?}")
    })
}
