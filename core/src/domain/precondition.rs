//! Conditional requests (RFC 9110 section 13, and S3's conditional writes).

use super::etag::Etag;
use super::invalid::Invalid;
use super::timestamp::Timestamp;

/// The value of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtagCondition {
    /// `*`: anything that exists.
    Any,
    /// One of these. A weak tag (`W/"…"`) is compared by its text (weak comparison suffices: the store
    /// makes strong tags only, so a weak tag that a proxy made still names the same bytes).
    Of(Vec<Etag>),
}

impl EtagCondition {
    /// Reads the header's value. `""` and `W/""` are tags too (RFC 9110 section 8.8.3), which match nothing: no
    /// object has an empty one. A header without any value is none.
    pub fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        if text.trim() == "*" || text.trim() == "\"*\"" {
            return Ok(Self::Any);
        }
        let tags = text
            .split(',')
            .map(str::trim)
            .map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
            .filter(|tag| *tag != "\"\"")
            .map(Etag::parse)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Invalid::new(field, "must be * or a list of entity tags"))?;
        Ok(Self::Of(tags))
    }

    fn matches(&self, etag: &Etag) -> bool {
        match self {
            Self::Any => true,
            Self::Of(tags) => tags.contains(etag),
        }
    }
}

/// The conditions of one request, whichever front they came through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// Only if the current tag is among these.
    pub if_match: Option<EtagCondition>,
    /// Only if the current tag is not among these.
    pub if_none_match: Option<EtagCondition>,
    /// Only if changed after this second.
    pub if_modified_since: Option<Timestamp>,
    /// Only if not changed after this second.
    pub if_unmodified_since: Option<Timestamp>,
    /// Only if changed in this very second; deletes only.
    pub if_modified_at: Option<Timestamp>,
    /// Only if it has this many bytes; deletes only.
    pub if_size: Option<u64>,
}

/// What the conditions say of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadDecision {
    /// Serve it.
    Proceed,
    /// 304: the client has it already.
    NotModified,
    /// 412: a condition failed.
    Failed,
}

/// What the conditions say of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteDecision {
    /// Go on.
    Proceed,
    /// 412: a condition failed.
    Failed,
    /// 404: `If-Match` on a key that does not exist, as S3 answers it.
    Missing,
}

impl Preconditions {
    /// The conditions as text, equal exactly for equal conditions: for the record of what was asked.
    pub fn as_asked(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let tags = |condition: &Option<EtagCondition>| match condition {
            None => String::new(),
            Some(EtagCondition::Any) => "*".to_owned(),
            Some(EtagCondition::Of(tags)) => tags.iter().map(Etag::to_string).collect::<Vec<_>>().join(","),
        };
        let time = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.millis().to_string());
        [
            tags(&self.if_match),
            tags(&self.if_none_match),
            time(self.if_modified_since),
            time(self.if_unmodified_since),
            time(self.if_modified_at),
            self.if_size.map_or_else(String::new, |size| size.to_string()),
        ]
        .join(" ")
    }

    /// Whether there is nothing to check.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Decides a read of an object with this tag and modification time, in the order of RFC 9110
    /// section 13.2.2. Times compare in whole seconds, the precision of the headers.
    pub fn decide_read(&self, etag: &Etag, modified: Timestamp) -> ReadDecision {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.matches(etag) => return ReadDecision::Failed,
            (None, Some(since)) if modified.seconds() > since.seconds() => return ReadDecision::Failed,
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.matches(etag) => ReadDecision::NotModified,
            (None, Some(since)) if modified.seconds() <= since.seconds() => ReadDecision::NotModified,
            _ => ReadDecision::Proceed,
        }
    }

    /// Decides a read of a copy's source: as a read, but what would be 304 is 412 (S3 `CopyObject`,
    /// "x-amz-copy-source-if-none-match").
    pub fn decide_copy_source(&self, etag: &Etag, modified: Timestamp) -> ReadDecision {
        match self.decide_read(etag, modified) {
            ReadDecision::NotModified => ReadDecision::Failed,
            decision => decision,
        }
    }

    /// Decides a write or delete over what is current. Called inside the metadata transaction only.
    pub fn decide_write(&self, current: Option<(&Etag, Timestamp)>) -> WriteDecision {
        match (&self.if_match, current) {
            (Some(_), None) => return WriteDecision::Missing,
            (Some(tags), Some((etag, _))) if !tags.matches(etag) => return WriteDecision::Failed,
            _ => {}
        }
        match (&self.if_none_match, current) {
            (Some(tags), Some((etag, _))) if tags.matches(etag) => return WriteDecision::Failed,
            _ => {}
        }
        match (self.if_unmodified_since, current) {
            (Some(since), Some((_, modified))) if modified.seconds() > since.seconds() => {
                WriteDecision::Failed
            }
            _ => WriteDecision::Proceed,
        }
    }
}

/// What is current, as far as conditions ask.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// Its tag; a delete marker has none that a client could know.
    pub etag: Option<&'a Etag>,
    /// When it was last changed.
    pub modified: Timestamp,
    /// Its size in bytes.
    pub size: u64,
}

impl Preconditions {
    /// Decides a delete of a key, whose latest version is `latest`. To `If-Match` a delete marker is a missing key,
    /// as on writes. Called inside the metadata transaction only.
    pub fn decide_delete_of_key(&self, latest: Option<Current<'_>>) -> WriteDecision {
        match latest {
            Some(Current { etag: None, .. }) if self.if_match.is_some() => WriteDecision::Missing,
            latest => self.decide_delete(latest),
        }
    }

    /// Decides a delete of one version. `If-Match` asks for what is there, so a missing version is 404, as AWS
    /// answers; other conditions protect what is there, and nothing there needs no protection. A delete marker
    /// matches `*` and no tag. Called inside the metadata transaction only.
    pub fn decide_delete(&self, current: Option<Current<'_>>) -> WriteDecision {
        let Some(Current { etag, modified, size }) = current else {
            return if self.if_match.is_some() { WriteDecision::Missing } else { WriteDecision::Proceed };
        };
        let matches = |tags: &EtagCondition| {
            etag.map_or_else(|| *tags == EtagCondition::Any, |etag| tags.matches(etag))
        };
        let holds = self.if_match.as_ref().is_none_or(matches)
            && !self.if_none_match.as_ref().is_some_and(matches)
            && self.if_unmodified_since.is_none_or(|since| modified.seconds() <= since.seconds())
            && self.if_modified_at.is_none_or(|at| modified.seconds() == at.seconds())
            && self.if_size.is_none_or(|asked| asked == size);
        if holds { WriteDecision::Proceed } else { WriteDecision::Failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Etag {
        Etag::parse(text).unwrap()
    }

    #[allow(clippy::unnecessary_wraps)] // the fields it fills are options
    fn of(text: &str) -> Option<EtagCondition> {
        Some(EtagCondition::parse("if-match", text).unwrap())
    }

    #[test]
    fn lists_weak_tags_and_stars_are_read() {
        assert_eq!(of("*"), Some(EtagCondition::Any));
        assert_eq!(of("\"a\", W/\"b\""), Some(EtagCondition::Of(vec![tag("a"), tag("b")])));
        assert!(EtagCondition::parse("if-match", "\"a\",,").is_err());
        for nothing in ["\"\"", "W/\"\"", "\"\", W/\"\""] {
            assert_eq!(of(nothing), Some(EtagCondition::Of(Vec::new())), "{nothing}");
        }
        assert_eq!(of("\"\", \"a\""), Some(EtagCondition::Of(vec![tag("a")])));
        for none in ["", " ", "W/", ","] {
            assert!(EtagCondition::parse("if-match", none).is_err(), "{none}");
        }
    }

    #[test]
    fn reads_follow_the_rfc_order() {
        let at = Timestamp(10_500);
        let read = |p: Preconditions| p.decide_read(&tag("a"), at);
        let none = Preconditions::default();
        assert_eq!(read(none.clone()), ReadDecision::Proceed);
        assert_eq!(read(Preconditions { if_match: of("\"b\""), ..none.clone() }), ReadDecision::Failed);
        assert_eq!(
            read(Preconditions { if_none_match: of("\"a\""), ..none.clone() }),
            ReadDecision::NotModified
        );
        // If-Match that holds outweighs If-Unmodified-Since that does not.
        let both =
            Preconditions { if_match: of("\"a\""), if_unmodified_since: Some(Timestamp(0)), ..none.clone() };
        assert_eq!(read(both), ReadDecision::Proceed);
        // If-None-Match that does not match outweighs If-Modified-Since.
        let both = Preconditions { if_none_match: of("\"b\""), if_modified_since: Some(at), ..none.clone() };
        assert_eq!(read(both), ReadDecision::Proceed);
        // Whole seconds: modified at 10.5 s counts as not modified since 10 s.
        let since = Preconditions { if_modified_since: Some(Timestamp(10_000)), ..none.clone() };
        assert_eq!(read(since), ReadDecision::NotModified);
        let until = Preconditions { if_unmodified_since: Some(Timestamp(9_999)), ..none };
        assert_eq!(read(until), ReadDecision::Failed);
    }

    #[test]
    fn writes_distinguish_missing_from_failed() {
        let none = Preconditions::default();
        let if_match = Preconditions { if_match: of("\"a\""), ..none.clone() };
        let create = Preconditions { if_none_match: of("*"), ..none.clone() };
        let (a, b) = (tag("a"), tag("b"));
        let at = Timestamp(0);
        assert_eq!(none.decide_write(None), WriteDecision::Proceed);
        assert_eq!(if_match.decide_write(None), WriteDecision::Missing);
        let empty = Preconditions { if_match: of("\"\""), ..none.clone() };
        assert_eq!(empty.decide_write(None), WriteDecision::Missing);
        assert_eq!(empty.decide_write(Some((&a, at))), WriteDecision::Failed);
        assert_eq!(empty.decide_read(&a, at), ReadDecision::Failed);
        assert_eq!(if_match.decide_write(Some((&a, at))), WriteDecision::Proceed);
        assert_eq!(if_match.decide_write(Some((&b, at))), WriteDecision::Failed);
        assert_eq!(create.decide_write(None), WriteDecision::Proceed);
        assert_eq!(create.decide_write(Some((&a, at))), WriteDecision::Failed);
    }

    #[test]
    fn deletes_protect_what_is_there_and_nothing_else() {
        let none = Preconditions::default();
        let a = tag("a");
        let current = Some(Current { etag: Some(&a), modified: Timestamp(10_500), size: 3 });
        let marker = Some(Current { etag: None, modified: Timestamp(10_500), size: 0 });
        let decide = |p: &Preconditions, current| p.decide_delete(current) == WriteDecision::Proceed;
        let any = Preconditions { if_match: of("*"), ..none.clone() };
        let right = Preconditions { if_match: of("\"a\""), ..none.clone() };
        let wrong = Preconditions { if_match: of("\"b\""), ..none.clone() };
        for (conditions, on_object, on_marker) in
            [(&none, true, true), (&any, true, true), (&right, true, false), (&wrong, false, false)]
        {
            assert_eq!(decide(conditions, current), on_object, "{conditions:?}");
            assert_eq!(decide(conditions, marker), on_marker, "{conditions:?}");
        }
        for conditions in [&any, &right, &wrong] {
            assert_eq!(conditions.decide_delete(None), WriteDecision::Missing, "{conditions:?}");
            assert_eq!(conditions.decide_delete_of_key(None), WriteDecision::Missing, "{conditions:?}");
            assert_eq!(conditions.decide_delete_of_key(marker), WriteDecision::Missing, "{conditions:?}");
        }
        assert_eq!(none.decide_delete_of_key(marker), WriteDecision::Proceed);
        assert_eq!(wrong.decide_delete_of_key(current), WriteDecision::Failed);
        let at = |millis| Preconditions { if_modified_at: Some(Timestamp(millis)), ..none.clone() };
        assert!(decide(&at(10_000), current) && !decide(&at(11_000), current));
        let size = |bytes| Preconditions { if_size: Some(bytes), ..none.clone() };
        assert!(decide(&size(3), current) && !decide(&size(4), current) && decide(&size(4), None));
    }
}
