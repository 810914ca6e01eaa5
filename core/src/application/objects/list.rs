//! Listing: pages in byte order of keys, common prefixes rolled up, cursors that survive concurrent writes.

use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::application::error::Result;
use crate::application::ports::metadata::{ListQuery, Place};
use crate::application::store::Store;
use crate::domain::invalid::Invalid;
use crate::domain::object::{Object, ObjectId};
use crate::domain::principal::{Principal, Right};
use crate::domain::space::{Space, SpaceId};

/// Most entries of one page.
pub const PAGE_MAX: u32 = 1000;

/// Where a page begins: behind an entry of the page before. It names keys and not rows, so writes between
/// two pages neither repeat nor skip an entry that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// Behind this key, all of its versions included.
    #[serde(rename = "k")]
    Key(String),
    /// Behind every key with this prefix.
    #[serde(rename = "p")]
    Prefix(String),
    /// Behind this version of this key; the key is empty for keyless objects.
    #[serde(rename = "v")]
    Version(String, uuid::Uuid),
}

impl Cursor {
    /// The key, or the common prefix.
    pub fn key(&self) -> &str {
        match self {
            Self::Key(key) | Self::Prefix(key) | Self::Version(key, _) => key,
        }
    }

    /// An opaque token for a client.
    pub fn encode(&self) -> String {
        // Serialising an enum of strings cannot fail; an empty token would be refused by `decode`.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a token that [`Self::encode`] made.
    pub fn decode(token: &str) -> Result<Self, Invalid> {
        URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| Invalid::new("cursor", "must be a cursor that a listing returned"))
    }
}

/// What to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// The space or bucket.
    pub place: Place,
    /// Only keys that begin with this.
    pub prefix: String,
    /// Keys that hold this behind the prefix are rolled up into one common prefix, as S3 does. Empty
    /// counts as none.
    pub delimiter: Option<String>,
    /// Where to begin.
    pub after: Option<Cursor>,
    /// All versions and delete markers.
    pub versions: bool,
    /// Objects without key too, before all others.
    pub keyless: bool,
    /// At most this many objects and common prefixes together; capped at [`PAGE_MAX`].
    pub limit: u32,
}

/// One line of a listing, in order.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An object, or a version, or a delete marker.
    Object(Box<Object>),
    /// Keys rolled up.
    Prefix(String),
}

/// A page.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// Its entries, in byte order of keys.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<Cursor>,
    /// The space, if it exists already.
    pub space: Option<Space>,
}

impl Store {
    /// A page of a space. A space that nothing was written to is empty; a bucket must exist.
    pub async fn list(&self, who: &Principal, request: &ListRequest) -> Result<ListPage> {
        let entered = self.enter(who, Right::Read, &request.place).await?;
        let space = match entered.space {
            Some(space) => Some(space),
            None => self.metadata.space(&request.place).await?,
        };
        let Some(space) = space else {
            return Ok(ListPage { entries: Vec::new(), next: None, space: None });
        };
        let (entries, next) = self.collect(space.id, request).await?;
        Ok(ListPage { entries, next, space: Some(space) })
    }

    async fn collect(&self, space: SpaceId, request: &ListRequest) -> Result<(Vec<Entry>, Option<Cursor>)> {
        let rolling = Rolling {
            prefix: &request.prefix,
            delimiter: request.delimiter.as_deref(),
            after: request.after.clone(),
            limit: request.limit,
            from_start: request.keyless && request.prefix.is_empty(),
        };
        let cursor_of = |object: &Object| {
            let key = object.key.as_ref().map_or("", |key| key.as_str()).to_owned();
            if request.versions || object.key.is_none() {
                Cursor::Version(key, object.id.0)
            } else {
                Cursor::Key(key)
            }
        };
        let fetch = |from, from_id: Option<uuid::Uuid>, limit| {
            let query = ListQuery {
                space,
                prefix: request.prefix.clone(),
                from,
                from_version: from_id.map(ObjectId),
                versions: request.versions,
                keyless: request.keyless,
                limit,
            };
            async move { Ok(self.metadata.list(&query).await?) }
        };
        let (rolled, next) = rolling.page(fetch, cursor_of).await?;
        let entries = rolled
            .into_iter()
            .map(|line| match line {
                Rolled::Item(object) => Entry::Object(Box::new(object)),
                Rolled::Prefix(common) => Entry::Prefix(common),
            })
            .collect();
        Ok((entries, next))
    }
}

/// A line of a page: an item, or many of them under one common prefix.
pub(crate) enum Rolled<T> {
    /// An item of its own.
    Item(T),
    /// A common prefix.
    Prefix(String),
}

/// One page of anything that is ordered by key.
pub(crate) struct Rolling<'a> {
    /// What keys begin with.
    pub(crate) prefix: &'a str,
    /// What rolls keys up; empty counts as none.
    pub(crate) delimiter: Option<&'a str>,
    /// Where to begin.
    pub(crate) after: Option<Cursor>,
    /// At most this many lines; capped at [`PAGE_MAX`].
    pub(crate) limit: u32,
    /// Whether items without key come first.
    pub(crate) from_start: bool,
}

impl Rolling<'_> {
    /// Fetches one item more than fits to learn whether there is a next page. Every round of the loop either
    /// fills the page or jumps past a whole common prefix, so a page costs what it shows, not what its
    /// prefixes hold.
    pub(crate) async fn page<T, F: Future<Output = Result<Vec<T>>>>(
        self,
        // Not an `AsyncFn`: of that one the compiler cannot yet tell that its futures are `Send`.
        fetch: impl Fn(Bound<String>, Option<uuid::Uuid>, u32) -> F,
        cursor_of: impl Fn(&T) -> Cursor,
    ) -> Result<(Vec<Rolled<T>>, Option<Cursor>)> {
        let limit = self.limit.min(PAGE_MAX) as usize;
        if limit == 0 {
            return Ok((Vec::new(), None));
        }
        let delimiter = self.delimiter.filter(|delimiter| !delimiter.is_empty());
        let mut lines = Vec::with_capacity(limit.min(64));
        let mut after = self.after;
        loop {
            let Some((from, from_id)) = begin(after.as_ref(), self.prefix, self.from_start) else {
                return Ok((lines, None));
            };
            let wanted = limit + 1 - lines.len();
            let items = fetch(from, from_id, u32::try_from(wanted).unwrap_or(PAGE_MAX)).await?;
            let exhausted = items.len() < wanted;
            let mut jumped = false;
            for item in items {
                if lines.len() == limit {
                    return Ok((lines, after));
                }
                let cursor = cursor_of(&item);
                if let Some(common) = common_prefix(cursor.key(), self.prefix, delimiter) {
                    let common = common.to_owned();
                    after = Some(Cursor::Prefix(common.clone()));
                    lines.push(Rolled::Prefix(common));
                    jumped = true;
                    break;
                }
                after = Some(cursor);
                lines.push(Rolled::Item(item));
            }
            if exhausted && !jumped {
                return Ok((lines, None));
            }
        }
    }
}

/// The bounds at which a page behind `after` begins; `None` if nothing can follow.
fn begin(
    after: Option<&Cursor>,
    prefix: &str,
    from_start: bool,
) -> Option<(Bound<String>, Option<uuid::Uuid>)> {
    match after {
        None if from_start => Some((Bound::Unbounded, None)),
        None => Some((Bound::Included(prefix.to_owned()), None)),
        Some(Cursor::Key(key)) => Some((Bound::Excluded(key.clone()), None)),
        Some(Cursor::Prefix(common)) => successor(common).map(|next| (Bound::Included(next), None)),
        Some(Cursor::Version(key, id)) => Some((Bound::Excluded(key.clone()), Some(*id))),
    }
}

/// The part of `key` up to and with the first delimiter behind `prefix`, if there is one.
pub fn common_prefix<'k>(key: &'k str, prefix: &str, delimiter: Option<&str>) -> Option<&'k str> {
    let delimiter = delimiter?;
    let rest = key.strip_prefix(prefix)?;
    let at = rest.find(delimiter)?;
    Some(&key[..prefix.len() + at + delimiter.len()])
}

/// The least string of UTF-8 above every string that begins with `prefix`; `None` if there is none (the
/// empty prefix, or nothing but the largest character).
pub fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Code points sort like their UTF-8; surrogates are skipped as they are no characters.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successor_is_above_everything_with_the_prefix() {
        for prefix in ["a", "a/", "z~", "é", "\u{d7ff}", "a\u{10ffff}"] {
            let above = successor(prefix).unwrap();
            assert!(
                above.as_str() > format!("{prefix}\u{10ffff}\u{10ffff}").as_str()
                    || prefix.ends_with('\u{10ffff}')
            );
            assert!(!above.starts_with(prefix));
        }
        assert_eq!(successor("a\u{10ffff}"), Some("b".to_owned()));
        assert_eq!(successor("\u{10ffff}"), None);
        assert_eq!(successor(""), None);
    }

    #[test]
    fn cursors_read_back() {
        for cursor in [
            Cursor::Key("a/ü".into()),
            Cursor::Prefix("a/".into()),
            Cursor::Version(String::new(), uuid::Uuid::nil()),
        ] {
            assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        }
        for bad in ["", "%%%", "e30", "bnVsbA"] {
            assert!(Cursor::decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_roll_up_behind_the_asked_prefix() {
        assert_eq!(common_prefix("a/b/c", "", Some("/")), Some("a/"));
        assert_eq!(common_prefix("a/b/c", "a/", Some("/")), Some("a/b/"));
        assert_eq!(common_prefix("a/b", "a/", Some("/")), None);
        assert_eq!(common_prefix("a--b", "", Some("--")), Some("a--"));
        assert_eq!(common_prefix("a/b", "", None), None);
    }
}
