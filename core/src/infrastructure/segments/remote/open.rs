//! From a URL and options to the client of an object store.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::RetryConfig;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;

use super::RemoteSegments;
use super::bucket::{Bucket, Objects};
use super::credentials::{FileCredentials, Reread, Secret};
use super::transport::Connector;

/// Whose protocol an object store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    S3,
    Google,
    Azure,
}

/// A prefix of a bucket of an object store, and the options of its client. Shown without the options: they have secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ObjectStoreUrl {
    url: String,
    protocol: Protocol,
    prefix: Path,
    options: Vec<(String, String)>,
    /// Options whose values lie in files, and were read from there.
    files: Vec<(String, PathBuf)>,
}

impl ObjectStoreUrl {
    /// Parses `s3://bucket/prefix`, `gs://…` or `az://…`; `None` for every other scheme. The error says what is wrong.
    pub fn parse(url: &str) -> Option<Result<Self, String>> {
        let (scheme, rest) = url.split_once("://")?;
        let protocol = match scheme {
            "s3" => Protocol::S3,
            "gs" => Protocol::Google,
            "az" => Protocol::Azure,
            _ => return None,
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if bucket.is_empty() || !bucket.bytes().all(is_name) {
            return Some(Err(format!("must name a bucket, as {scheme}://bucket/prefix")));
        }
        let Ok(prefix) = Path::parse(prefix.trim_end_matches('/')) else {
            return Some(Err("the prefix must consist of names between single slashes".to_owned()));
        };
        let url = format!("{scheme}://{bucket}");
        Some(Ok(Self { url, protocol, prefix, options: Vec::new(), files: Vec::new() }))
    }

    /// The prefix of its options' names in the environment.
    pub fn options_begin(&self) -> &'static str {
        match self.protocol {
            Protocol::S3 => "AWS_",
            Protocol::Google => "GOOGLE_",
            Protocol::Azure => "AZURE_",
        }
    }

    /// Whether the object store has an option `name`, in upper case.
    pub fn has_option(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        match self.protocol {
            Protocol::S3 => name.parse::<AmazonS3ConfigKey>().is_ok(),
            Protocol::Google => name.parse::<GoogleConfigKey>().is_ok(),
            Protocol::Azure => name.parse::<AzureConfigKey>().is_ok(),
        }
    }

    /// With `options`, of which it has each; a later one of the same name wins.
    #[must_use]
    pub fn with_options(self, options: Vec<(String, String)>) -> Self {
        Self { options, ..self }
    }

    /// Of its options, those whose values were read from files. Access keys of S3 are read from there again, so that they can
    /// be changed.
    #[must_use]
    pub fn with_files(self, files: Vec<(String, PathBuf)>) -> Self {
        Self { files, ..self }
    }

    /// The access key of S3, if a part of it lies in a file.
    fn file_credentials(&self) -> Option<FileCredentials> {
        let is = |name: &str, key: AmazonS3ConfigKey| {
            name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().is_ok_and(|named| named == key)
        };
        let find = |key: AmazonS3ConfigKey| {
            // The last one of a name counts, and it is of a file if that holds its value.
            let (name, value) = self.options.iter().rev().find(|(name, _)| is(name, key))?;
            let file = self.files.iter().rev().find(|(of, _)| of == name);
            Some(match file {
                Some((_, file)) => Secret::InFile(file.clone()),
                None => Secret::Given(value.clone()),
            })
        };
        let found = FileCredentials {
            key_id: find(AmazonS3ConfigKey::AccessKeyId)?,
            secret_key: find(AmazonS3ConfigKey::SecretAccessKey)?,
            token: find(AmazonS3ConfigKey::Token),
        };
        let parts = [Some(&found.key_id), Some(&found.secret_key), found.token.as_ref()];
        let in_files = parts.into_iter().flatten().any(|part| matches!(part, Secret::InFile(_)));
        in_files.then_some(found)
    }

    /// Whether both name the same place, with whatever options.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let endpoint = |url: &Self| {
            let of = |(name, value): &(String, String)| {
                name.to_ascii_lowercase().contains("endpoint").then(|| value.clone())
            };
            url.options.iter().rev().find_map(of)
        };
        self.url == other.url && self.prefix == other.prefix && endpoint(self) == endpoint(other)
    }

    /// The tier there, `tier` by name, which nothing is asked of yet. Singles on their way wait in `spool`. The error says
    /// which option is wrong.
    pub fn open(&self, tier: &'static str, spool: PathBuf) -> Result<RemoteSegments, String> {
        let store = self.client().map_err(|error| error.to_string())?;
        let mut bucket = Bucket::new(store, self.prefix.clone(), tier, spool);
        bucket.deleted_at_once = match self.protocol {
            Protocol::S3 => 1000,
            Protocol::Azure => 256,
            Protocol::Google => 1,
        };
        Ok(RemoteSegments::over(bucket))
    }

    fn client(&self) -> object_store::Result<Arc<dyn Objects>> {
        // A request is not tried again for as long as a client would not wait for it.
        let retry =
            RetryConfig { max_retries: 5, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() };
        let options = self.options.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()));
        Ok(match self.protocol {
            Protocol::S3 => {
                let mut builder = AmazonS3Builder::new().with_url(&self.url);
                for (name, value) in options {
                    builder = builder.with_config(name.parse()?, value);
                }
                if let Some(files) = self.file_credentials() {
                    builder = builder.with_credentials(Arc::new(Reread::new(files)));
                }
                // An endpoint without TLS is one that the operator wrote.
                let builder = builder.with_retry(retry).with_allow_http(true);
                Arc::new(builder.with_http_connector(Connector).build()?)
            }
            Protocol::Google => {
                let mut builder = GoogleCloudStorageBuilder::new().with_url(&self.url);
                for (name, value) in options {
                    builder = builder.with_config(name.parse()?, value);
                }
                Arc::new(builder.with_retry(retry).with_http_connector(Connector).build()?)
            }
            Protocol::Azure => {
                let mut builder = MicrosoftAzureBuilder::new().with_url(&self.url);
                for (name, value) in options {
                    builder = builder.with_config(name.parse()?, value);
                }
                let builder = builder.with_retry(retry).with_allow_http(true);
                Arc::new(builder.with_http_connector(Connector).build()?)
            }
        })
    }
}

impl fmt::Display for ObjectStoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)?;
        if self.prefix.is_root() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl fmt::Debug for ObjectStoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStoreUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(url: &str) -> ObjectStoreUrl {
        ObjectStoreUrl::parse(url).unwrap().unwrap()
    }

    #[test]
    fn urls_are_parsed_or_refused() {
        for (url, shown) in [
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("gs://bucket/a/b/", "gs://bucket/a/b"),
            ("az://container/a", "az://container/a"),
        ] {
            assert_eq!(parse(url).to_string(), shown);
        }
        for url in ["s3://", "s3:///prefix", "s3://a b/c", "s3://key@host/c", "s3://b/a//c", "s3://b?x=y"] {
            assert!(ObjectStoreUrl::parse(url).unwrap().is_err(), "{url}");
        }
        for url in ["file:///a", "ftp://b/c", "/srv/hot"] {
            assert!(ObjectStoreUrl::parse(url).is_none(), "{url}");
        }
    }

    #[test]
    fn options_are_those_of_the_object_store() {
        let url = parse("s3://bucket");
        assert!(url.has_option("AWS_ENDPOINT") && url.has_option("AWS_SECRET_ACCESS_KEY"));
        assert!(!url.has_option("AWS_ENDPOINTS") && !url.has_option("GOOGLE_SERVICE_ACCOUNT"));
        assert!(parse("gs://bucket").has_option("GOOGLE_SERVICE_ACCOUNT"));
        assert!(parse("az://bucket").has_option("AZURE_STORAGE_ACCOUNT_NAME"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let options = [("AWS_ACCESS_KEY_ID", "name"), ("AWS_SECRET_ACCESS_KEY", "geheim")];
        let options = options.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let url = parse("s3://bucket").with_options(options);
        assert!(!format!("{url} {url:?}").contains("geheim"));
        let tier = url.open("cold", PathBuf::from("spool")).unwrap();
        assert!(!format!("{tier:?}").contains("geheim"));
    }

    #[test]
    fn two_tiers_of_one_place_are_noticed() {
        let at = |url, endpoint: &str| {
            parse(url).with_options(vec![("AWS_ENDPOINT".to_owned(), endpoint.to_owned())])
        };
        assert!(at("s3://b/p", "http://a").is_same_place(&at("s3://b/p/", "http://a")));
        assert!(!at("s3://b/p", "http://a").is_same_place(&at("s3://b/q", "http://a")));
        assert!(!at("s3://b/p", "http://a").is_same_place(&at("s3://b/p", "http://b")));
    }
}
