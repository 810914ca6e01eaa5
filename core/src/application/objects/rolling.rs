//! Common prefixes: one page of anything that is ordered by key, with keys rolled up as S3 does.

use std::ops::Bound;

use super::cursor::{Cursor, PAGE_MAX};
use crate::application::error::Result;
use crate::domain::address::after_prefix;

/// Items asked for where the next may be rolled up: most of what more would bring might be skipped. As long as
/// none is, each request asks for [`MORE`] times as many as the one before.
const FEW: usize = 8;
const MORE: usize = 4;

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

/// A page being put together.
struct PageBuilder<'a, T> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    limit: usize,
    lines: Vec<Rolled<T>>,
    /// Behind the last item, or where the page begins.
    behind: Option<Cursor>,
}

/// What a page is made of next.
enum NextRead {
    /// Items, from a bound on.
    Fetch(Bound<String>, Option<uuid::Uuid>),
    /// Common prefixes, from a key on.
    Walk(String),
}

/// What the keys of a walk brought.
enum Walked {
    /// The page is full, and more would follow.
    Full,
    /// Nothing follows.
    End,
    /// Common prefixes, and others may follow.
    On,
    /// A key that stands for itself, behind common prefixes if any.
    At(String),
}

/// What items brought.
enum Fetched {
    /// The page is full, and more would follow.
    Full,
    /// Lines of their own, and then a common prefix.
    RolledUp,
    /// Lines of their own.
    All,
}

impl Rolling<'_> {
    /// Fetches one item more than fits to learn whether there is a next page, and never reads what a common
    /// prefix holds: from one prefix to the next `walk` jumps. So a page costs what it shows.
    ///
    /// `fetch` yields items from a bound on, at most so many. `walk` yields, from a key on, the keys at which
    /// the next lines begin; as few as it likes, but none only if there is none, and none behind one that is
    /// not rolled up.
    pub(crate) async fn page<T, F, W>(
        self,
        // Not an `AsyncFn`: of that one the compiler cannot yet tell that its futures are `Send`.
        fetch: impl Fn(Bound<String>, Option<uuid::Uuid>, u32) -> F,
        walk: impl Fn(String, u32) -> W,
        cursor_of: impl Fn(&T) -> Cursor,
    ) -> Result<(Vec<Rolled<T>>, Option<Cursor>)>
    where
        F: Future<Output = Result<Vec<T>>>,
        W: Future<Output = Result<Vec<String>>>,
    {
        let limit = self.limit.min(PAGE_MAX) as usize;
        if limit == 0 {
            return Ok((Vec::new(), None));
        }
        let delimiter = self.delimiter.filter(|delimiter| !delimiter.is_empty());
        let lines = Vec::with_capacity(limit.min(64));
        let mut page = PageBuilder { prefix: self.prefix, delimiter, limit, lines, behind: self.after };
        let behind = |page: &PageBuilder<'_, T>| begin(page.after().as_ref(), self.prefix, self.from_start);
        // Where keys are rolled up, most keys usually are: begin with a walk.
        let mut step = match behind(&page) {
            Some((Bound::Included(key), None)) if delimiter.is_some() => NextRead::Walk(key),
            Some((from, from_id)) => NextRead::Fetch(from, from_id),
            None => return Ok((page.lines, None)),
        };
        let few = if delimiter.is_some() { FEW } else { usize::MAX };
        let mut at_once = few;
        loop {
            let next = match step {
                NextRead::Walk(key) => {
                    let keys = walk(key, count(page.room())).await?;
                    match page.add_prefixes(keys) {
                        Walked::Full => return Ok(page.cut()),
                        Walked::End => None,
                        Walked::On => page.next_prefix().map(NextRead::Walk),
                        Walked::At(key) => {
                            at_once = few;
                            Some(NextRead::Fetch(Bound::Included(key), None))
                        }
                    }
                }
                NextRead::Fetch(from, from_id) => {
                    let wanted = page.room().min(at_once);
                    let items = fetch(from, from_id, count(wanted)).await?;
                    let exhausted = items.len() < wanted;
                    match page.add_items(items, &cursor_of) {
                        Fetched::Full => return Ok(page.cut()),
                        Fetched::RolledUp => page.next_prefix().map(NextRead::Walk),
                        Fetched::All if exhausted => None,
                        Fetched::All => {
                            at_once = at_once.saturating_mul(MORE);
                            behind(&page).map(|(from, from_id)| NextRead::Fetch(from, from_id))
                        }
                    }
                }
            };
            let Some(next) = next else { return Ok((page.lines, None)) };
            step = next;
        }
    }
}

impl<T> PageBuilder<'_, T> {
    /// What fits, and one more.
    fn room(&self) -> usize {
        self.limit + 1 - self.lines.len()
    }

    /// Behind the last line, or where the page begins.
    fn after(&self) -> Option<Cursor> {
        match self.lines.last() {
            Some(Rolled::Prefix(common)) => Some(Cursor::Prefix(common.clone())),
            _ => self.behind.clone(),
        }
    }

    /// The lines, and where the next page begins.
    fn cut(self) -> (Vec<Rolled<T>>, Option<Cursor>) {
        let after = self.after();
        (self.lines, after)
    }

    /// Adds the common prefix of a key, if it has one.
    fn roll_up(&mut self, key: &str) -> bool {
        let Some(common) = common_prefix(key, self.prefix, self.delimiter) else { return false };
        self.lines.push(Rolled::Prefix(common.to_owned()));
        true
    }

    /// Where keys may lie behind the line that was added last, a common prefix.
    fn next_prefix(&self) -> Option<String> {
        self.after().and_then(|common| after_prefix(common.key()))
    }

    /// Adds the lines at which keys that a walk yielded begin.
    fn add_prefixes(&mut self, keys: Vec<String>) -> Walked {
        if keys.is_empty() {
            return Walked::End;
        }
        for key in keys {
            if self.lines.len() == self.limit {
                return Walked::Full;
            }
            if !self.roll_up(&key) {
                return Walked::At(key);
            }
        }
        Walked::On
    }

    /// Adds items up to the first that is rolled up, which becomes a common prefix.
    fn add_items(&mut self, items: Vec<T>, cursor_of: impl Fn(&T) -> Cursor) -> Fetched {
        for item in items {
            if self.lines.len() == self.limit {
                return Fetched::Full;
            }
            let cursor = cursor_of(&item);
            if self.roll_up(cursor.key()) {
                return Fetched::RolledUp;
            }
            self.behind = Some(cursor);
            self.lines.push(Rolled::Item(item));
        }
        Fetched::All
    }
}

/// A page's size as a port takes it.
fn count(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(PAGE_MAX)
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
        Some(Cursor::Prefix(common)) => after_prefix(common).map(|next| (Bound::Included(next), None)),
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Pages of these keys, one after the other, and how many items and keys they asked for.
    async fn pages(
        keys: &[String],
        prefix: &str,
        delimiter: Option<&str>,
        limit: u32,
    ) -> (Vec<String>, usize) {
        let (asked, mut all, mut after) = (Mutex::new(0), Vec::new(), None);
        let behind = |from: &Bound<String>, key: &str| match from {
            Bound::Unbounded => true,
            Bound::Included(from) => key >= from.as_str(),
            Bound::Excluded(from) => key > from.as_str(),
        };
        let fetch = |from: Bound<String>, _: Option<uuid::Uuid>, limit: u32| {
            let found = keys.iter().filter(|key| key.starts_with(prefix) && behind(&from, key));
            let found: Vec<String> = found.take(limit as usize).cloned().collect();
            *asked.lock().unwrap() += found.len();
            async { Ok(found) }
        };
        // One at a time: as few as a walk may yield.
        let walk = |from: String, _: u32| {
            let found: Vec<_> = keys
                .iter()
                .find(|key| key.starts_with(prefix) && **key >= from)
                .cloned()
                .into_iter()
                .collect();
            *asked.lock().unwrap() += found.len();
            async { Ok(found) }
        };
        loop {
            let rolling = Rolling { prefix, delimiter, after, limit, from_start: false };
            let cursor_of = |key: &String| Cursor::Key(key.clone());
            let (lines, next) = rolling.page(fetch, walk, cursor_of).await.unwrap();
            assert!(lines.len() <= limit as usize && (next.is_none() || lines.len() == limit as usize));
            all.extend(lines.into_iter().map(|line| match line {
                Rolled::Item(key) => key,
                Rolled::Prefix(common) => format!("{common}*"),
            }));
            after = next;
            if after.is_none() {
                return (all, asked.into_inner().unwrap());
            }
        }
    }

    /// Any page size, prefixes and plain keys in turns: what a listing without pages would roll up.
    #[tokio::test]
    async fn pages_join_whatever_is_rolled_up() {
        let mut keys: Vec<String> = Vec::new();
        for n in 0..40 {
            keys.push(format!("p/{n:02}"));
            keys.extend((0..n % 4).map(|m| format!("p/{n:02}d/{m}")));
        }
        keys.extend((0..90).map(|n| format!("p/z/{n:02}")));
        keys.push("q".to_owned());
        keys.sort();
        for (prefix, delimiter) in [("", None), ("p/", Some("/")), ("", Some("/")), ("p/0", Some("d/"))] {
            let mut expected: Vec<String> = Vec::new();
            for key in keys.iter().filter(|key| key.starts_with(prefix)) {
                let line = common_prefix(key, prefix, delimiter).map_or(key.clone(), |c| format!("{c}*"));
                if expected.last() != Some(&line) {
                    expected.push(line);
                }
            }
            for limit in [1, 2, 3, 7, 64, 1000] {
                assert_eq!(pages(&keys, prefix, delimiter, limit).await.0, expected, "{prefix} {limit}");
            }
        }
    }

    /// What lies under a common prefix is never read, however much it is.
    #[tokio::test]
    async fn a_page_costs_what_it_shows() {
        let keys: Vec<_> = (0..50).flat_map(|n| (0..200).map(move |m| format!("{n:02}/{m:03}"))).collect();
        let (lines, asked) = pages(&keys, "", Some("/"), 1000).await;
        assert_eq!(lines.len(), 50);
        assert!(asked <= FEW + 50, "{asked} keys read for 50 lines");
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
