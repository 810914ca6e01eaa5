//! `juststorage upstream report`: signed reports of comparisons, written and checked.

use std::path::{Path, PathBuf};

use juststorage_core::application::admin::{check_report, report_keys};
use juststorage_native_api::report_page;
use serde_json::{Value, json};

use super::super::output::{Output, line};
use crate::cli::UpstreamCommand;
use crate::compose::Parts;
use crate::config::{MasterKeySource, Settings, StorageConfig};
use crate::exit_error::ExitError;
use crate::master_key;
use crate::remote::Remote;

/// Longest report that is read, in bytes: twice a thousand findings and as many keys, each of the longest.
const REPORT_BYTES_MAX: u64 = 32 << 20;

/// What is about keys and no space.
pub(super) enum Keyed {
    /// Shows the public keys.
    Keys,
    /// Checks a report, with these keys or with the store's.
    Check(PathBuf, Vec<String>),
}

impl Keyed {
    pub(super) fn of(command: &UpstreamCommand) -> Result<Option<Self>, ExitError> {
        let UpstreamCommand::Report(report) = command else { return Ok(None) };
        for key in &report.key {
            if key.len() != 64 || !key.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(ExitError::No(format!("{key} is no public key: 64 hexadecimal digits")));
            }
        }
        Ok(match &report.check {
            Some(file) => Some(Self::Check(file.clone(), report.key.clone())),
            None if report.keys => Some(Self::Keys),
            None => None,
        })
    }

    /// With the keys of the store itself.
    pub(super) async fn run(
        self,
        storage: StorageConfig,
        settings: &Settings,
        output: Output,
    ) -> Result<(), ExitError> {
        if let Self::Check(file, keys) = &self
            && !keys.is_empty()
        {
            return check(file, keys, output);
        }
        let source = MasterKeySource::new(settings, &storage)?;
        let parts = Parts::open_known(storage).await?;
        let keys = master_key::open(&parts, &source).await;
        parts.metadata.close().await;
        self.answer(&report_keys(&keys?)?, output)
    }

    /// With the keys of a server.
    pub(super) async fn run_remote(self, remote: &Remote, output: Output) -> Result<(), ExitError> {
        if let Self::Check(file, keys) = &self
            && !keys.is_empty()
        {
            return check(file, keys, output);
        }
        let found = remote.get("/v1/admin/report-keys").await?;
        let keys: Vec<String> = found["keys"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect();
        self.answer(&keys, output)
    }

    fn answer(self, keys: &[String], output: Output) -> Result<(), ExitError> {
        match self {
            Self::Keys => output.print(&json!({ "algorithm": "Ed25519", "keys": keys }), || keys.join("\n")),
            Self::Check(file, _) => check(&file, keys, output),
        }
    }
}

/// Writes a report to each file, or prints it.
pub(super) fn put(document: &Value, files: &[PathBuf]) -> Result<(), ExitError> {
    if files.is_empty() {
        return line(&document.to_string());
    }
    for file in files {
        let is_page = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("html"));
        let text = if is_page { report_page(document) } else { format!("{document}\n") };
        std::fs::write(file, text)
            .map_err(|error| ExitError::unable(format!("write {}", file.display()), error))?;
    }
    Ok(())
}

fn check(file: &Path, keys: &[String], output: Output) -> Result<(), ExitError> {
    let unable = |error: std::io::Error| ExitError::unable(format!("read {}", file.display()), error);
    if std::fs::metadata(file).map_err(unable)?.len() > REPORT_BYTES_MAX {
        return Err(ExitError::No(format!("{}: too long for a report", file.display())));
    }
    let text = std::fs::read(file).map_err(unable)?;
    let document: Value = serde_json::from_slice(&text)
        .map_err(|error| ExitError::No(format!("{}: no report in JSON: {error}", file.display())))?;
    let key = check_report(&document, keys)
        .map_err(|refused| ExitError::No(format!("{}: {refused}", file.display())))?;
    output.print(&json!({ "valid": true, "key": key }), || format!("signed by {key}"))
}
