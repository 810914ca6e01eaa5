//! Secrets in files of their own, as orchestrators mount them.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{ConfigError, Settings, names};

/// Largest file of a secret, in bytes.
pub const FILE_BYTES_MAX: u64 = 64 << 10;

/// Reads the secret in the file at `path`, without one newline at its end. The error names the file and never repeats what
/// is in it.
pub fn read_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| format!("cannot read {shown}: {error}");
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(cannot)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{shown} has more than 64 KiB, which is no secret"));
    }
    let mut secret = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8"))?;
    if secret.ends_with('\n') {
        secret.pop();
        if secret.ends_with('\r') {
            secret.pop();
        }
    }
    if secret.is_empty() { Err(format!("{shown} is empty")) } else { Ok(secret) }
}

/// A secret that was given, or is in a file; both are refused under the name of the file's setting.
pub(super) fn given_or_in_file(
    [setting, of_file]: [&'static str; 2],
    given: &mut Option<String>,
    file: Option<PathBuf>,
) -> Result<(), ConfigError> {
    match (&given, file) {
        (_, None) => {}
        (Some(_), Some(_)) => {
            return Err(ConfigError::new(of_file, format!("cannot be set together with {setting}")));
        }
        (None, Some(path)) => {
            *given = Some(read_file(&path).map_err(|reason| ConfigError::new(of_file, reason))?);
        }
    }
    Ok(())
}

impl Settings {
    /// These settings with every secret read whose file is named.
    pub fn with_secret_files(mut self) -> Result<Self, ConfigError> {
        let all = [
            (
                [names::DATABASE_URL, names::DATABASE_URL_FILE],
                &mut self.database_url,
                &mut self.database_url_file,
            ),
            ([names::TOKEN, names::TOKEN_FILE], &mut self.token, &mut self.token_file),
            (
                [names::S3_ROOT_ACCESS_KEY, names::S3_ROOT_ACCESS_KEY_FILE],
                &mut self.s3_root_access_key,
                &mut self.s3_root_access_key_file,
            ),
            (
                [names::S3_ROOT_SECRET_KEY, names::S3_ROOT_SECRET_KEY_FILE],
                &mut self.s3_root_secret_key,
                &mut self.s3_root_secret_key_file,
            ),
            ([names::MASTER_KEY, names::MASTER_KEY_FILE], &mut self.master_key, &mut self.master_key_file),
            (
                [names::MASTER_KEY_PREVIOUS, names::MASTER_KEY_PREVIOUS_FILE],
                &mut self.master_key_previous,
                &mut self.master_key_previous_file,
            ),
            ([names::JWT_SECRET, names::JWT_SECRET_FILE], &mut self.jwt_secret, &mut self.jwt_secret_file),
        ];
        for (setting, given, file) in all {
            given_or_in_file(setting, given, file.take())?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::CommandFactory as _;

    use super::*;

    fn in_file(content: &[u8]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        read_file(file.path())
    }

    #[test]
    fn one_newline_is_cut_and_nothing_else() {
        assert_eq!(in_file(b"secret").unwrap(), "secret");
        assert_eq!(in_file(b"secret\n").unwrap(), "secret");
        assert_eq!(in_file(b"secret\r\n").unwrap(), "secret");
        assert_eq!(in_file(b" secret \n\n").unwrap(), " secret \n");
        assert_eq!(in_file(&vec![b'a'; 64 << 10]).unwrap().len(), 64 << 10);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_being_repeated() {
        let long = vec![b'a'; (64 << 10) + 1];
        for (content, reason) in
            [(&b""[..], "is empty"), (b"\n", "is empty"), (b"hush\xff", "not UTF-8"), (&long, "64 KiB")]
        {
            let refused = in_file(content).unwrap_err();
            assert!(refused.contains(reason) && !refused.contains("hush"), "{refused}");
        }
        assert!(read_file(Path::new("/nonexistent/secret")).unwrap_err().contains("/nonexistent/secret"));
        assert!(read_file(Path::new("/")).unwrap_err().contains("cannot read /"));
    }

    /// Every setting that `--help` hides the value of is a secret, has a file, and is read from it.
    #[test]
    fn every_secret_has_a_file() {
        let program = crate::cli::Cli::command();
        let secrets: Vec<_> =
            program.get_arguments().filter(|argument| argument.is_hide_env_values_set()).collect();
        assert!(secrets.len() >= 6);
        for secret in secrets {
            let variable = secret.get_env().unwrap().to_str().unwrap();
            let field = secret.get_id().as_str();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), "from the file\n").unwrap();
            let of_file = format!("{field}_file = {:?}", file.path());
            let settings: Settings = toml::from_str(&of_file).unwrap();
            let read = settings.with_secret_files().unwrap();
            let found = [
                (&read.database_url, "database_url"),
                (&read.token, "token"),
                (&read.s3_root_secret_key, "s3_root_secret_key"),
                (&read.master_key, "master_key"),
                (&read.master_key_previous, "master_key_previous"),
                (&read.jwt_secret, "jwt_secret"),
            ];
            let (value, _) = found.iter().find(|(_, name)| *name == field).expect(field);
            assert_eq!(value.as_deref(), Some("from the file"), "{variable}");
            let both: Settings = toml::from_str(&format!("{of_file}\n{field} = \"x\"")).unwrap();
            let refused = both.with_secret_files().err().unwrap();
            assert_eq!(refused.setting, format!("{variable}_FILE"));
            assert!(refused.reason.contains(variable), "{refused}");
        }
    }
}
