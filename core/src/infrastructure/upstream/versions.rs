//! Versions of an upstream's bucket.

use std::cmp::Reverse;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::BucketVersioningStatus;

use super::answers::{self, failure};
use crate::application::ports::upstream::{
    Answer, UpstreamError, VersionsAfter, VersionsPage, VersionsQuery,
};
use crate::domain::mirror::versions::Listed;
use crate::domain::upstream::Target;

/// Versions of a page.
const VERSIONS: i32 = 1000;

/// Whether a bucket keeps versions: of one that does not tell, not.
pub(super) async fn are_kept(client: &Client, bucket: &str) -> Answer<bool> {
    match client.get_bucket_versioning().bucket(bucket).send().await.map_err(failure) {
        Ok(output) => Ok(output.status() == Some(&BucketVersioningStatus::Enabled)),
        // Not every store has this call, nor may every credential make it.
        Err(UpstreamError::Unusable(_) | UpstreamError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The newest versions of a key, in descending order. A listing has versions and delete markers apart from each other, each in
/// its order; of those of a key their time puts them together, and where that is the same, what is the latest.
pub(super) async fn of_key(client: &Client, bucket: &str, key: &str) -> Answer<Vec<Listed>> {
    let request = client.list_object_versions().bucket(bucket).prefix(key).max_keys(VERSIONS);
    let output = request.send().await.map_err(failure)?;
    let listed = lines(&output).filter(|(of, _)| *of == Some(key)).map(|(_, listed)| listed);
    let mut listed: Vec<_> = listed.collect();
    // Stable: those of one kind and time stay in their order.
    listed.sort_by_key(|listed| Reverse((listed.is_latest, listed.modified)));
    Ok(listed)
}

/// A page of the versions of all keys below a prefix, in the order of their keys.
pub(super) async fn page(client: &Client, target: &Target, query: &VersionsQuery) -> Answer<VersionsPage> {
    let request = client.list_object_versions().bucket(&target.bucket).prefix(&target.prefix);
    let request = request.max_keys(i32::try_from(query.limit.clamp(1, 1000)).unwrap_or(1000));
    let request = match &query.after {
        VersionsAfter::Nothing => request,
        VersionsAfter::Key(key) => request.key_marker(target.remote(key)),
        VersionsAfter::Version(key, version) => {
            request.key_marker(target.remote(key)).version_id_marker(version)
        }
    };
    let output = request.send().await.map_err(failure)?;
    let local = |key: &str| key.strip_prefix(target.prefix.as_str()).map(str::to_owned);
    let mut page = VersionsPage::default();
    if output.is_truncated() == Some(true) {
        let (key, version) = (output.next_key_marker().and_then(local), output.next_version_id_marker());
        page.next = match (key, version) {
            (Some(key), Some(version)) => VersionsAfter::Version(key, version.to_owned()),
            (Some(key), None) => VersionsAfter::Key(key),
            (None, _) => {
                let why = "a page of a listing does not say where the next begins";
                return Err(UpstreamError::Unusable(why.to_owned()));
            }
        };
    }
    for (key, listed) in lines(&output) {
        let Some(key) = key.and_then(local).filter(|key| !key.is_empty()) else { continue };
        page.lines.push((key, listed));
    }
    // Stable: those of one kind stay in their order.
    page.lines.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(page)
}

/// Versions, and then delete markers, each in their order; and their keys there.
fn lines(output: &ListObjectVersionsOutput) -> impl Iterator<Item = (Option<&str>, Listed)> {
    let versions = output.versions().iter().map(|version| {
        let size = version.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        let listed = Listed {
            id: version.version_id().unwrap_or_default().to_owned(),
            etag: Some(answers::tag(version.e_tag())),
            size,
            modified: answers::time(version.last_modified()),
            is_latest: version.is_latest() == Some(true),
        };
        (version.key(), listed)
    });
    let markers = output.delete_markers().iter().map(|marker| {
        let listed = Listed {
            id: marker.version_id().unwrap_or_default().to_owned(),
            etag: None,
            size: 0,
            modified: answers::time(marker.last_modified()),
            is_latest: marker.is_latest() == Some(true),
        };
        (marker.key(), listed)
    });
    versions.chain(markers)
}
