//! Listings of a space that reads through: what is here and what is upstream, as one.
//!
//! The upstream is listed first, then it is looked up which of its keys are known here, then what is here is listed: a key
//! that is pulled, written or removed between these steps is never left out and never shown twice.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::line::Line;
use super::rolling::common_prefix;
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::MetadataStore;
use crate::application::ports::upstream::{
    UpstreamError, UpstreamLine, UpstreamListed, UpstreamObject, UpstreamPage, UpstreamQuery,
};
use crate::application::store::Store;
use crate::application::upstream::{Link, answer, kept};
use crate::domain::address::{Key, after_prefix};
use crate::domain::object::{Listed, Object, Tags};
use crate::domain::space::Space;
use crate::domain::upstream::Mode;

/// Most lines of one page of an upstream.
const PAGE: u32 = 1000;

/// Keys removed here that are looked at together.
const OWNED: u32 = 1000;

/// Longest that a listing waits for its upstream, all its calls together.
const PATIENCE: Duration = Duration::from_secs(20);

/// Common prefixes that are looked into at the same time.
const LOOKED_INTO: usize = 16;

/// Pages that one listing takes of an upstream: of a space where more than this was removed in one place, a listing fails
/// rather than to take for ever.
const PAGES_MAX: u32 = 1000;

/// The upstream's part of a listing.
pub(crate) struct Merged<'a> {
    metadata: &'a dyn MetadataStore,
    link: Arc<Link>,
    space: &'a Space,
    prefix: &'a str,
    /// When it gives up.
    until: Instant,
}

/// A line of an upstream's object among those that are here.
pub(crate) trait FarLine: Line {
    fn far(space: &Space, listed: UpstreamListed) -> Self;
}

impl FarLine for Listed {
    fn far(space: &Space, listed: UpstreamListed) -> Self {
        let key = listed.key.clone();
        let Object { etag, class, class_name, created_at, .. } =
            *<Box<Object> as FarLine>::far(space, listed.clone());
        Self { key, size: listed.size, etag, class, class_name, checksum: None, created_at }
    }
}

impl FarLine for Box<Object> {
    fn far(space: &Space, listed: UpstreamListed) -> Self {
        let UpstreamListed { key, size, etag, modified, class } = listed;
        let said = UpstreamObject { size, etag, modified, class, ..UpstreamObject::default() };
        Self::new(kept::object(space, &key, &said, Tags::new()))
    }
}

impl Store {
    /// The upstream's part of a listing of a space; `None` if it has none.
    pub(crate) async fn merged<'a>(
        &'a self,
        space: &'a Space,
        prefix: &'a str,
    ) -> Result<Option<Merged<'a>>> {
        if !space.upstream.is_some_and(Mode::reads_through) {
            return Ok(None);
        }
        let settings = self.settings_at(space.id, space.settings).await?;
        let Some(binding) = &settings.upstream else { return Ok(None) };
        let link = self.links.of(space, binding)?;
        let until = Instant::now() + PATIENCE;
        Ok(Some(Merged { metadata: self.metadata.as_ref(), link, space, prefix, until }))
    }
}

impl Merged<'_> {
    async fn page(&self, query: &UpstreamQuery) -> Result<UpstreamPage> {
        let asked = Instant::now();
        let Ok(page) = tokio::time::timeout_at(self.until, self.link.list(query)).await else {
            let error = UpstreamError::Away("a listing of it takes too long".to_owned());
            tracing::warn!(space = %self.space.address, prefix = self.prefix, %error, "listing given up");
            // Many quick answers that are too many together are no sign that it is away.
            if asked.elapsed() >= PATIENCE / 2 {
                self.link.gave_up(&error);
            }
            return Err(answer(&error));
        };
        page.map_err(|error| answer(&error))
    }

    fn query(&self, from: &Bound<String>, delimiter: Option<&str>, limit: u32) -> UpstreamQuery {
        let after = match from {
            Bound::Unbounded => None,
            Bound::Excluded(key) => Some(key.clone()),
            Bound::Included(key) if key.as_str() <= self.prefix => None,
            Bound::Included(key) => just_before(key),
        };
        UpstreamQuery {
            prefix: self.prefix.to_owned(),
            delimiter: delimiter.map(str::to_owned),
            after,
            token: None,
            limit,
        }
    }

    /// Objects upstream that are not known here, from a bound on, at most so many.
    pub(crate) async fn objects(&self, from: &Bound<String>, limit: u32) -> Result<Vec<UpstreamListed>> {
        self.objects_under(self.prefix, from, limit).await
    }

    async fn objects_under(
        &self,
        prefix: &str,
        from: &Bound<String>,
        limit: u32,
    ) -> Result<Vec<UpstreamListed>> {
        let mut query = self.query(from, None, limit.clamp(1, PAGE));
        prefix.clone_into(&mut query.prefix);
        let (mut found, mut last): (Vec<UpstreamListed>, Option<String>) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.page(&query).await?;
            let mut listed = Vec::with_capacity(page.lines.len());
            for line in page.lines {
                let UpstreamLine::Object(object) = line else { continue };
                in_order(&mut last, object.key.as_str())?;
                if is_behind(from, object.key.as_str()) {
                    listed.push(object);
                }
            }
            found.extend(self.unknown(listed).await?);
            match page.next {
                Some(next) if found.len() < limit as usize => query.token = Some(next),
                _ => {
                    found.truncate(limit as usize);
                    return Ok(found);
                }
            }
        }
        tracing::warn!(space = %self.space.address, "a listing met too many keys that were removed here: run detach, or list a prefix");
        Err(Error::UpstreamFailed)
    }

    /// Those of a page that are not known here.
    async fn unknown(&self, listed: Vec<UpstreamListed>) -> Result<Vec<UpstreamListed>> {
        if listed.is_empty() {
            return Ok(listed);
        }
        let keys: Vec<Key> = listed.iter().map(|object| object.key.clone()).collect();
        let hidden: HashSet<Key> = self.metadata.hidden(self.space.id, &keys).await?.into_iter().collect();
        Ok(listed.into_iter().filter(|object| !hidden.contains(&object.key)).collect())
    }

    /// A page of both sides, from a bound on. What is here counts where both have a key.
    pub(crate) async fn fetch<T: FarLine>(
        &self,
        from: Bound<String>,
        limit: u32,
        here: impl Future<Output = Result<Vec<T>>>,
    ) -> Result<Vec<T>> {
        let far = self.objects(&from, limit).await?;
        let (mut here, mut far) = (here.await?.into_iter().peekable(), far.into_iter().peekable());
        let mut both = Vec::new();
        while both.len() < limit as usize {
            let order = match (here.peek(), far.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(here), Some(far)) => here.key().cmp(far.key.as_str()),
            };
            if order == Ordering::Equal {
                far.next();
                continue;
            }
            both.extend(if order == Ordering::Less {
                here.next()
            } else {
                far.next().map(|listed| T::far(self.space, listed))
            });
        }
        Ok(both)
    }

    /// The keys at which lines of both sides begin, as [`walk`](crate::application::ports::metadata::Objects::walk) has it.
    pub(crate) async fn walk(
        &self,
        from: String,
        delimiter: &str,
        here: impl Future<Output = Result<Vec<String>>>,
    ) -> Result<Vec<String>> {
        let (far, far_ends) = self.lines(&from, delimiter).await?;
        let here = here.await?;
        let line = |key: &str| {
            common_prefix(key, self.prefix, Some(delimiter)).map_or_else(|| key.to_owned(), str::to_owned)
        };
        // Neither side tells what follows its last line.
        let far_horizon = if far_ends { None } else { far.last().cloned() };
        let horizon = [far_horizon, here.last().map(|key| line(key))].into_iter().flatten().min();
        let mut both: Vec<(String, String)> = here.into_iter().map(|key| (line(&key), key)).collect();
        let lines: HashSet<String> = both.iter().map(|(line, _)| line.clone()).collect();
        both.extend(far.into_iter().filter(|line| !lines.contains(line)).map(|line| (line.clone(), line)));
        both.sort_unstable();
        let mut keys = Vec::with_capacity(both.len());
        for (line, key) in both {
            if horizon.as_ref().is_some_and(|horizon| line > *horizon) {
                break;
            }
            let rolled = line != key || common_prefix(&key, self.prefix, Some(delimiter)).is_some();
            keys.push(key);
            if !rolled {
                break;
            }
        }
        Ok(keys)
    }

    /// Lines of the upstream under which something is not known here, from a key on, and whether nothing follows the last.
    async fn lines(&self, from: &str, delimiter: &str) -> Result<(Vec<String>, bool)> {
        let bound = Bound::Included(from.to_owned());
        let mut query = self.query(&bound, Some(delimiter), PAGE);
        let mut last = None;
        for _ in 0..PAGES_MAX {
            let page = self.page(&query).await?;
            for line in &page.lines {
                in_order(&mut last, line.key())?;
            }
            let lines: Vec<_> = page.lines.into_iter().filter(|line| line.key() >= from).collect();
            let alive = self.alive(lines).await?;
            match page.next {
                Some(next) if alive.is_empty() => query.token = Some(next),
                next => return Ok((alive, next.is_none())),
            }
        }
        Err(Error::UpstreamFailed)
    }

    /// Those of the lines under which something is not known here. What is known here has lines of its own.
    async fn alive(&self, lines: Vec<UpstreamLine>) -> Result<Vec<String>> {
        let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return Ok(Vec::new()) };
        let after = just_before(first.key()).unwrap_or_default();
        let until = after_prefix(last.key()).unwrap_or_else(|| last.key().to_owned());
        let owned = self.metadata.owned(self.space.id, &after, &until, OWNED).await?;
        // Behind the last one that was looked at there may be more.
        let unknown_from = owned.last().filter(|_| owned.len() >= OWNED as usize).cloned();
        let objects = lines.iter().filter_map(|line| match line {
            UpstreamLine::Object(object) => Some(object.clone()),
            UpstreamLine::Prefix(_) => None,
        });
        let objects: HashSet<String> = self
            .unknown(objects.collect())
            .await?
            .into_iter()
            .map(|object| object.key.as_str().to_owned())
            .collect();
        let shown = lines.into_iter().map(|line| {
            let (shown, key) = match line {
                UpstreamLine::Object(object) => {
                    let key = object.key.as_str().to_owned();
                    (objects.contains(&key).into(), key)
                }
                UpstreamLine::Prefix(prefix) => {
                    let suspect = owned.iter().any(|key| key.starts_with(&prefix))
                        || unknown_from.as_ref().is_some_and(|from| prefix > *from);
                    (if suspect { Shown::Perhaps } else { Shown::Yes }, prefix)
                }
            };
            self.look_into(shown, key)
        });
        let shown: Vec<Option<String>> = stream::iter(shown).buffered(LOOKED_INTO).try_collect().await?;
        Ok(shown.into_iter().flatten().collect())
    }

    /// A line, if it is shown.
    async fn look_into(&self, shown: Shown, line: String) -> Result<Option<String>> {
        let shown = match shown {
            Shown::Yes => true,
            Shown::No => false,
            Shown::Perhaps => !self.objects_under(&line, &Bound::Unbounded, 1).await?.is_empty(),
        };
        Ok(shown.then_some(line))
    }
}

/// Whether a line of the upstream is shown.
enum Shown {
    Yes,
    No,
    /// If something under it is not known here.
    Perhaps,
}

impl From<bool> for Shown {
    fn from(shown: bool) -> Self {
        if shown { Self::Yes } else { Self::No }
    }
}

/// An upstream that does not list its keys in order cannot be merged with anything.
fn in_order(last: &mut Option<String>, key: &str) -> Result<()> {
    if last.as_deref().is_some_and(|last| key <= last) {
        tracing::error!(key, "the upstream does not list its keys in the order of their bytes");
        return Err(Error::UpstreamFailed);
    }
    *last = Some(key.to_owned());
    Ok(())
}

fn is_behind(from: &Bound<String>, key: &str) -> bool {
    match from {
        Bound::Unbounded => true,
        Bound::Included(from) => key >= from.as_str(),
        Bound::Excluded(from) => key > from.as_str(),
    }
}

/// A text before `key` with hardly a key between them: S3 begins behind a key, never at one. `None` for the empty one.
fn just_before(key: &str) -> Option<String> {
    let mut before = key.to_owned();
    let last = before.pop()?;
    let smaller = match u32::from(last).checked_sub(1)? {
        // Between them lie the surrogates, which are no characters.
        0xdfff => '\u{d7ff}',
        0 => return Some(before),
        code => char::from_u32(code)?,
    };
    before.push(smaller);
    before.push('\u{10ffff}');
    Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn just_before_is_before_and_close() {
        for (key, before) in [("a0", "a/\u{10ffff}"), ("\u{e000}", "\u{d7ff}\u{10ffff}"), ("x\u{1}", "x")] {
            assert_eq!(just_before(key).as_deref(), Some(before));
            assert!(before < key);
        }
        assert_eq!(just_before(""), None);
    }

    #[test]
    fn keys_out_of_order_are_noticed() {
        let mut last = None;
        assert!(in_order(&mut last, "a").is_ok() && in_order(&mut last, "b").is_ok());
        assert!(in_order(&mut last, "b").is_err() && in_order(&mut last, "a/x").is_err());
    }
}
