//! Versions of an upstream's bucket.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::BucketVersioningStatus;

use super::answers::{self, failure};
use crate::application::ports::upstream::{Answer, UpstreamError};
use crate::domain::mirror::versions::Listed;

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
    let mut listed = Vec::new();
    for version in output.versions().iter().filter(|version| version.key() == Some(key)) {
        let etag = Some(answers::tag(version.e_tag()));
        let id = version.version_id().unwrap_or_default().to_owned();
        let at = (version.is_latest() == Some(true), answers::time(version.last_modified()));
        listed.push((at, Listed { id, etag }));
    }
    for marker in output.delete_markers().iter().filter(|marker| marker.key() == Some(key)) {
        let id = marker.version_id().unwrap_or_default().to_owned();
        let at = (marker.is_latest() == Some(true), answers::time(marker.last_modified()));
        listed.push((at, Listed { id, etag: None }));
    }
    // Stable: those of one kind and time stay in their order.
    listed.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ok(listed.into_iter().map(|(_, listed)| listed).collect())
}
