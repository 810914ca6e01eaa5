//! The command line of `juststorage events`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::config::duration;

/// The environment variable of a target's secret, which is no setting of this program.
pub const EVENTS_SECRET: &str = "JUSTSTORAGE_EVENTS_SECRET";

/// Event targets.
#[derive(Subcommand)]
pub enum EventsCommand {
    /// Show every target: what waits for it, since when, and why it takes nothing
    Status {
        /// Only this target, with all that is set on it
        target: Option<String>,
    },
    /// Declare a target, or change what is named; the rest stays
    ///
    /// Give the secret in a file or in `JUSTSTORAGE_EVENTS_SECRET` rather than on the command line, which others on the machine can
    /// see. Buckets then name the target by its ARN.
    #[command(after_help = "Examples:
  juststorage events set hooks --endpoint https://hooks.example/s3 --secret-file hooks.secret
  juststorage events set hooks --paused
  juststorage events set bus --kind nats --endpoint tls://nats.example --subject s3.events --secret-file bus.creds")]
    Set(Box<EventsSet>),
    /// Send a test event now; exit code 1 if the target does not take it
    Test {
        /// The target
        target: String,
    },
    /// Deliver events again that were delivered and are kept, from a time or a sequencer on
    Replay {
        /// The target
        target: String,
        /// From this time on, such as 2027-01-01T00:00:00Z
        #[arg(long, value_name = "TIME", required_unless_present = "from_sequencer")]
        from_time: Option<String>,
        /// From the event with this `sequencer` on
        #[arg(long, value_name = "HEX", conflicts_with = "from_time")]
        from_sequencer: Option<String>,
    },
    /// List events that a target refused: they are put aside, and hold their keys, until they are taken
    Aside {
        /// Only of this target
        target: Option<String>,
    },
    /// Try events that are put aside again now
    Retry {
        /// The event, as `events aside` shows it, or a target for all of its events
        #[arg(required_unless_present = "all")]
        item: Option<String>,
        /// All events of all targets
        #[arg(long, conflicts_with = "item")]
        all: bool,
    },
    /// Remove a target that no bucket names
    Remove {
        /// The target
        target: String,
        /// Although events wait for it
        #[arg(long)]
        discard: bool,
    },
}

/// What is set of a target.
#[derive(Args)]
pub struct EventsSet {
    /// Its name
    pub target: String,
    /// Its kind: webhook or nats [default: webhook]
    #[arg(long)]
    pub kind: Option<String>,
    /// Where it is: https://… or http://…; of NATS tls://… or nats://…
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// What events look like: s3 or cloudevents [default: s3]
    #[arg(long)]
    pub format: Option<String>,
    /// The NATS subject that events are published on
    #[arg(long)]
    pub subject: Option<String>,
    /// What shows that a NATS server has taken an event: stream (JetStream keeps it) or server (it was read) [default: stream]
    #[arg(long, value_name = "WHAT")]
    pub taken_by: Option<String>,
    /// What events are signed with: 16 to 1024 bytes; of NATS a token, user:password, a seed, or the text of a credentials file
    #[arg(long, env = EVENTS_SECRET, hide_env_values = true, conflicts_with_all = ["secret_file", "no_secret"])]
    pub secret: Option<String>,
    /// A file with the secret
    #[arg(long, value_name = "FILE", conflicts_with = "no_secret")]
    pub secret_file: Option<PathBuf>,
    /// Events are not signed any more
    #[arg(long)]
    pub no_secret: bool,
    /// Tenants whose buckets may name it, separated by commas; `all` for all [default: all]
    #[arg(long, value_name = "TENANTS")]
    pub tenants: Option<String>,
    /// Private and loopback addresses are reached
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub allow_private: Option<bool>,
    /// Further addresses and ranges that are reached, separated by commas; `none` for none
    #[arg(long, value_name = "RANGES")]
    pub allow_networks: Option<String>,
    /// How long a delivery may take, 1s to 20s [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// Deliveries at once, each of another key, 1 to 64 [default: 8]
    #[arg(long, value_name = "NUMBER")]
    pub concurrency: Option<u32>,
    /// Events that may wait [default: 1000000]
    #[arg(long, value_name = "NUMBER")]
    pub rows_max: Option<u64>,
    /// What becomes of an event over that: drop it, or refuse the change [default: drop]
    #[arg(long)]
    pub overflow: Option<String>,
    /// How long delivered events are kept for a replay [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub keep: Option<Duration>,
    /// Nothing is delivered for now; events wait
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub paused: Option<bool>,
}
