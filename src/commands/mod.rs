//! The commands, one file each.

use clap::CommandFactory as _;

use crate::cli::{Cli, Command, EVENTS_SECRET, UPSTREAM_SECRET};
use crate::config::environment;
use crate::config::{Config, ConfigError, LogConfig, Settings, StorageConfig, lifecycle_day};
use crate::exit_error::ExitError;
use crate::remote::Remote;
use crate::telemetry;

mod backup;
mod bootstrap;
mod bucket;
mod completions;
mod events;
mod gc;
mod health;
mod import;
mod key;
mod lease;
mod lifecycle;
mod limits;
mod migrate;
mod output;
mod scrub;
mod serve;
mod session;
mod snippets;
mod space;
mod stats;
mod stuck;
mod upstream;
mod validate;
mod version;

use output::Output;

/// Runs the command.
pub async fn run(cli: Cli) -> Result<(), ExitError> {
    // These need no setting, and answer also if the environment holds a wrong one.
    match &cli.command {
        Some(Command::Version) => return version::run(Output { json: cli.json }),
        Some(Command::Help { topic }) => return help(topic),
        Some(Command::Completions { shell }) => return completions::run(*shell),
        Some(Command::Man) => return completions::man(),
        _ => {}
    }
    refuse_misspelt()?;
    let file = match cli.config.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => Settings::read(&path)?,
        None => Settings::default(),
    };
    let settings = cli.settings.or(file).with_secret_files()?;
    let log = LogConfig::new(&settings)?;
    let output = Output { json: cli.json };
    let command = cli.command.unwrap_or(Command::Serve);
    // `serve` and `health` are about the server on this machine, also if JUSTSTORAGE_URL names another one.
    let own = matches!(command, Command::Serve | Command::Health { .. });
    let remote = if own { None } else { Remote::of(&settings)? };
    // A command's own words are on standard output; its log shows only what is wrong.
    telemetry::log(&log, if matches!(command, Command::Serve) { "info" } else { "warn" })?;
    if let Some(remote) = remote {
        return elsewhere(&remote, command, output).await;
    }
    match command {
        Command::Serve => {
            let (settings, note) = settings.with_root_of_minio(|name| std::env::var_os(name))?;
            if let Some(note) = note {
                tracing::info!("{note}");
            }
            Box::pin(serve::run(Config::new(&settings)?, log.format, output)).await
        }
        Command::Health { at: Some(url), status, .. } => {
            health::ask_url(&settings, url, status, output).await
        }
        Command::Health { ready, .. } => health::run(&settings, ready, output).await,
        Command::Migrate => migrate::run(&StorageConfig::new(&settings)?, output).await,
        Command::Validate { rebuild, tenants } => {
            let storage = StorageConfig::new(&settings)?;
            if rebuild {
                validate::rebuild(storage, tenants, output).await
            } else {
                validate::run(storage, output).await
            }
        }
        Command::Scrub => scrub::run(StorageConfig::new(&settings)?, output).await,
        Command::Gc => gc::run(StorageConfig::new(&settings)?, output).await,
        Command::Backup(command) => backup::run(StorageConfig::new(&settings)?, command, output).await,
        Command::Stuck { command } => stuck::run(StorageConfig::new(&settings)?, command, output).await,
        Command::Lifecycle => {
            let day = lifecycle_day(&settings)?;
            lifecycle::run(StorageConfig::new(&settings)?, day, output).await
        }
        Command::Stats => stats::run(StorageConfig::new(&settings)?, output).await,
        Command::Key(command) => key::run(&settings, command, output).await,
        Command::Limits(command) => limits::run(&settings, command, output).await,
        Command::Space(command) => space::run(&settings, command, output).await,
        Command::Upstream(command) => upstream::run(&settings, command, output).await,
        Command::Events(_) => Err(events::nowhere()),
        Command::Import(command) => import::run(&settings, command, output).await,
        Command::Bootstrap { check, apply } => bootstrap::run(&settings, check, apply, output).await,
        Command::Bucket(command) => bucket::run(StorageConfig::new(&settings)?, command, output).await,
        // Answered before the settings are read.
        Command::Version | Command::Help { .. } | Command::Completions { .. } | Command::Man => Ok(()),
    }
}

/// Runs the command over the admin API of a server.
async fn elsewhere(remote: &Remote, command: Command, output: Output) -> Result<(), ExitError> {
    match command {
        Command::Stuck { command } => stuck::run_remote(remote, command, output).await,
        Command::Stats => stats::run_remote(remote, output).await,
        Command::Key(command) => key::run_remote(remote, command, output).await,
        Command::Limits(command) => limits::run_remote(remote, command, output).await,
        Command::Bucket(command) => bucket::run_remote(remote, command, output).await,
        Command::Space(command) => space::run_remote(remote, command, output).await,
        Command::Upstream(command) => upstream::run_remote(remote, command, output).await,
        Command::Events(command) => events::run_remote(remote, command, output).await,
        _ => Err(ExitError::Config(ConfigError::new(
            "JUSTSTORAGE_URL",
            "is set, and this command works on the store itself: run it beside the database, without the URL",
        ))),
    }
}

/// Prints the help of a command, or all settings.
fn help(topic: &[String]) -> Result<(), ExitError> {
    let page = Cli::help(topic).map_err(|reason| ExitError::Config(ConfigError::new("help", reason)))?;
    output::line(page.trim_end())
}

/// Refuses a misspelt setting, which would leave its default in force.
fn refuse_misspelt() -> Result<(), ExitError> {
    let program = Cli::command();
    let settings = program.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    let settings: Vec<_> = settings.chain([UPSTREAM_SECRET, EVENTS_SECRET]).collect();
    let Some((name, nearest)) = environment::misspelt(std::env::vars_os(), &settings) else { return Ok(()) };
    let meant = nearest.map_or_else(String::new, |nearest| format!("; {nearest} is meant, perhaps"));
    Err(ExitError::Config(ConfigError {
        setting: name.into(),
        reason: format!("is no setting of this program: unset it, or correct its name{meant}"),
    }))
}
