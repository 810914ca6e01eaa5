//! Listing: pages in byte order of keys, common prefixes rolled up, cursors that survive concurrent writes.

use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::rolling::{Rolled, Rolling};
use crate::application::error::Result;
use crate::application::ports::metadata::{ListQuery, Place};
use crate::application::store::Store;
use crate::domain::invalid::Invalid;
use crate::domain::object::{Object, ObjectId};
use crate::domain::principal::{Principal, Right};
use crate::domain::space::{Space, Versioning};

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
        let (entries, next) = self.collect(&space, request).await?;
        Ok(ListPage { entries, next, space: Some(space) })
    }

    async fn collect(&self, space: &Space, request: &ListRequest) -> Result<(Vec<Entry>, Option<Cursor>)> {
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
                space: space.id,
                prefix: request.prefix.clone(),
                from,
                from_version: from_id.map(ObjectId),
                versions: request.versions,
                versioned: space.versioning != Versioning::Off,
                keyless: request.keyless,
                limit,
            };
            async move { Ok(self.metadata.list(&query).await?) }
        };
        let walk = |from, limit| {
            let query = ListQuery {
                space: space.id,
                prefix: request.prefix.clone(),
                from: Bound::Included(from),
                from_version: None,
                versions: request.versions,
                versioned: space.versioning != Versioning::Off,
                keyless: false,
                limit,
            };
            async move {
                let delimiter = request.delimiter.as_deref().unwrap_or_default();
                Ok(self.metadata.walk(&query, delimiter).await?)
            }
        };
        let (rolled, next) = rolling.page(fetch, walk, cursor_of).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
