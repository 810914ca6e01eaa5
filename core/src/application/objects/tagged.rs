//! Listing the objects that carry certain tags.

use super::cursor::{Cursor, PAGE_MAX};
use super::list::{Entry, ListPage, ListRequest};
use crate::application::error::Result;
use crate::application::store::Store;
use crate::domain::object::{Object, Tags};
use crate::domain::principal::Principal;

/// Most objects that are looked at for one page. The page ends there, however few of them carry the tags.
pub const LOOKED_AT_MAX: usize = 10_000;

impl Store {
    /// A page of the objects that carry all of `tags`, as [`Self::list`] has it without a delimiter.
    ///
    /// No index knows tags: objects are looked at one by one, [`LOOKED_AT_MAX`] of them at most. So a page may be short,
    /// or empty, although [`ListPage::next`] says where the next one begins.
    pub async fn list_tagged(&self, who: &Principal, request: &ListRequest, tags: &Tags) -> Result<ListPage> {
        let limit = request.limit.clamp(1, PAGE_MAX) as usize;
        let mut found = ListPage { entries: Vec::new(), next: request.after.clone(), space: None };
        let mut looked_at = 0;
        loop {
            let after = found.next.take();
            let asked = ListRequest { delimiter: None, after, limit: PAGE_MAX, ..request.clone() };
            let page = self.list(who, &asked).await?;
            found.space = page.space;
            looked_at += page.entries.len();
            let mut entries = page.entries.into_iter();
            while let Some(entry) = entries.next() {
                let Entry::Object(object) = entry else { continue };
                if !carries(&object, tags) {
                    continue;
                }
                let cursor = cursor_of(&object, request.versions);
                found.entries.push(Entry::Object(object));
                if found.entries.len() == limit {
                    found.next = (entries.len() > 0 || page.next.is_some()).then_some(cursor);
                    return Ok(found);
                }
            }
            found.next = page.next;
            if found.next.is_none() || looked_at >= LOOKED_AT_MAX {
                return Ok(found);
            }
        }
    }
}

fn carries(object: &Object, tags: &Tags) -> bool {
    tags.iter().all(|(name, value)| object.tags.get(name) == Some(value))
}

/// Behind an object, as [`Store::list`] has it.
fn cursor_of(object: &Object, versions: bool) -> Cursor {
    match &object.key {
        Some(key) if !versions => Cursor::Key(key.as_str().to_owned()),
        Some(key) => Cursor::Version(key.as_str().to_owned(), object.id.0),
        None => Cursor::Version(String::new(), object.id.0),
    }
}
