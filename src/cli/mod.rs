//! The command line. Names and shapes are a contract; [`crate::commands`] implements them. The arguments of a command
//! that has commands of its own stand in a file of its name.

mod bucket;
mod events;
mod import;
mod key;
mod limits;
mod space;
mod upkeep;
mod upstream;

use std::path::PathBuf;

use axum::http::Uri;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use juststorage_core::domain::address::Tenant;
use uuid::Uuid;

pub use bucket::BucketCommand;
pub use events::{EVENTS_SECRET, EventsCommand, EventsSet};
pub use import::ImportCommand;
pub use key::{KeyCommand, KeyCreate, KeyKind};
pub use limits::{LimitsCommand, LimitsSet};
pub use space::{SpaceCommand, SpaceNamed, SpaceSet};
pub use upkeep::{BackupCommand, StuckCommand};
pub use upstream::{UPSTREAM_SECRET, UpstreamCommand, UpstreamReport, UpstreamSet};

use crate::config::Settings;
use crate::config::names;

const EXAMPLES: &str = "\
Examples:
  juststorage                                    serve ./data on 127.0.0.1
  juststorage --data-dir /srv/store --log info,access=warn
  juststorage key create --kind s3 --tenant acme --expires 90d
  juststorage bucket create models --namespace models --tenant acme
  juststorage stats --json
  juststorage backup begin

Settings: a flag wins over the environment, which wins over the TOML file, which
wins over the default. In the file a setting is called as its flag, with
underscores: data_dir = \"/srv/store\". `juststorage help settings` lists them all.

Exit codes: 0 done; 1 the answer is no (a finding, no such key, the bucket is
not empty); 2 the command line or a setting is wrong; 3 the work could not be
done (database or tier out of reach, data directory in use, newer schema,
database, tiers and master key that do not belong together).";

/// An S3-compatible gateway over a content-addressed, crash-safe object store.
///
/// Without a command it serves: a native API and an S3 front over the same objects.
#[derive(Parser)]
#[command(
    name = "juststorage",
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// The command [default: serve]
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,

    /// TOML file with settings
    #[arg(long, global = true, env = names::CONFIG, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The settings.
    #[command(flatten)]
    pub settings: Settings,
}

/// Settings that every command's help shows: where the store is.
const SHOWN: [&str; 4] = ["data_dir", "database_url", "url", "log"];

impl Cli {
    /// The command line's definition for people: the help of each command shows the settings needed most.
    pub fn brief() -> clap::Command {
        Self::command().mut_args(|argument| {
            let hidden = is_setting(&argument) && !SHOWN.contains(&argument.get_id().as_str());
            argument.hide(hidden)
        })
    }

    /// Reads the command line of this process; ends it where that is wrong or asks for help.
    pub fn read() -> Self {
        let matches = Self::brief().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// The help of the command that `topic` names, or the list of all settings.
    pub fn help(topic: &[String]) -> Result<String, String> {
        if topic.len() == 1 && topic[0] == "settings" {
            let settings = Self::command();
            let settings = settings.get_arguments().filter(|argument| is_setting(argument)).cloned();
            let mut page = clap::Command::new("settings")
                .max_term_width(100)
                .disable_help_flag(true)
                .help_template("{before-help}{all-args}{after-help}")
                .args(settings.map(|argument| argument.hide_short_help(false)));
            return Ok(page.render_long_help().to_string());
        }
        let mut command = Self::brief();
        // As the parser does: global flags go to each command.
        command.build();
        let mut found = &mut command;
        for name in topic {
            found = found
                .find_subcommand_mut(name)
                .ok_or_else(|| format!("there is no command {name:?}: see `juststorage --help`"))?;
        }
        Ok(found.render_long_help().to_string())
    }
}

fn is_setting(argument: &clap::Arg) -> bool {
    argument.get_help_heading() == Some("Settings")
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Serve both fronts until SIGTERM or SIGINT; a second signal ends open requests at once
    Serve,
    /// Update the database's schema, then exit. `serve` does this too
    Migrate,
    /// Compare metadata with data; exit code 1 on a finding. May run beside a server
    ///
    /// Compares rows with each other, every file with its row, and every blob's bytes with its hash.
    /// `--rebuild` is for a store whose database is lost: it first creates an object
    /// `recovered/TENANT/sha256/HASH` for every blob in the segments. Keys, headers and versions are not in the
    /// segments and stay lost. The database must be empty, and no server may run.
    Validate {
        /// Rebuild the metadata of a lost database from the segments, as far as possible
        #[arg(long)]
        rebuild: bool,
        /// A tenant whose bytes to recognise; may be repeated [always: default]
        #[arg(long = "tenant", value_name = "TENANT", value_parser = Tenant::new, requires = "rebuild")]
        tenants: Vec<Tenant>,
    },
    /// Read every blob and quarantine damaged ones; exit code 1 on a finding. May run beside a server
    ///
    /// A server does the same slowly, all the time. This command completes the current pass at full speed, or
    /// makes a new one. If you interrupt it, the next run continues.
    Scrub,
    /// Reclaim unreferenced bytes at once. May run beside a server
    ///
    /// Takes over from dead servers, moves blobs to the tier that their objects ask for, empties sparse packs
    /// and removes deleted objects. A running server does all this by itself.
    ///
    /// Data files without references are kept for `JUSTSTORAGE_RETENTION` here too. `--retention 0s` removes them at
    /// once, for example on a full disk; an older backup of the database then lacks some of its bytes. A running
    /// backup (`backup begin`) still holds removal.
    Gc,
    /// Hold removal of data files during a backup
    ///
    /// Begin; copy the database; copy the tiers; end. See docs/backup.md.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// List items of background work that failed, and when they are tried again
    Stuck {
        /// The command [default: list them]
        #[command(subcommand)]
        command: Option<StuckCommand>,
    },
    /// Apply lifecycle rules once to every space that has rules. May run beside a server
    ///
    /// A running server does this by itself, once a day and when rules change; beside one, this command does
    /// nothing.
    Lifecycle,
    /// Show objects, logical and physical bytes and savings of each space
    Stats,
    /// Create, list and revoke credentials of the native API and of S3
    #[command(subcommand)]
    Key(KeyCommand),
    /// Set and list limits of single tenants that differ from the settings
    #[command(subcommand)]
    Limits(LimitsCommand),
    /// Create, list and delete buckets, the S3 names of spaces
    #[command(subcommand)]
    Bucket(BucketCommand),
    /// Show and change what is set on a space: versioning, class, lifecycle, policy and more
    #[command(subcommand)]
    Space(SpaceCommand),
    /// Move a space out of another S3 store while it is used: bind, fetch, compare, leave
    #[command(subcommand)]
    Upstream(UpstreamCommand),
    /// Declare event targets, test them, and see how late they are told. Asks the server at `JUSTSTORAGE_URL`
    #[command(subcommand)]
    Events(EventsCommand),
    /// Take over what another store has written down of its buckets, users and policies
    #[command(subcommand)]
    Import(ImportCommand),
    /// Make what the bootstrap file declares and the store does not have. May run beside a server
    ///
    /// `serve` does this at its start. What differs is shown and left as it is.
    Bootstrap {
        /// Change nothing; exit code 1 unless the store is as the file says
        #[arg(long, conflicts_with = "apply")]
        check: bool,
        /// Also change what differs to what the file says; exit code 1 if something cannot be changed
        #[arg(long)]
        apply: bool,
    },
    /// Ask the server on this machine whether it lives; exit code 1 if not. For health checks of containers
    ///
    /// Over TLS it trusts the certificate of `JUSTSTORAGE_TLS_CERT`. With `--at` and without that setting, it trusts the
    /// authorities of this machine.
    Health {
        /// Ask whether it is ready to serve
        #[arg(long)]
        ready: bool,
        /// Ask this URL instead, for example that of a service: `http://store:8080/ready`
        #[arg(long, value_name = "URL", value_parser = health_url, conflicts_with = "ready")]
        at: Option<Uri>,
        /// The status that the answer must have
        #[arg(long, value_name = "CODE", default_value_t = 200, value_parser = clap::value_parser!(u16).range(100..600), requires = "at")]
        status: u16,
    },
    /// Show the help of a command, or all settings (`help settings`)
    Help {
        /// The command, or `settings`
        topic: Vec<String>,
    },
    /// Print the version, and the commit that this program was built from
    Version,
    /// Print a script that completes commands and flags in a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page
    #[command(hide = true)]
    Man,
}

fn id(text: &str) -> Result<Uuid, String> {
    let refused =
        || "must be an id as the list shows it, such as 0199b3c8-7c1f-7000-8000-5d1f0c9a3e21".to_owned();
    text.parse().map_err(|_| refused())
}

/// A URL of `juststorage health`.
fn health_url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|_| "must be a URL".to_owned())?;
    match (url.scheme_str(), url.host()) {
        (Some("http" | "https"), Some(_)) => Ok(url),
        _ => Err("must be a URL of http or https, for example http://store:8080/ready".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_no_id_is_answered_with_what_an_id_is() {
        for line in [["juststorage", "key", "revoke", "nope"], ["juststorage", "key", "rotate", "nope"]] {
            let said = Cli::try_parse_from(line).err().unwrap().to_string();
            assert!(said.contains("must be an id as the list shows it") && !said.contains("UUID"), "{said}");
        }
    }

    #[test]
    fn help_is_short_and_all_settings_are_a_page() {
        let mut all = Cli::brief();
        all.build();
        let names: Vec<_> = all.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for name in names {
            let help = Cli::help(std::slice::from_ref(&name)).unwrap();
            let own = help.lines().filter(|line| !line.trim().is_empty()).count();
            assert!(own < 60, "{name}: {own} lines\n{help}");
            assert!(!help.contains("--jwt-secret"), "{name}: {help}");
        }
        let page = Cli::help(&["settings".to_owned()]).unwrap();
        for argument in Cli::command().get_arguments().filter(|argument| is_setting(argument)) {
            let variable = argument.get_env().unwrap().to_str().unwrap();
            assert!(page.contains(variable), "{variable}\n{page}");
        }
        assert!(Cli::help(&["key".to_owned(), "create".to_owned()]).unwrap().contains("--namespace"));
        assert!(Cli::help(&["defragment".to_owned()]).is_err());
    }

    #[test]
    fn settings_may_stand_before_and_behind_the_command() {
        for line in
            [["juststorage", "--region", "eu-1", "stats"], ["juststorage", "stats", "--region", "eu-1"]]
        {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.settings.region.as_deref(), Some("eu-1"));
        }
    }

    #[test]
    fn bad_names_are_refused_where_they_stand() {
        for line in [
            vec!["juststorage", "bucket", "create", "No"],
            vec!["juststorage", "key", "create", "--kind", "api", "--tenant", "../up"],
            vec!["juststorage", "key", "create", "--kind", "api", "--tenant", "a", "--rights", "fly"],
            vec!["juststorage", "key", "create", "--kind", "api", "--tenant", "a", "--expires", "soon"],
            vec!["juststorage", "key", "revoke", "42"],
            vec!["juststorage", "space", "get"],
            vec!["juststorage", "space", "get", "--bucket", "demo", "--namespace", "demo"],
            vec!["juststorage", "bootstrap", "--check", "--apply"],
        ] {
            assert!(Cli::try_parse_from(&line).is_err(), "{line:?}");
        }
    }
}
