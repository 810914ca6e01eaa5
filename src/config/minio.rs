//! MinIO's variables of the root credential, for a deployment that comes from there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::names::{MINIO_ROOT_PASSWORD, MINIO_ROOT_PASSWORD_FILE, MINIO_ROOT_USER, MINIO_ROOT_USER_FILE};
use super::secrets::given_or_in_file;
use super::{ConfigError, Settings};

/// Where MinIO looks for a file that is named without a directory.
const SECRETS: &str = "/run/secrets";

impl Settings {
    /// These settings, with the root credential of `MINIO_ROOT_USER` and `MINIO_ROOT_PASSWORD` (or of the files that
    /// `…_FILE` name) where they name none of their own; and what the log is to say of it.
    pub fn with_root_of_minio(
        mut self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(Self, Option<&'static str>), ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let all = [MINIO_ROOT_USER, MINIO_ROOT_USER_FILE, MINIO_ROOT_PASSWORD, MINIO_ROOT_PASSWORD_FILE];
        if all.iter().all(|name| variable(name).is_none()) {
            return Ok((self, None));
        }
        if self.s3_root_access_key.is_some() || self.s3_root_secret_key.is_some() {
            let note = "MINIO_ROOT_USER and MINIO_ROOT_PASSWORD have no effect: JUSTSTORAGE_S3_ROOT_ACCESS_KEY and \
                        JUSTSTORAGE_S3_ROOT_SECRET_KEY are set";
            return Ok((self, Some(note)));
        }
        let read = |name: &'static str, of_file: &'static str| {
            let text =
                |value: OsString| value.into_string().map_err(|_| ConfigError::new(name, "must be UTF-8"));
            let mut given = variable(name).map(text).transpose()?;
            let file = variable(of_file).map(|path| place(Path::new(SECRETS), PathBuf::from(path)));
            given_or_in_file([name, of_file], &mut given, file)?;
            Ok(given)
        };
        self.s3_root_access_key = read(MINIO_ROOT_USER, MINIO_ROOT_USER_FILE)?;
        self.s3_root_secret_key = read(MINIO_ROOT_PASSWORD, MINIO_ROOT_PASSWORD_FILE)?;
        self.root_of_minio = true;
        let note = "MINIO_ROOT_USER and MINIO_ROOT_PASSWORD are the root S3 credential; the settings of this program are \
                    JUSTSTORAGE_S3_ROOT_ACCESS_KEY and JUSTSTORAGE_S3_ROOT_SECRET_KEY";
        Ok((self, Some(note)))
    }
}

/// As MinIO finds it: among the secrets of the container, or else as it is named.
fn place(secrets: &Path, named: PathBuf) -> PathBuf {
    let among = secrets.join(&named);
    if named.is_relative() && among.is_file() { among } else { named }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Config;

    fn of(
        variables: &[(&str, &str)],
        settings: Settings,
    ) -> Result<(Settings, Option<&'static str>), ConfigError> {
        settings.with_root_of_minio(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn minios_root_is_ours_unless_we_have_one() {
        let both = [(MINIO_ROOT_USER, "minioadmin"), (MINIO_ROOT_PASSWORD, "minioadmin")];
        let (settings, note) = of(&both, Settings::default()).unwrap();
        assert!(note.unwrap().contains("are the root S3 credential"));
        let root = Config::new(&settings).unwrap().access.root;
        assert_eq!((root.access_key.as_str(), root.secret_key.as_str()), ("minioadmin", "minioadmin"));

        let own = Settings {
            s3_root_access_key: Some("ours".into()),
            s3_root_secret_key: Some("ours-and-long".into()),
            ..Settings::default()
        };
        let (settings, note) = of(&both, own).unwrap();
        assert!(note.unwrap().contains("have no effect"));
        assert_eq!(Config::new(&settings).unwrap().access.root.access_key, "ours");

        let (settings, note) = of(&[(MINIO_ROOT_USER, "")], Settings::default()).unwrap();
        assert!(note.is_none() && Config::new(&settings).unwrap().access.root_is_default);
    }

    #[test]
    fn what_is_wrong_is_named_as_it_was_set() {
        let refused = |variables: &[(&str, &str)], wide: bool| {
            let settings = Settings { s3_addr: wide.then(|| "0.0.0.0:9000".into()), ..Settings::default() };
            let error = of(variables, settings).and_then(|(settings, _)| Config::new(&settings).map(drop));
            error.unwrap_err()
        };
        let half = refused(&[(MINIO_ROOT_USER, "admin")], false);
        assert_eq!(half.setting, MINIO_ROOT_PASSWORD);
        let short = refused(&[(MINIO_ROOT_USER, "admin"), (MINIO_ROOT_PASSWORD, "minioadmin")], true);
        assert_eq!(short.setting, MINIO_ROOT_PASSWORD);
        assert!(short.reason.contains("16"), "{short}");
        let twice = refused(&[(MINIO_ROOT_USER, "admin"), (MINIO_ROOT_USER_FILE, "/etc/user")], false);
        assert_eq!(twice.setting, MINIO_ROOT_USER_FILE);
        let absent = refused(&[(MINIO_ROOT_USER_FILE, "/nonexistent")], false);
        assert_eq!(absent.setting, MINIO_ROOT_USER_FILE);
    }

    #[test]
    fn a_bare_name_is_one_of_the_containers_secrets() {
        let secrets = tempfile::tempdir().unwrap();
        std::fs::write(secrets.path().join("user"), "admin").unwrap();
        assert_eq!(place(secrets.path(), "user".into()), secrets.path().join("user"));
        assert_eq!(place(secrets.path(), "other".into()), PathBuf::from("other"));
        assert_eq!(place(secrets.path(), "/etc/user".into()), PathBuf::from("/etc/user"));
    }
}
