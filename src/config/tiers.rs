//! Where the tiers are: directories, or object stores with their options.

use std::fmt;
use std::path::{Path, PathBuf};

use juststorage_core::application::ports::segments::SegmentError;
use juststorage_core::infrastructure::segments::{ObjectStoreUrl, Suspect};
use percent_encoding::percent_decode_str;

use super::{ConfigError, names};

/// Location of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TierUrl {
    /// A directory of this machine, or of a file system that is mounted there.
    Directory(PathBuf),
    /// A prefix of a bucket.
    ObjectStore(ObjectStoreUrl),
}

impl TierUrl {
    /// The tier that `setting` names, `default` if it names none. Options of an object store are among `variables`, the environment.
    pub(super) fn parse(
        setting: &'static str,
        url: Option<&str>,
        default: &Path,
        variables: impl Fn() -> Vec<(String, String)>,
    ) -> Result<Self, ConfigError> {
        let Some(url) = url else { return Ok(Self::Directory(default.to_owned())) };
        if let Some(parsed) = ObjectStoreUrl::parse(url) {
            let parsed = parsed.map_err(|reason| ConfigError::new(setting, reason))?;
            let (options, files) = options(setting, &parsed, &variables())?;
            return Ok(Self::ObjectStore(parsed.with_options(options).with_files(files)));
        }
        let Some(path) = url.strip_prefix("file://") else {
            let reason = "must be a URL such as file:///srv/juststorage/hot or s3://bucket/prefix (also gs:// and az://)";
            return Err(ConfigError::new(setting, reason));
        };
        let path = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| ConfigError::new(setting, "must be a path in UTF-8"))?;
        if path.is_empty() || path.contains('\0') {
            return Err(ConfigError::new(setting, "must name a directory, such as file:///srv/hot"));
        }
        Ok(Self::Directory(PathBuf::from(path.as_ref())))
    }

    /// Whether both are one place.
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory(one), Self::Directory(other)) => one == other,
            (Self::ObjectStore(one), Self::ObjectStore(other)) => one.is_same_place(other),
            _ => false,
        }
    }

    /// The settings to look at after an error of the tier that `setting` names.
    pub fn settings_to_check(&self, setting: &'static str, error: &SegmentError) -> String {
        let Self::ObjectStore(url) = self else { return setting.to_owned() };
        let options = |names: &[&str]| {
            let own = own_options(setting);
            let each = names.iter().map(|name| format!("{own}{name} (or {name})"));
            each.collect::<Vec<_>>().join(" and ")
        };
        let (credentials, endpoint): (&[&str], &[&str]) = match url.options_begin() {
            "AWS_" => (&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], &["AWS_ENDPOINT"]),
            "GOOGLE_" => (&["GOOGLE_SERVICE_ACCOUNT"], &["GOOGLE_SERVICE_ACCOUNT"]),
            _ => (&["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"], &["AZURE_ENDPOINT"]),
        };
        match Suspect::of(error) {
            Some(Suspect::Credentials) => options(credentials),
            Some(Suspect::Endpoint) => options(endpoint),
            Some(Suspect::Bucket | Suspect::Store) | None => setting.to_owned(),
        }
    }

    /// The file or object `name` at its root, for messages.
    pub fn beside(&self, name: &str) -> String {
        match self {
            Self::Directory(path) => path.join(name).display().to_string(),
            Self::ObjectStore(url) => format!("{url}/{name}"),
        }
    }
}

impl fmt::Display for TierUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::ObjectStore(url) => url.fmt(f),
        }
    }
}

/// The environment as far as it is text.
pub(super) fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    // An empty value counts as absent, because deployment tools pass empty variables.
    std::env::vars_os().filter_map(text).filter(|(_, value)| !value.is_empty()).collect()
}

/// The options of the object store `url`: `AWS_ENDPOINT` and so on, and before them those of this tier alone, such as
/// `JUSTSTORAGE_COLD_AWS_ENDPOINT`. With `_FILE` behind its name a variable names a file that holds the value.
fn options(
    setting: &'static str,
    url: &ObjectStoreUrl,
    variables: &[(String, String)],
) -> Result<Options, ConfigError> {
    let begin = url.options_begin();
    let own = own_options(setting);
    let (mut options, mut files) = (Vec::new(), Vec::<(String, PathBuf)>::new());
    for prefix in ["", own] {
        for (variable, value) in variables {
            let Some(name) = variable.strip_prefix(prefix).filter(|name| name.starts_with(begin)) else {
                continue;
            };
            let in_file = name.strip_suffix("_FILE").filter(|name| !url.has_option(&format!("{name}_FILE")));
            let refused = |reason: String| ConfigError { setting: variable.clone().into(), reason };
            match in_file {
                Some(option) if url.has_option(option) => {
                    let text = std::fs::read_to_string(value)
                        .map_err(|error| refused(format!("cannot read {value}: {error}")))?;
                    options.push((option.to_owned(), text.trim().to_owned()));
                    files.push((option.to_owned(), PathBuf::from(value)));
                }
                _ if url.has_option(name) => {
                    options.push((name.to_owned(), value.clone()));
                    files.retain(|(of, _)| of != name);
                }
                // Plain `AWS_…` variables are for other programs of this machine, too.
                _ if prefix.is_empty() => {}
                _ => return Err(refused(format!("no object store of {url} has an option {name}"))),
            }
        }
    }
    Ok((options, files))
}

/// Options with their values, and those of them that lie in files, with these.
type Options = (Vec<(String, String)>, Vec<(String, PathBuf)>);

/// What the names of a tier's own options begin with.
fn own_options(setting: &str) -> &'static str {
    if setting == names::HOT_URL { "JUSTSTORAGE_HOT_" } else { "JUSTSTORAGE_COLD_" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(setting: &'static str, url: &str, variables: &[(&str, &str)]) -> Result<TierUrl, ConfigError> {
        let variables = || variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        TierUrl::parse(setting, Some(url), Path::new("hot"), variables)
    }

    fn with(url: &str, options: &[(&str, &str)], files: &[(&str, &str)]) -> TierUrl {
        let options = options.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let files = files.iter().map(|(n, v)| ((*n).to_owned(), PathBuf::from(*v))).collect();
        let url = ObjectStoreUrl::parse(url).unwrap().unwrap();
        TierUrl::ObjectStore(url.with_options(options).with_files(files))
    }

    /// A tier's own options come last, and the last one counts.
    #[test]
    fn a_tiers_own_options_come_before_those_of_all() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "secret\n").unwrap();
        let file = secret.path().to_str().unwrap();
        let variables = [
            ("JUSTSTORAGE_COLD_AWS_ENDPOINT", "http://cold"),
            ("AWS_ENDPOINT", "http://all"),
            ("AWS_PROFILE", "of the aws command"),
            ("JUSTSTORAGE_COLD_AWS_REGION", "eu-central-1"),
            ("JUSTSTORAGE_HOT_AWS_ENDPOINT", "http://hot"),
            ("JUSTSTORAGE_COLD_AWS_SECRET_ACCESS_KEY_FILE", file),
            ("GOOGLE_SERVICE_ACCOUNT", "x"),
        ];
        let parsed = parse(names::COLD_URL, "s3://bucket/p", &variables).unwrap();
        let expected = with(
            "s3://bucket/p",
            &[
                ("AWS_ENDPOINT", "http://all"),
                ("AWS_ENDPOINT", "http://cold"),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
            ],
            &[("AWS_SECRET_ACCESS_KEY", file)],
        );
        assert_eq!(parsed, expected);
    }

    #[test]
    fn an_option_that_there_is_not_is_refused_by_its_variable() {
        for variable in ["JUSTSTORAGE_COLD_AWS_ENDPOINTS", "JUSTSTORAGE_COLD_AWS_ENDPOINTS_FILE"] {
            let refused = parse(names::COLD_URL, "s3://bucket", &[(variable, "x")]).unwrap_err();
            assert_eq!(refused.setting, variable);
        }
        let refused = parse(names::COLD_URL, "s3://bucket", &[("JUSTSTORAGE_COLD_AWS_TOKEN_FILE", "/none")]);
        assert!(refused.unwrap_err().reason.contains("/none"));
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["ftp://bucket/prefix", "/srv/hot", "s3://", "file://"] {
            assert_eq!(parse(names::HOT_URL, url, &[]).unwrap_err().setting, names::HOT_URL, "{url}");
        }
    }
}
