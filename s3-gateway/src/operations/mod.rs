//! Every fact of every S3 operation, once: one row of [`table`] for each. The other modules ask the row, so that no
//! operation can be forgotten in one of them: a row without a body, a status or its actions does not compile.

pub(crate) mod documents;
mod table;
#[cfg(test)]
mod tests;

use crate::query::QueryPair;
use http::{HeaderMap, Method, StatusCode};
use juststorage_core::domain::action::Action;

use self::documents::Document;
pub(crate) use self::table::{OFFERED, Op, REFUSED};

/// The level that the path of a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// `/`.
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// An operation that the gateway carries out.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) op: Op,
    /// S3's name for it.
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    pub(crate) level: Level,
    /// Query keys that select it: all of them must be there.
    pub(crate) selectors: &'static [&'static str],
    /// The header that selects it: it is there for this operation, and refused for every other.
    pub(crate) header: Option<&'static str>,
    /// Further query keys that it knows.
    pub(crate) params: &'static [&'static str],
    /// Further headers that it alone knows. [`crate::allowlist`] lists those that every operation may have.
    pub(crate) headers: &'static [&'static str],
    /// Headers that count in the query of a presigned URL.
    pub(crate) hoists: Hoists,
    pub(crate) body: BodyKind,
    pub(crate) reader: ReadBy,
    /// The status of a success; a range of an object is answered with 206 instead.
    pub(crate) status: StatusCode,
    /// What the caller must be allowed to do, as policies name it, whatever else the request asks for. The first is
    /// what a request asks of the store where an operation does not decide otherwise.
    pub(crate) actions: &'static [Action],
    pub(crate) bucket: NamedBucket,
}

/// The bucket of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedBucket {
    /// There is none in the request.
    Unnamed,
    /// It must exist: its owner, policy and ACL count before the operation runs.
    Existing,
    /// The operation makes it: it has no owner yet.
    New,
}

/// Which headers a presigning SDK may move into the query of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hoists {
    /// None. A write refuses them; a read ignores them, as S3 does.
    Nothing,
    /// Those of `x-amz-…` that say something of an object or of its checksum.
    Amz,
    /// The same, and the standard headers that describe what is written.
    All,
}

/// How an operation treats the body of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyKind {
    /// Nothing: it is not read.
    Unread,
    /// The bytes of an object or a part, which the core verifies and counts.
    Bytes,
    /// A form with an object ([`crate::post`]).
    Form,
    /// A document of JSON, read whole.
    Json {
        /// The digests that are compared.
        digest: Digest,
        bytes_max: u64,
    },
    /// An XML document, read whole and rewritten for s3s.
    Xml {
        document: &'static Document,
        /// The digests that are compared.
        digest: Digest,
        bytes_max: u64,
    },
}

impl BodyKind {
    /// Longest document, if the body is one.
    pub(crate) fn document_bytes_max(self) -> Option<u64> {
        match self {
            Self::Json { bytes_max, .. } | Self::Xml { bytes_max, .. } => Some(bytes_max),
            Self::Unread | Self::Bytes | Self::Form => None,
        }
    }
}

/// The digests of a document that are compared with its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    /// All declared ones.
    IfDeclared,
    /// At least one must be declared.
    Required,
    /// `Content-MD5` only: the checksum headers are about something else.
    OnlyMd5,
}

/// The reader of a request once its signature is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadBy {
    /// s3s: as the request came, or with its XML document rewritten.
    S3s,
    /// s3s; if a condition is written in a way that S3 takes and s3s does not, from a request with that rewritten.
    Conditions,
    /// This crate: s3s refuses what HTTP or S3 tells a server to accept.
    Raw(Raw),
}

/// Operations that this crate reads itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raw {
    GetObject,
    HeadObject,
    PutBucketPolicy,
    /// At `//` only, which s3s takes for a bucket without a name.
    ListBuckets,
}

/// An operation of S3's that is answered with 501 and its name.
#[derive(Debug)]
pub(crate) struct NotOffered {
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    pub(crate) level: Level,
    pub(crate) selectors: &'static [&'static str],
}

impl Operation {
    const fn new(
        (op, name): (Op, &'static str),
        method: Method,
        level: Level,
        (selectors, params): (&'static [&'static str], &'static [&'static str]),
        body: BodyKind,
        (status, actions): (StatusCode, &'static [Action]),
    ) -> Self {
        let bucket = match level {
            Level::Service => NamedBucket::Unnamed,
            Level::Bucket | Level::Object => NamedBucket::Existing,
        };
        let (header, headers, hoists, reader) = (None, &[], Hoists::Nothing, ReadBy::S3s);
        Self {
            op,
            name,
            method,
            level,
            selectors,
            header,
            params,
            headers,
            hoists,
            body,
            reader,
            status,
            actions,
            bucket,
        }
    }

    /// Selected by this header beside the query.
    const fn header(mut self, header: &'static str) -> Self {
        self.header = Some(header);
        self
    }

    /// The one that knows these headers.
    const fn headers(mut self, headers: &'static [&'static str]) -> Self {
        self.headers = headers;
        self
    }

    const fn hoists(mut self, hoists: Hoists) -> Self {
        self.hoists = hoists;
        self
    }

    const fn reader(mut self, reader: ReadBy) -> Self {
        self.reader = reader;
        self
    }

    const fn bucket(mut self, bucket: NamedBucket) -> Self {
        self.bucket = bucket;
        self
    }

    /// Whether it changes nothing, by its method.
    pub(crate) fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Whether it knows `header` beside those that every operation may have.
    pub(crate) fn knows(&self, header: &str) -> bool {
        self.header == Some(header) || self.headers.contains(&header)
    }

    fn is_selected(&self, asked: &Criteria<'_>) -> bool {
        self.method == *asked.method
            && self.level == asked.level
            && asked.has_all(self.selectors)
            && self.header.is_none_or(|header| asked.headers.contains_key(header))
    }

    /// Whether it is what its method does without any query.
    fn is_plain(&self) -> bool {
        self.selectors.is_empty()
    }
}

/// The parts of a request that select an operation.
pub(crate) struct Criteria<'r> {
    pub(crate) method: &'r Method,
    pub(crate) level: Level,
    pub(crate) query: &'r [QueryPair<'r>],
    pub(crate) headers: &'r HeaderMap,
}

impl Criteria<'_> {
    /// Whether the query has this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.query.iter().any(|(present, _)| present == key)
    }

    fn has_all(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| self.has(key))
    }
}

/// The operation that a request selects.
pub(crate) enum Selection {
    Offered(&'static Operation),
    Refused(&'static NotOffered),
    Nothing,
}

/// The operation that a request selects. An operation with selectors goes before one without; of several, the first
/// row counts.
pub(crate) fn select(asked: &Criteria<'_>) -> Selection {
    let offered = OFFERED.iter().find(|operation| operation.is_selected(asked));
    if let Some(operation) = offered.filter(|operation| !operation.is_plain()) {
        return Selection::Offered(operation);
    }
    let refused = REFUSED
        .iter()
        .find(|row| row.method == *asked.method && row.level == asked.level && asked.has_all(row.selectors));
    match (refused, offered) {
        (Some(refused), _) => Selection::Refused(refused),
        (None, Some(plain)) => Selection::Offered(plain),
        (None, None) => Selection::Nothing,
    }
}

/// The row of an operation.
pub(crate) fn row(op: Op) -> Option<&'static Operation> {
    OFFERED.iter().find(|operation| operation.op == op)
}

/// The name of the operation that a client means by `x-id`, if it is refused.
pub(crate) fn refused_name(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|refused| refused.name == name).map(|refused| refused.name)
}

/// Whether `key` selects an operation of S3's, offered or not.
pub(crate) fn is_selector(key: &str) -> bool {
    OFFERED.iter().any(|operation| operation.selectors.contains(&key))
        || REFUSED.iter().any(|refused| refused.selectors.contains(&key))
}

/// Whether `header` selects an operation.
pub(crate) fn is_selecting_header(header: &str) -> bool {
    OFFERED.iter().any(|operation| operation.header == Some(header))
}
