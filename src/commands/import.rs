//! `juststorage import`.

use std::path::PathBuf;

use juststorage_core::application::access::{Access, AuthMode};
use juststorage_core::application::admin::{Admin, Finding, Manner};
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::principal::Principal;
use serde_json::json;

use super::bootstrap::{json as shown, text};
use super::output::Output;
use super::session::Session;
use crate::cli::ImportCommand;
use crate::config::{ConfigError, MasterKeySource, Settings, StorageConfig};
use crate::exit_error::ExitError;
use crate::master_key;
use crate::minio::{self, Import, Left};
use crate::serve::home_tenant;

/// Compares the store with an export, or makes what is missing.
pub(super) async fn run(
    settings: &Settings,
    command: ImportCommand,
    output: Output,
) -> Result<(), ExitError> {
    let ImportCommand::Minio { folders, tenant, check } = command;
    let storage = StorageConfig::new(settings)?;
    let source = MasterKeySource::new(settings, &storage)?;
    let session = Session::open(storage).await?;
    let result = on(&session, &source, &folders, &tenant, check, output).await;
    session.close().await;
    result
}

async fn on(
    session: &Session,
    source: &MasterKeySource,
    folders: &[PathBuf],
    tenant: &Tenant,
    check: bool,
    output: Output,
) -> Result<(), ExitError> {
    let parts = &session.parts;
    let import = minio::read(folders, tenant, parts.clock.now());
    let import = import.map_err(|why| ConfigError::new("FOLDER", why))?;
    let Import { declared, left } = import;
    declared.validate().map_err(|unfit| ExitError::No(format!("{}: {}", unfit.entry, unfit.error)))?;
    let keys = master_key::open(parts, source).await?;
    let (metadata, clock) = (parts.metadata.clone(), parts.clock.clone());
    let access = Access::new(metadata, clock, keys, AuthMode::Required, None, home_tenant()?);
    let admin = Admin::new(session.store.clone(), access);
    let who = Principal::unrestricted("import", home_tenant()?);
    let manner = if check { Manner::Look } else { Manner::Create };
    let findings = admin.declare(&who, &declared, manner).await.map_err(|unfit| {
        let entry = unfit.entry.to_string();
        match ExitError::from(unfit.error) {
            ExitError::No(why) => ExitError::No(format!("{entry}: {why}")),
            other => other,
        }
    })?;
    let drift = findings.iter().filter(|finding| finding.is_drift()).count();
    let report = json!({
        "clean": drift == 0,
        "findings": findings.iter().map(shown).collect::<Vec<_>>(),
        "left": left
            .iter()
            .map(|Left { of, what, why }| json!({ "of": of, "what": what, "why": why }))
            .collect::<Vec<_>>(),
    });
    output.print(&report, || lines(&findings, &left))?;
    if drift > 0 && check {
        return Err(ExitError::No(format!("the store is not as the export says: {drift}")));
    }
    Ok(())
}

fn lines(findings: &[Finding], left: &[Left]) -> String {
    let mut lines: Vec<String> = findings.iter().map(text).collect();
    if lines.is_empty() {
        lines.push("the store has everything that the export declares".to_owned());
    }
    if !left.is_empty() {
        lines.push(format!("not taken over, or not as it was: {}", left.len()));
    }
    lines.extend(left.iter().map(|Left { of, what, why }| format!("{of}, {what}: {why}")));
    lines.join("\n")
}
