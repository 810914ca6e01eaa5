//! The upstream in memory, as the store asks it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::StreamExt as _;
use md5::{Digest as _, Md5};

use super::*;

#[async_trait]
impl Upstream for FakeUpstream {
    async fn probe(&self) -> Answer<()> {
        self.called("probe").map(drop)
    }

    async fn facts(&self) -> Answer<UpstreamFacts> {
        self.called("facts").map(|_| UpstreamFacts::default())
    }

    async fn head(&self, key: &Key) -> Answer<Option<UpstreamObject>> {
        self.hang().await;
        self.called("head")?;
        Ok(self.stored(key).map(|stored| stored.said))
    }

    async fn get(&self, key: &Key, span: Option<Span>, etag: Option<&str>) -> Answer<Option<UpstreamBody>> {
        let fault = self.called("get")?;
        let Some(stored) = self.stored(key) else { return Ok(None) };
        if etag.is_some_and(|etag| etag != stored.said.etag) {
            return Err(UpstreamError::Changed);
        }
        let span = span.unwrap_or(Span::whole(stored.said.size));
        let mut bytes = stored.bytes.slice(place(span.start)..place(span.end)).to_vec();
        let object = UpstreamObject { size: span.length(), ..stored.said };
        let mut end = Vec::new();
        match fault {
            Some(Fault::Flipped) => bytes[0] ^= 1,
            Some(Fault::Short) => bytes.truncate(bytes.len() / 2),
            Some(Fault::Padded) => {
                let half = bytes.len() / 2;
                bytes[half..].fill(0);
            }
            Some(Fault::Cut) => {
                bytes.truncate(bytes.len() / 2);
                end.push(Err(UpstreamError::Away("its body broke".to_owned())));
            }
            _ => {}
        }
        let pieces = bytes.chunks(64 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece)));
        let pieces: Vec<Answer<Bytes>> = pieces.chain(end).collect();
        let gate = self.lock().gate.clone();
        let stream = futures::stream::iter(pieces).then(move |piece| {
            let gate = gate.clone();
            async move {
                if let Some(gate) = gate {
                    gate.acquire().await.expect("an open gate").forget();
                }
                piece
            }
        });
        Ok(Some(UpstreamBody { object, stream: stream.boxed() }))
    }

    async fn tags(&self, key: &Key) -> Answer<Tags> {
        self.called("tags")?;
        Ok(self.stored(key).map(|stored| stored.tags).unwrap_or_default())
    }

    async fn part_sizes(&self, key: &Key) -> Answer<Option<Vec<u64>>> {
        self.called("part_sizes")?;
        let tells = self.lock().tells_parts;
        Ok(self.stored(key).and_then(|stored| stored.parts).filter(|_| tells))
    }

    async fn first_part(&self, _: &Key) -> Answer<Option<u64>> {
        self.called("first_part").map(|_| None)
    }

    async fn put(&self, key: &Key, carried: &UpstreamCarried, sent: UpstreamSent) -> Answer<UpstreamTold> {
        self.hang().await;
        let answer = async {
            let fault = self.changes("put", key)?;
            let bytes = self.receive(sent).await?;
            if fault == Some(Fault::Cut) {
                return Err(UpstreamError::Away("the connection broke".to_owned()));
            }
            let flipped = if fault == Some(Fault::Flipped) {
                bytes.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 0)).collect()
            } else {
                bytes
            };
            let etag = Etag::md5(&Md5::digest(&flipped).into());
            self.made(key, carried, flipped, &etag, None, fault)
        };
        let answer = answer.await;
        self.hang().await;
        answer
    }

    async fn begin_upload(&self, key: &Key, carried: &UpstreamCarried) -> Answer<String> {
        self.hang().await;
        let answer = async {
            let fault = self.changes("begin_upload", key)?;
            let mut state = self.lock();
            state.uploads_begun += 1;
            let id = format!("upload {}", state.uploads_begun);
            let upload = Upload { carried: carried.clone(), parts: BTreeMap::new() };
            state.uploads.insert(id.clone(), upload);
            drop(state);
            answered(fault, id)
        };
        let answer = answer.await;
        self.hang().await;
        answer
    }

    async fn put_part(
        &self,
        key: &Key,
        upload: &str,
        number: u32,
        sent: UpstreamSent,
    ) -> Answer<UpstreamTold> {
        self.hang().await;
        let answer = async {
            let fault = self.changes("put_part", key)?;
            let bytes = self.receive(sent).await?;
            if fault == Some(Fault::Cut) {
                return Err(UpstreamError::Away("the connection broke".to_owned()));
            }
            let etag = Etag::md5(&Md5::digest(&bytes).into()).as_str().to_owned();
            let gone = || UpstreamError::Unusable("NoSuchUpload".to_owned());
            self.lock().uploads.get_mut(upload).ok_or_else(gone)?.parts.insert(number, bytes);
            answered(fault, UpstreamTold { etag, ..UpstreamTold::default() })
        };
        let answer = answer.await;
        self.hang().await;
        answer
    }

    async fn complete_upload(&self, key: &Key, upload: &str, parts: &[String]) -> Answer<UpstreamTold> {
        self.hang().await;
        let answer = async {
            let fault = self.changes("complete_upload", key)?;
            let gone = || UpstreamError::Unusable("NoSuchUpload".to_owned());
            let Upload { carried, parts: mut given } = self.lock().uploads.remove(upload).ok_or_else(gone)?;
            let (mut all, mut digests, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
            for (number, etag) in (1_u32..).zip(parts) {
                let bytes = given.remove(&number).ok_or_else(gone)?;
                let digest: Md5Digest = Md5::digest(&bytes).into();
                if Etag::md5(&digest).as_str() != etag {
                    return Err(UpstreamError::Unusable("InvalidPart".to_owned()));
                }
                all.extend_from_slice(&bytes);
                sizes.push(bytes.len() as u64);
                digests.push(digest);
            }
            let etag = Etag::multipart(&digests);
            self.made(key, &carried, all.into(), &etag, Some(sizes), fault)
        };
        let answer = answer.await;
        self.hang().await;
        answer
    }

    async fn abort_upload(&self, _: &Key, upload: &str) -> Answer<()> {
        self.hang().await;
        let answer = async {
            begins()?;
            let fault = self.called("abort_upload")?;
            self.lock().uploads.remove(upload);
            answered(fault, ())
        };
        let answer = answer.await;
        self.hang().await;
        answer
    }

    async fn set_tags(&self, key: &Key, tags: &Tags) -> Answer<()> {
        self.hang().await;
        let answer = async {
            let fault = self.changes("set_tags", key)?;
            let mut state = self.lock();
            let stored = state.objects.get_mut(key.as_str());
            let stored = stored.ok_or_else(|| UpstreamError::Unusable("NoSuchKey".to_owned()))?;
            stored.tags = tags.clone();
            stored.said.tag_count = u32::try_from(tags.len()).unwrap_or_default();
            state.keep(key.as_str());
            drop(state);
            answered(fault, ())
        };
        let answer = answer.await;
        self.hang().await;
        answer
    }

    async fn remove(&self, key: &Key) -> Answer<Option<String>> {
        self.hang().await;
        let answer = async {
            let fault = self.changes("remove", key)?;
            let mut state = self.lock();
            let marker = state.hide(key.as_str());
            state.told.push((key.as_str().to_owned(), None));
            drop(state);
            answered(fault, marker)
        };
        let answer = answer.await;
        self.hang().await;
        answer
    }

    async fn add_marker(&self, key: &Key) -> Answer<Option<String>> {
        self.hang().await;
        let answer = async {
            let fault = self.changes("add_marker", key)?;
            let mut state = self.lock();
            let marker = if state.kept.makes_markers { state.set(key.as_str(), None) } else { None };
            drop(state);
            answered(fault, marker)
        };
        let answer = answer.await;
        self.hang().await;
        answer
    }

    async fn keeps_versions(&self) -> Answer<bool> {
        self.called("keeps_versions")?;
        Ok(self.lock().kept.are)
    }

    async fn versions(&self, key: &Key) -> Answer<Vec<Listed>> {
        self.hang().await;
        self.called("versions")?;
        Ok(self.lock().listed(key.as_str()))
    }

    async fn list_versions(&self, query: &VersionsQuery) -> Answer<VersionsPage> {
        self.called("list_versions")?;
        let page = self.lock().page_of_versions(query);
        self.be_late().await;
        Ok(page)
    }

    async fn remove_version(&self, key: &Key, version: &str) -> Answer<()> {
        self.hang().await;
        let answer = async {
            let fault = self.changes("remove_version", key)?;
            self.lock().remove_version(key.as_str(), version);
            answered(fault, ())
        };
        let answer = answer.await;
        self.hang().await;
        answer
    }

    async fn list(&self, query: &UpstreamQuery) -> Answer<UpstreamPage> {
        let _listing = Listing::begin(self);
        self.called("list")?;
        let gate = self.lock().list_gate.clone();
        if let Some(gate) = gate {
            gate.acquire().await.expect("an open gate").forget();
        }
        // Others begin meanwhile.
        tokio::task::yield_now().await;
        let page = self.page(query);
        self.be_late().await;
        Ok(page)
    }
}

impl FakeUpstream {
    /// What a listing shows comes late, where that was asked for.
    async fn be_late(&self) {
        let gate = self.lock().answer_gate.clone();
        if let Some(gate) = gate {
            self.lock().late += 1;
            gate.acquire().await.expect("an open gate").forget();
        }
    }

    /// What a listing shows.
    fn page(&self, query: &UpstreamQuery) -> UpstreamPage {
        let state = self.lock();
        if state.lists_nothing_first && query.token.is_none() {
            let next = Some(query.after.clone().unwrap_or_default());
            return UpstreamPage { next, ..UpstreamPage::default() };
        }
        let after = query.token.as_ref().or(query.after.as_ref()).cloned().unwrap_or_default();
        let mut page = UpstreamPage::default();
        let mut last = String::new();
        for (key, stored) in state.objects.range(query.prefix.clone()..) {
            if !key.starts_with(&query.prefix) {
                break;
            }
            let common = query.delimiter.as_ref().and_then(|delimiter| {
                let rest = &key[query.prefix.len()..];
                Some(key[..query.prefix.len() + rest.find(delimiter.as_str())? + delimiter.len()].to_owned())
            });
            let line = common.clone().unwrap_or_else(|| key.clone());
            // What a token ends with is not listed again, nor what is rolled up with it.
            if *key <= after || line <= after || line == last {
                continue;
            }
            if page.lines.len() == query.limit.min(7) as usize {
                page.next = Some(last);
                break;
            }
            page.lines.push(match common {
                Some(prefix) => UpstreamLine::Prefix(prefix),
                None => UpstreamLine::Object(UpstreamListed {
                    key: Key::new(key).unwrap(),
                    size: stored.said.size,
                    etag: stored.said.etag.clone(),
                    modified: stored.said.modified,
                    class: None,
                }),
            });
            last = line;
        }
        page
    }
}
