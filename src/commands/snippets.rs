//! Examples to paste, so that a new credential works at once. No line is indented, because Python would refuse it.

use juststorage_core::application::ports::metadata::Credential;
use juststorage_core::domain::address::BucketName;
use juststorage_core::domain::principal::NamespacePattern;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::ListenConfig;

/// Characters of a key that a path shows as they are.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Name of the bucket in examples for a tenant: buckets of all tenants share their names, and every example is to work
/// beside those for others.
pub(super) fn bucket(tenant: &str) -> String {
    let name: String =
        tenant.chars().take(50).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = format!("{name}-demo");
    if BucketName::new(&name).is_ok() { name } else { "demo".to_owned() }
}

/// The first namespace that a credential is bound to by its whole name.
fn namespace(credential: &Credential) -> Option<String> {
    credential.namespaces.iter().flatten().find_map(|pattern| match pattern {
        NamespacePattern::Exact(name) => Some(name.to_string()),
        NamespacePattern::Prefix(_) => None,
    })
}

/// The first prefix of keys that it is bound to, or none.
fn prefix(credential: &Credential) -> &str {
    credential.prefixes.iter().flatten().next().map_or("", |prefix| prefix.as_str())
}

/// `text` as one word of a shell.
fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/:._-".contains(&b);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// For a bearer token of the native API.
pub(super) fn api(listen: &ListenConfig, credential: &Credential, token: &str) -> String {
    let (url, tenant) = (listen.native_url(listen.native), &credential.tenant);
    let namespace = namespace(credential).unwrap_or_else(|| "demo".to_owned());
    let prefix = utf8_percent_encode(prefix(credential), IN_PATH);
    let last = if credential.prefixes.is_some() {
        format!("'{url}/v1/objects?namespace={namespace}&tenant={tenant}&prefix={prefix}'")
    } else {
        format!("{url}/v1/usage")
    };
    format!(
        "export TOKEN={token}

# curl
echo hello > hello.txt
curl -H \"Authorization: Bearer $TOKEN\" -T hello.txt {url}/v1/objects/by-key/{namespace}/{tenant}/{prefix}hello.txt
curl -H \"Authorization: Bearer $TOKEN\" {url}/v1/objects/by-key/{namespace}/{tenant}/{prefix}hello.txt
curl -H \"Authorization: Bearer $TOKEN\" {last}"
    )
}

/// For an access key and a secret key of the S3 front.
pub(super) fn s3(
    listen: &ListenConfig,
    credential: &Credential,
    access_key: &str,
    secret_key: &str,
) -> String {
    let (url, region) = (listen.s3_public_url(listen.s3), &listen.region);
    // One that is bound to prefixes makes no bucket: its own is there.
    let (bucket, make) = match (namespace(credential), &credential.prefixes) {
        (Some(name), Some(_)) => (name, String::new()),
        (None, Some(_)) => (bucket(credential.tenant.as_str()), String::new()),
        (_, None) => {
            let bucket = bucket(credential.tenant.as_str());
            let make = format!("aws s3 mb s3://{bucket}\n");
            (bucket, make)
        }
    };
    let prefix = prefix(credential);
    let (into, list) = if prefix.is_empty() {
        (format!("s3://{bucket}/"), format!("s3://{bucket}"))
    } else {
        (word(&format!("s3://{bucket}/{prefix}hello.txt")), word(&format!("s3://{bucket}/{prefix}")))
    };
    format!(
        "export AWS_ACCESS_KEY_ID={access_key}
export AWS_SECRET_ACCESS_KEY={secret_key}
export AWS_REGION={region} AWS_ENDPOINT_URL_S3={url}

# aws
echo hello > hello.txt
{make}aws s3 cp hello.txt {into}
aws s3 ls {list}

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
