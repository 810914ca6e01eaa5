//! Listing: pages in byte order of keys, common prefixes rolled up, cursors that survive concurrent writes.

use std::ops::Bound;

pub use super::cursor::{Cursor, PAGE_MAX};
pub use super::line::Line;
use super::merged::FarLine;
use super::rolling::{Rolled, Rolling};
use crate::application::entered::Wish;
use crate::application::error::Result;
use crate::application::ports::metadata::{ListQuery, SpaceRef};
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::object::{Listed, Object, ObjectId};
use crate::domain::principal::Principal;
use crate::domain::space::{Space, Versioning};

/// What to list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// The space or bucket.
    pub place: SpaceRef,
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
pub enum Entry<T = Box<Object>> {
    /// An object, or a version, or a delete marker.
    Object(T),
    /// Keys rolled up.
    Prefix(String),
}

impl<T: Line> Entry<T> {
    /// The key, or the common prefix.
    pub fn key(&self) -> &str {
        match self {
            Self::Object(line) => line.key(),
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// A page.
#[derive(Clone, Debug)]
pub struct ListPage<T = Box<Object>> {
    /// Its entries, in byte order of keys.
    pub entries: Vec<Entry<T>>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<Cursor>,
    /// The space, if it exists already.
    pub space: Option<Space>,
}

impl Store {
    /// A page of a space, with all that is known of each object. A space that nothing was written to is empty; a
    /// bucket must exist.
    pub async fn list(&self, who: &Principal, request: &ListRequest) -> Result<ListPage> {
        let fetch = |query: ListQuery| async move {
            Ok(self.metadata.list(&query).await?.into_iter().map(Box::new).collect())
        };
        self.list_by(who, request, fetch, |object| match &object.key {
            Some(key) if !request.versions => Cursor::Key(key.as_str().to_owned()),
            _ => Cursor::Version(object.key().to_owned(), object.id.0),
        })
        .await
    }

    /// The same of latest versions that have a key, whatever else `request` asks for, and only what S3 shows of
    /// them: at half the cost.
    pub async fn list_latest(&self, who: &Principal, request: &ListRequest) -> Result<ListPage<Listed>> {
        let request = ListRequest { versions: false, keyless: false, ..request.clone() };
        let fetch = |query: ListQuery| async move { Ok(self.metadata.list_latest(&query).await?) };
        let cursor_of = |line: &Listed| Cursor::Key(line.key.as_str().to_owned());
        self.list_by(who, &request, fetch, cursor_of).await
    }

    async fn list_by<T: FarLine, F: Future<Output = Result<Vec<T>>>>(
        &self,
        who: &Principal,
        request: &ListRequest,
        fetch: impl Fn(ListQuery) -> F,
        cursor_of: impl Fn(&T) -> Cursor,
    ) -> Result<ListPage<T>> {
        let action = if request.versions { Action::ListBucketVersions } else { Action::ListBucket };
        let entered = self.enter(who, Wish::listing(action, &request.prefix), &request.place).await?;
        let space = match entered.space {
            Some(space) => Some(space),
            None => self.metadata.space(&request.place).await?,
        };
        let Some(space) = space else {
            return Ok(ListPage { entries: Vec::new(), next: None, space: None });
        };
        let rolling = Rolling {
            prefix: &request.prefix,
            delimiter: request.delimiter.as_deref(),
            after: request.after.clone(),
            limit: request.limit,
            from_start: request.keyless && request.prefix.is_empty(),
        };
        let query = |from, limit| ListQuery {
            space: space.id,
            prefix: request.prefix.clone(),
            from,
            from_version: None,
            versions: request.versions,
            versioned: space.versioning != Versioning::Off,
            keyless: request.keyless,
            limit,
        };
        let merged = self.merged(&space, &request.prefix).await?;
        let merged = merged.as_ref();
        let fetch = |from: Bound<String>, from_id: Option<uuid::Uuid>, limit| {
            let here = fetch(ListQuery { from_version: from_id.map(ObjectId), ..query(from.clone(), limit) });
            async move {
                match merged {
                    Some(merged) => merged.fetch(from, limit, here).await,
                    None => here.await,
                }
            }
        };
        let walk = |from: String, limit| {
            let query = ListQuery { keyless: false, ..query(Bound::Included(from.clone()), limit) };
            async move {
                let delimiter = request.delimiter.as_deref().unwrap_or_default();
                let here = async { Ok(self.metadata.walk(&query, delimiter).await?) };
                match merged {
                    Some(merged) => merged.walk(from, delimiter, here).await,
                    None => here.await,
                }
            }
        };
        let (rolled, next) = rolling.page(fetch, walk, cursor_of).await?;
        let entries = rolled
            .into_iter()
            .map(|line| match line {
                Rolled::Item(item) => Entry::Object(item),
                Rolled::Prefix(common) => Entry::Prefix(common),
            })
            .collect();
        Ok(ListPage { entries, next, space: Some(space) })
    }
}
