//! Byte ranges (RFC 9110 section 14).

use super::invalid::Invalid;

/// A range as a client asks for it, before the object's size is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-` or `bytes=first-last`, both inclusive.
    From {
        /// The first byte's position.
        first: u64,
        /// The last byte's position, if given.
        last: Option<u64>,
    },
    /// `bytes=-length`: the last `length` bytes.
    Suffix(u64),
}

/// A range inside an object: `start..end`, not empty unless the object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte's position.
    pub start: u64,
    /// One past the last byte's position.
    pub end: u64,
}

impl Span {
    /// Of the whole of an object.
    pub fn whole(size: u64) -> Self {
        Self { start: 0, end: size }
    }

    /// In bytes.
    pub fn length(self) -> u64 {
        self.end - self.start
    }
}

/// The range lies wholly outside the object: HTTP 416.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the range is not satisfiable: the object has {size} bytes")]
pub struct Unsatisfiable {
    /// The object's size in bytes.
    pub size: u64,
}

impl ByteRange {
    /// Reads a `Range` header. `None` for what a server should ignore (RFC 9110 section 14.2): another
    /// unit, several ranges (S3 serves the whole object then), or bad syntax.
    pub fn from_header(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }

    /// Reads `bytes=…` strictly, for places where a bad range is an error (copy-part's source range).
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse =
            || Invalid::new("range", "must be a single bytes=first-last, bytes=first- or bytes=-length");
        let spec = text.trim().strip_prefix("bytes=").ok_or_else(refuse)?;
        let (first, last) = spec.split_once('-').ok_or_else(refuse)?;
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            // A number past u64 is past any object: saturate rather than refuse.
            plain.then(|| digits.parse().unwrap_or(u64::MAX))
        };
        match (first, last) {
            ("", last) => number(last).map(Self::Suffix).ok_or_else(refuse),
            (first, "") => number(first).map(|first| Self::From { first, last: None }).ok_or_else(refuse),
            (first, last) => match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => Ok(Self::From { first, last: Some(last) }),
                _ => Err(refuse()),
            },
        }
    }

    /// The bytes asked for of an object of `size` bytes. The last bytes of an empty object are all of it (RFC 9110
    /// section 14.1.3: a suffix longer than the object means the whole); a suffix of length 0 asks for nothing.
    pub fn resolve(self, size: u64) -> Result<Span, Unsatisfiable> {
        if let (Self::Suffix(1..), 0) = (self, size) {
            return Ok(Span::whole(0));
        }
        let span = match self {
            Self::From { first, last } => {
                Span { start: first, end: last.map_or(size, |last| last.saturating_add(1).min(size)) }
            }
            Self::Suffix(length) => Span { start: size.saturating_sub(length), end: size },
        };
        if span.start < span.end { Ok(span) } else { Err(Unsatisfiable { size }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, size: u64) -> Option<(u64, u64)> {
        ByteRange::from_header(text)?.resolve(size).ok().map(|s| (s.start, s.end))
    }

    #[test]
    fn ranges_resolve_as_the_rfc_says() {
        assert_eq!(resolve("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(resolve("bytes=2-", 10), Some((2, 10)));
        assert_eq!(resolve("bytes=-3", 10), Some((7, 10)));
        assert_eq!(resolve("bytes=-30", 10), Some((0, 10)));
        assert_eq!(resolve("bytes=8-99999999999999999999999", 10), Some((8, 10)));
        assert_eq!(resolve("bytes=10-", 10), None);
        assert_eq!(resolve("bytes=-0", 10), None);
        assert_eq!(resolve("bytes=0-", 0), None);
        assert_eq!(resolve("bytes=0-0", 0), None);
        assert_eq!(resolve("bytes=-1", 0), Some((0, 0)));
        assert_eq!(resolve("bytes=-9", 0), Some((0, 0)));
        assert_eq!(resolve("bytes=-0", 0), None);
    }

    #[test]
    fn what_cannot_be_read_is_ignored() {
        for text in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-2",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=+1-2",
            "bytes= -1",
            "bytes=0 -1",
            "bytes=0- 1",
        ] {
            assert_eq!(ByteRange::from_header(text), None, "{text}");
        }
    }
}
