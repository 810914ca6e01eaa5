//! `juststorage bootstrap`.

use juststorage_core::application::access::{Access, AuthMode};
use juststorage_core::application::admin::{Admin, DeclaredState, Finding, Manner};
use serde_json::{Value, json};

use super::output::Output;
use super::session::Session;
use crate::bootstrap::Bootstrap;
use crate::config::{ConfigError, MasterKeySource, Settings, StorageConfig, names};
use crate::exit_error::ExitError;
use crate::master_key;
use crate::serve::home_tenant;

/// Compares the store with the file, makes what is missing, or changes what differs too.
pub(super) async fn run(
    settings: &Settings,
    check: bool,
    apply: bool,
    output: Output,
) -> Result<(), ExitError> {
    let path = settings.bootstrap.as_deref().ok_or_else(|| {
        ConfigError::new(
            names::BOOTSTRAP,
            "must name the bootstrap file (docs/configuration.md#bootstrap-file)",
        )
    })?;
    let manner = match (check, apply) {
        (true, _) => Manner::Look,
        (_, true) => Manner::Revert,
        _ => Manner::Create,
    };
    let bootstrap = Bootstrap::load(path)?;
    let storage = StorageConfig::new(settings)?;
    let source = MasterKeySource::new(settings, &storage)?;
    let session = Session::open(storage).await?;
    let result = on(&session, &source, &bootstrap, manner, output).await;
    session.close().await;
    result
}

async fn on(
    session: &Session,
    source: &MasterKeySource,
    bootstrap: &Bootstrap,
    manner: Manner,
    output: Output,
) -> Result<(), ExitError> {
    let parts = &session.parts;
    let keys = master_key::open(parts, source).await?;
    let (metadata, clock) = (parts.metadata.clone(), parts.clock.clone());
    let access = Access::new(metadata, clock, keys, AuthMode::Required, None, home_tenant()?);
    let admin = Admin::new(session.store.clone(), access);
    let findings = bootstrap.apply(&admin, manner).await?;
    let drift = findings.iter().filter(|finding| finding.is_drift()).count();
    let shown: Vec<_> = findings.iter().map(json).collect();
    output.print(&json!({ "file": bootstrap.file(), "clean": drift == 0, "findings": shown }), || {
        if findings.is_empty() {
            return format!("the store is as {} says", bootstrap.file());
        }
        findings.iter().map(text).collect::<Vec<_>>().join("\n")
    })?;
    if drift > 0 && manner != Manner::Create {
        return Err(ExitError::No(format!("the store is not as {} says: {drift}", bootstrap.file())));
    }
    Ok(())
}

pub(super) fn json(finding: &Finding) -> Value {
    let (kind, name) = finding.entry.parts();
    let mut shown = json!({ "kind": kind, "name": name });
    match &finding.state {
        DeclaredState::Missing => shown["state"] = json!("missing"),
        DeclaredState::Created => shown["state"] = json!("created"),
        DeclaredState::Differs { field, declared, found, reverted } => {
            shown["state"] = json!(if *reverted == Ok(true) { "changed" } else { "differs" });
            shown["field"] = json!(field);
            shown["declared"] = json!(declared);
            shown["found"] = json!(found);
            if let Err(reason) = reverted {
                shown["reason"] = json!(reason);
            }
        }
    }
    shown
}

pub(super) fn text(finding: &Finding) -> String {
    let entry = &finding.entry;
    match &finding.state {
        DeclaredState::Missing => format!("{entry}: is missing"),
        DeclaredState::Created => format!("{entry}: made"),
        DeclaredState::Differs { field, declared, found, reverted } => {
            let differs = match (declared, found) {
                (Some(declared), Some(found)) => format!("the file says {declared}, the store had {found}"),
                _ => "differs".to_owned(),
            };
            match reverted {
                Ok(true) => format!("{entry}, {field}: changed: {differs}"),
                Ok(false) => format!("{entry}, {field}: {differs}"),
                Err(reason) => format!("{entry}, {field}: {differs}; not changed: {reason}"),
            }
        }
    }
}
