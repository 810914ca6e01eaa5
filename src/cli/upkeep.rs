//! The arguments of `juststorage backup` and `juststorage stuck`.

use std::time::Duration;

use clap::Subcommand;
use uuid::Uuid;

use super::id;
use crate::config::duration;

/// Backups.
#[derive(Subcommand)]
pub enum BackupCommand {
    /// Hold removal: no data file is removed that a backup of the database may name
    Begin {
        /// When the hold ends if `backup end` is never called: a number and s, m, h or d
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration::parse)]
        hold: Duration,
    },
    /// End a hold, after the tiers are copied
    End {
        /// The backup's id, as `backup begin` printed it [default: the only one]
        #[arg(value_parser = id)]
        id: Option<Uuid>,
        /// End all of them
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// List the holds
    List,
}

/// Failed items.
#[derive(Subcommand)]
pub enum StuckCommand {
    /// Make an item due now
    Retry {
        /// The item, as `stuck` shows it
        #[arg(required_unless_present = "all")]
        item: Option<String>,
        /// All items
        #[arg(long, conflicts_with = "item")]
        all: bool,
    },
    /// Give up a segment that is kept because it may hold bytes that the database does not know
    ///
    /// `validate` names such segments (`segment-kept`). Without --yes this only says which records would be lost: those that no
    /// object names. With it they are garbage, whose file goes once the retention has passed.
    GiveUp {
        /// The segment's id
        #[arg(required_unless_present = "all", value_parser = id)]
        segment: Option<Uuid>,
        /// All kept segments
        #[arg(long, conflicts_with = "segment")]
        all: bool,
        /// Do it; without this nothing is changed
        #[arg(long)]
        yes: bool,
    },
}
