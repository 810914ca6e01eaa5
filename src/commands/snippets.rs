//! Examples to paste, so that a new credential works at once. No line is indented, because Python would refuse it.

use juststorage_core::domain::address::{BucketName, Tenant};

use crate::config::ListenConfig;

/// Name of the bucket in examples for a tenant: buckets of all tenants share their names, and every example is to work
/// beside those for others.
pub(super) fn bucket(tenant: &str) -> String {
    let name: String =
        tenant.chars().take(50).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = format!("{name}-demo");
    if BucketName::new(&name).is_ok() { name } else { "demo".to_owned() }
}

/// For a bearer token of the native API.
pub(super) fn api(listen: &ListenConfig, tenant: &Tenant, token: &str) -> String {
    let url = listen.native_url(listen.native);
    format!(
        "export TOKEN={token}

# curl
curl -H \"Authorization: Bearer $TOKEN\" -H 'X-Namespace: demo' -H 'X-Tenant: {tenant}' -H 'X-Key: hello.txt' \\
  --data-binary 'hello' {url}/v1/objects
curl -H \"Authorization: Bearer $TOKEN\" {url}/v1/objects/by-key/demo/{tenant}/hello.txt
curl -H \"Authorization: Bearer $TOKEN\" {url}/v1/usage"
    )
}

/// For an access key and a secret key of the S3 front.
pub(super) fn s3(listen: &ListenConfig, tenant: &Tenant, access_key: &str, secret_key: &str) -> String {
    let (url, region) = (listen.s3_public_url(listen.s3), &listen.region);
    let bucket = bucket(tenant.as_str());
    format!(
        "export AWS_ACCESS_KEY_ID={access_key}
export AWS_SECRET_ACCESS_KEY={secret_key}
export AWS_REGION={region} AWS_ENDPOINT_URL_S3={url}

# aws
echo hello > hello.txt
aws s3 mb s3://{bucket}
aws s3 cp hello.txt s3://{bucket}/
aws s3 ls s3://{bucket}

# boto3
import boto3
s3 = boto3.client(\"s3\", endpoint_url=\"{url}\", region_name=\"{region}\",
                  aws_access_key_id=\"{access_key}\", aws_secret_access_key=\"{secret_key}\")

# curl
curl --aws-sigv4 aws:amz:{region}:s3 --user \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\" \\
  -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' {url}/

# rclone, in ~/.config/rclone/rclone.conf
[juststorage]
type = s3
provider = Other
endpoint = {url}
region = {region}
access_key_id = {access_key}
secret_access_key = {secret_key}"
    )
}
