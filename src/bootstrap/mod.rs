//! The bootstrap file: tenants, buckets and credentials that a store is to have (docs/configuration.md#bootstrap-file).
//!
//! Reading translates the file into what core's [`Admin`] understands; core compares, makes and changes. No secret is in
//! a message, a finding or the log.

mod fields;
mod read;

use std::path::Path;

use juststorage_core::application::admin::{Admin, Declared, DeclaredState, Finding, Manner, Unfit};
use juststorage_core::application::error::Error;
use juststorage_core::domain::principal::Principal;

use crate::config::{ConfigError, names};
use crate::exit_error::ExitError;
use crate::home::home_tenant;

/// The declarations of a file.
pub struct Bootstrap {
    file: String,
    declared: Declared,
    warnings: Vec<String>,
}

impl Bootstrap {
    /// Reads the file at `path` and everything that it names, and checks every entry. Changes nothing.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, |name| std::env::var_os(name))
    }

    fn load_with(
        path: &Path,
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let refused = |reason: String| ConfigError::new(names::BOOTSTRAP, format!("{file}: {reason}"));
        let (declared, warnings) = read::read(path, &variable).map_err(refused)?;
        declared.validate().map_err(|unfit| refused(shown(&unfit)))?;
        Ok(Self { file, declared, warnings })
    }

    /// Where it is.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Compares a store with it, and does about it what `manner` says.
    pub async fn apply(&self, admin: &Admin, manner: Manner) -> Result<Vec<Finding>, ExitError> {
        for warning in &self.warnings {
            tracing::warn!(file = self.file, "{warning}");
        }
        let who = Principal::unrestricted("bootstrap", home_tenant()?);
        admin.declare(&who, &self.declared, manner).await.map_err(|unfit| {
            let message = format!("{}: {}", self.file, shown(&unfit));
            match ExitError::from(unfit.error) {
                ExitError::No(_) => ExitError::Config(ConfigError::new(names::BOOTSTRAP, message)),
                ExitError::Full => ExitError::Full,
                _ => ExitError::Unable(format!("{}: {message}", names::BOOTSTRAP)),
            }
        })
    }

    /// Makes what is missing, and says in the log what it made and what differs.
    pub async fn begin(&self, admin: &Admin) -> Result<(), ExitError> {
        for finding in self.apply(admin, Manner::Create).await? {
            let (kind, name) = finding.entry.parts();
            match finding.state {
                DeclaredState::Missing => {}
                DeclaredState::Created => {
                    tracing::info!(kind, name, file = self.file, "made as the bootstrap file says");
                }
                DeclaredState::Differs { field, declared, found, .. } => tracing::warn!(
                    kind,
                    name,
                    field,
                    declared,
                    found,
                    file = self.file,
                    "the store is not as the bootstrap file says, and was left as it is; `juststorage bootstrap --apply` \
                     changes it"
                ),
            }
        }
        Ok(())
    }
}

fn shown(unfit: &Unfit) -> String {
    match &unfit.error {
        Error::Invalid(invalid) => format!("{}, {invalid}", unfit.entry),
        error => format!("{}: {error}", unfit.entry),
    }
}

#[cfg(test)]
mod tests;
