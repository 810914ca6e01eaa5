//! Listings of objects: both versions of the call, and versions of objects.

use juststorage_core::application::objects::list::{Cursor, Entry, Line, ListPage, ListRequest, PAGE_MAX};
use juststorage_core::application::objects::rolling::common_prefix;
use juststorage_core::application::ports::metadata::SpaceRef;
use juststorage_core::domain::object::Listed;
use s3s::dto::{
    CommonPrefix, DeleteMarkerEntry, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ObjectStorageClass,
    ObjectVersion, ObjectVersionStorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use crate::api::Api;
use crate::auth::{note_namespace, who};
use crate::dto::values::{self, Encoding, count};
use crate::dto::{address, checksums};
use crate::errors::{translate, wrong_argument};

/// Start of a listing after `marker`. If the marker is a rolled-up prefix, the listing starts after all keys with
/// this prefix; otherwise it would list the same prefix for ever.
fn behind(marker: &str, prefix: &str, delimiter: Option<&str>) -> Option<Cursor> {
    if marker.is_empty() {
        return None;
    }
    let marker = marker.to_owned();
    if common_prefix(&marker, prefix, delimiter).is_some_and(|common| common == marker) {
        return Some(Cursor::Prefix(marker));
    }
    Some(Cursor::Key(marker))
}

/// An empty value counts as absent.
fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|value| !value.is_empty())
}

/// The parameters that listings of objects, versions and uploads share.
pub(super) struct Asked<'a> {
    bucket: &'a str,
    pub(super) prefix: &'a str,
    pub(super) delimiter: Option<&'a str>,
    /// Most entries.
    pub(super) limit: u32,
    encoding: Encoding,
}

/// [`Asked::read`] for an input. The inputs of listings share the names of their fields but no type; only the field
/// of the page size has a name of its own, as on S3.
macro_rules! asked {
    ($input:expr, $size:ident: $size_name:literal) => {
        $crate::ops::listing::Asked::read(
            &$input.bucket,
            ($input.$size, $size_name),
            $input.encoding_type.as_ref(),
            $input.prefix.as_deref(),
            $input.delimiter.as_deref(),
        )
    };
}

pub(super) use asked;

impl<'a> Asked<'a> {
    /// From a request; the page size comes with its name.
    pub(super) fn read(
        bucket: &'a str,
        (size, size_name): (Option<i32>, &str),
        encoding: Option<&EncodingType>,
        prefix: Option<&'a str>,
        delimiter: Option<&'a str>,
    ) -> S3Result<Self> {
        Ok(Self {
            bucket,
            limit: values::page_size(size, PAGE_MAX, size_name)?,
            encoding: Encoding::asked(encoding)?,
            prefix: prefix.unwrap_or_default(),
            delimiter: given(delimiter),
        })
    }

    /// Start of the listing after `marker`.
    pub(super) fn behind(&self, marker: &str) -> Option<Cursor> {
        behind(marker, self.prefix, self.delimiter)
    }

    /// The place to list.
    pub(super) fn place(&self) -> S3Result<SpaceRef> {
        address::place(self.bucket)
    }

    /// The encoding of an answer with these keys, the prefix and the delimiter.
    pub(super) fn fitting<'k>(&'k self, shown: impl Iterator<Item = &'k str>) -> Encoding {
        self.encoding.fitting(shown.chain([self.prefix]).chain(self.delimiter))
    }

    /// The encoded delimiter.
    pub(super) fn delimiter_in(&self, encoding: Encoding) -> Option<String> {
        self.delimiter.map(|delimiter| encoding.write(delimiter))
    }

    fn request(&self, after: Option<Cursor>, versions: bool) -> S3Result<ListRequest> {
        Ok(ListRequest {
            place: self.place()?,
            prefix: self.prefix.to_owned(),
            delimiter: self.delimiter.map(str::to_owned),
            after,
            versions,
            keyless: false,
            limit: self.limit,
        })
    }
}

async fn latest<T>(api: &Api, request: &S3Request<T>, list: &ListRequest) -> S3Result<ListPage<Listed>> {
    Ok(noted(api.store.list_latest(who(request)?, list).await.map_err(translate)?))
}

/// The page; adds its space to the log.
fn noted<T>(page: ListPage<T>) -> ListPage<T> {
    if let Some(space) = &page.space {
        note_namespace(space.address.namespace.as_str());
    }
    page
}

/// The keys and prefixes of a page.
fn keys<T: Line>(page: &ListPage<T>) -> impl Iterator<Item = &str> {
    page.entries.iter().map(Entry::key)
}

fn contents(
    page: &ListPage<Listed>,
    encoding: Encoding,
    owners: bool,
) -> (Vec<s3s::dto::Object>, Vec<CommonPrefix>) {
    let (mut objects, mut prefixes) = (Vec::with_capacity(page.entries.len()), Vec::new());
    let owner = page.space.as_ref().filter(|_| owners).map(|space| values::owner(&space.address.tenant));
    for entry in &page.entries {
        match entry {
            Entry::Prefix(prefix) => prefixes.push(CommonPrefix { prefix: Some(encoding.write(prefix)) }),
            Entry::Object(object) => objects.push(s3s::dto::Object {
                key: Some(encoding.write(object.key.as_str())),
                last_modified: Some(values::timestamp(object.created_at)),
                e_tag: Some(values::etag(&object.etag)),
                size: Some(values::size(object.size)),
                storage_class: Some(ObjectStorageClass::from_static(values::class(
                    object.class,
                    object.class_name,
                ))),
                owner: owner.clone(),
                checksum_algorithm: object
                    .checksum
                    .as_ref()
                    .map(|checksum| vec![checksums::algorithm_out(checksum.algorithm)]),
                checksum_type: object.checksum.as_ref().map(|checksum| checksums::kind_out(checksum.kind)),
                ..s3s::dto::Object::default()
            }),
        }
    }
    (objects, prefixes)
}

pub(crate) async fn v1(
    api: &Api,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = &request.input;
    let asked = asked!(input, max_keys: "max-keys")?;
    let marker = input.marker.as_deref().unwrap_or_default();
    let page = latest(api, &request, &asked.request(asked.behind(marker), false)?).await?;
    let encoding = asked.fitting(keys(&page).chain([marker]));
    let (contents, prefixes) = contents(&page, encoding, true);
    let output = ListObjectsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(encoding.write(asked.prefix)),
        marker: Some(encoding.write(marker)),
        max_keys: Some(count(asked.limit)),
        is_truncated: Some(page.next.is_some()),
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        delimiter: asked.delimiter_in(encoding),
        // S3 sends it with a delimiter only; old clients need it always.
        next_marker: page.next.as_ref().map(|next| encoding.write(next.key())),
        encoding_type: encoding.echo(),
        ..ListObjectsOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(crate) async fn v2(
    api: &Api,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = &request.input;
    let asked = asked!(input, max_keys: "max-keys")?;
    let start_after = input.start_after.as_deref();
    let after = match given(input.continuation_token.as_deref()) {
        Some(token) => Some(Cursor::decode(token).map_err(|_| {
            let why = "The continuation token provided is incorrect";
            wrong_argument("continuation-token", token, why)
        })?),
        None => start_after.and_then(|key| asked.behind(key)),
    };
    let page = latest(api, &request, &asked.request(after, false)?).await?;
    let encoding = asked.fitting(keys(&page).chain(start_after));
    let (contents, prefixes) = contents(&page, encoding, input.fetch_owner == Some(true));
    let output = ListObjectsV2Output {
        name: Some(input.bucket.clone()),
        prefix: Some(encoding.write(asked.prefix)),
        max_keys: Some(count(asked.limit)),
        key_count: Some(i32::try_from(page.entries.len()).unwrap_or(i32::MAX)),
        continuation_token: input.continuation_token.clone(),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_ref().map(Cursor::encode),
        contents: Some(contents),
        common_prefixes: Some(prefixes),
        delimiter: asked.delimiter_in(encoding),
        encoding_type: encoding.echo(),
        start_after: start_after.map(|key| encoding.write(key)),
        ..ListObjectsV2Output::default()
    };
    Ok(S3Response::new(output))
}

/// Versions and delete markers. In a bucket that never had versioning, each object is the version `null` of its key.
pub(crate) async fn versions(
    api: &Api,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = &request.input;
    let asked = asked!(input, max_keys: "max-keys")?;
    let marker = input.key_marker.as_deref().unwrap_or_default();
    let after = match given(input.version_id_marker.as_deref()) {
        None => asked.behind(marker),
        Some(version) if marker.is_empty() => {
            let why = "A version-id marker cannot be specified without a key marker.";
            return Err(wrong_argument("version-id-marker", version, why));
        }
        Some(version) => Some(
            uuid::Uuid::try_parse(version)
                .map(|id| Cursor::Version(marker.to_owned(), id))
                .map_err(|_| wrong_argument("version-id-marker", version, "Invalid version id specified"))?,
        ),
    };
    let list = asked.request(after, true)?;
    let page = noted(api.store.list(who(&request)?, &list).await.map_err(translate)?);
    let encoding = asked.fitting(keys(&page).chain([marker]));
    let (mut versions, mut markers, mut prefixes) = (Vec::new(), Vec::new(), Vec::new());
    for entry in &page.entries {
        let object = match entry {
            Entry::Prefix(common) => {
                prefixes.push(CommonPrefix { prefix: Some(encoding.write(common)) });
                continue;
            }
            Entry::Object(object) => object,
        };
        let key = Some(encoding.write(entry.key()));
        let version_id = Some(object.s3_version_id().unwrap_or_else(|| "null".to_owned()));
        let last_modified = Some(values::timestamp(object.created_at));
        let owner = Some(values::owner(&object.address.tenant));
        let is_latest = Some(object.is_latest);
        if object.is_delete_marker() {
            markers.push(DeleteMarkerEntry { is_latest, key, last_modified, owner, version_id });
        } else {
            versions.push(ObjectVersion {
                is_latest,
                key,
                last_modified,
                owner,
                version_id,
                e_tag: Some(values::etag(&object.etag)),
                size: Some(values::size(object.size())),
                checksum_algorithm: object
                    .checksum
                    .as_ref()
                    .map(|checksum| vec![checksums::algorithm_out(checksum.algorithm)]),
                checksum_type: object.checksum.as_ref().map(|checksum| checksums::kind_out(checksum.kind)),
                storage_class: Some(ObjectVersionStorageClass::from_static(values::class(
                    object.class,
                    object.class_name,
                ))),
                ..ObjectVersion::default()
            });
        }
    }
    // The next page begins at an object's id, whatever version id the entry shows.
    let next_version = match &page.next {
        Some(Cursor::Version(_, id)) => Some(id.to_string()),
        _ => None,
    };
    let output = ListObjectVersionsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(encoding.write(asked.prefix)),
        key_marker: Some(encoding.write(marker)),
        version_id_marker: Some(input.version_id_marker.clone().unwrap_or_default()),
        max_keys: Some(count(asked.limit)),
        is_truncated: Some(page.next.is_some()),
        next_key_marker: page.next.as_ref().map(|next| encoding.write(next.key())),
        next_version_id_marker: next_version,
        versions: Some(versions),
        delete_markers: Some(markers),
        common_prefixes: Some(prefixes),
        delimiter: asked.delimiter_in(encoding),
        encoding_type: encoding.echo(),
        ..ListObjectVersionsOutput::default()
    };
    Ok(S3Response::new(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_that_is_a_common_prefix_skips_it_whole() {
        let key = |text: &str| Some(Cursor::Key(text.to_owned()));
        let prefix = |text: &str| Some(Cursor::Prefix(text.to_owned()));
        assert_eq!(behind("a/", "", Some("/")), prefix("a/"));
        assert_eq!(behind("a/b", "", Some("/")), key("a/b"));
        assert_eq!(behind("a/", "", None), key("a/"));
        assert_eq!(behind("a/b/", "a/", Some("/")), prefix("a/b/"));
        assert_eq!(behind("a/b/", "", Some("/")), key("a/b/"));
        assert_eq!(behind("", "", Some("/")), None);
    }
}
