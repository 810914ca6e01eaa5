//! The command line of `juststorage upstream`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use juststorage_core::domain::address::{BucketName, Namespace, Tenant};

use super::SpaceNamed;
use crate::config::amount;

/// The environment variable of a secret key that is no setting of this program.
pub const UPSTREAM_SECRET: &str = "JUSTSTORAGE_UPSTREAM_SECRET_KEY";

/// Upstreams.
#[derive(Subcommand)]
pub enum UpstreamCommand {
    /// Bind a space to an upstream, or change what is named; the rest stays
    ///
    /// The upstream must answer, take the credential, have the bucket, and be another store. Give the secret key in a
    /// file or in `JUSTSTORAGE_UPSTREAM_SECRET_KEY` rather than on the command line, which others on the machine can see.
    #[command(after_help = "Examples:
  juststorage upstream set --bucket photos --endpoint https://minio.example:9000 \\
    --upstream-bucket photos --access-key OLD --secret-key-file old.secret --mode observe
  juststorage upstream set --bucket photos --mode read-through")]
    Set(Box<UpstreamSet>),
    /// Show the upstream of a space, or of all spaces, and what was done about it
    Status {
        /// A bucket that names the space [default: all spaces that have an upstream]
        #[arg(long, value_parser = BucketName::new, conflicts_with_all = ["namespace", "tenant"])]
        bucket: Option<BucketName>,
        /// Its namespace
        #[arg(long, value_parser = Namespace::new)]
        namespace: Option<Namespace>,
        /// Its tenant [default: default]
        #[arg(long, value_parser = Tenant::new)]
        tenant: Option<Tenant>,
    },
    /// Fetch everything that is upstream and not here; may be repeated. Runs in a server, or here if there is none
    Backfill {
        /// Which space.
        #[command(flatten)]
        space: SpaceNamed,
    },
    /// Compare both sides; exit code 1 unless nothing is missing or different
    Verify {
        /// Which space.
        #[command(flatten)]
        space: SpaceNamed,
        /// Write the signed report: JSON, or a page if the name ends in .html. May be repeated
        #[arg(long = "report", value_name = "FILE")]
        reports: Vec<PathBuf>,
    },
    /// Let go what the upstream has replaced while its clients were there; exit code 1 unless nothing is left to decide
    ///
    /// In the mode observe, before a bucket comes again. Then set the mode read-through within an hour.
    Refresh {
        /// Which space.
        #[command(flatten)]
        space: SpaceNamed,
        /// Also remove here what was removed upstream: what is here may be the last copy
        #[arg(long)]
        remove: bool,
    },
    /// Show the signed report of the last comparison that is done, or check one
    ///
    /// Somebody else checks a report with the public key, which `--keys` shows: give it to them apart from the report.
    #[command(after_help = "Examples:
  juststorage upstream report --bucket photos --out photos.json --out photos.html
  juststorage upstream report --keys
  juststorage upstream report --check photos.json
  juststorage upstream report --check photos.json --key 5f0c…")]
    Report(Box<UpstreamReport>),
    /// Show which clients were seen here, by credential and user agent: one that is missing may still use the old store
    Clients {
        /// Which space.
        #[command(flatten)]
        space: SpaceNamed,
    },
    /// Leave the upstream: requests are answered by this store alone. Refused unless a comparison is clean
    Detach {
        /// Which space.
        #[command(flatten)]
        space: SpaceNamed,
        /// Forget the upstream and all that is known of it, in the modes observe and detached
        #[arg(long)]
        forget: bool,
    },
}

/// Which report, and what to do with it.
#[derive(Args)]
pub struct UpstreamReport {
    /// A bucket that names the space
    #[arg(long, value_parser = BucketName::new, required_unless_present_any = ["namespace", "check", "keys"], conflicts_with_all = ["namespace", "tenant"])]
    pub bucket: Option<BucketName>,
    /// Its namespace
    #[arg(long, value_parser = Namespace::new)]
    pub namespace: Option<Namespace>,
    /// Its tenant [default: default]
    #[arg(long, value_parser = Tenant::new)]
    pub tenant: Option<Tenant>,
    /// Write it here: JSON, or a page if the name ends in .html. May be repeated [default: print the JSON]
    #[arg(long, value_name = "FILE")]
    pub out: Vec<PathBuf>,
    /// Check this report (JSON): exit code 1 unless it is as this store signed it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bucket", "namespace", "tenant", "out", "keys"])]
    pub check: Option<PathBuf>,
    /// The public key to check with, in hexadecimal; no store is asked then. May be repeated
    #[arg(long, value_name = "KEY", requires = "check")]
    pub key: Vec<String>,
    /// Show the public keys that reports are checked with
    #[arg(long, conflicts_with_all = ["bucket", "namespace", "tenant", "out"])]
    pub keys: bool,
}

/// What is set of an upstream.
#[derive(Args)]
pub struct UpstreamSet {
    /// Which space.
    #[command(flatten)]
    pub space: SpaceNamed,
    /// Where it is: http://host:port or https://host:port
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The bucket there
    #[arg(long, value_name = "BUCKET")]
    pub upstream_bucket: Option<String>,
    /// What the keys there begin with, which is left out here [default: nothing]
    #[arg(long)]
    pub prefix: Option<String>,
    /// Region of the signatures [default: us-east-1]
    #[arg(long = "upstream-region", value_name = "REGION")]
    pub upstream_region: Option<String>,
    /// How its bucket is named in requests: path or virtual [default: path]
    #[arg(long)]
    pub addressing: Option<String>,
    /// The public part of its credential
    #[arg(long)]
    pub access_key: Option<String>,
    /// The secret part
    #[arg(long, env = UPSTREAM_SECRET, hide_env_values = true, conflicts_with = "secret_key_file")]
    pub secret_key: Option<String>,
    /// A file with the secret part
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// How far the space leaves it: observe, read-through or mirror [default: observe]
    #[arg(long)]
    pub mode: Option<String>,
    /// What is here wins over what clients have written to the upstream meanwhile, when a bucket comes again
    #[arg(long)]
    pub keep_here: bool,
    /// Its address may be private or loopback
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub allow_private: Option<bool>,
    /// Requests per second of backfill, verify and the mirror; 0: as fast as it answers
    #[arg(long, value_name = "NUMBER")]
    pub upstream_requests_per_second: Option<u32>,
    /// Bytes per second of backfill, verify and the mirror, such as 50MiB; 0: as fast as they come
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    pub upstream_bytes_per_second: Option<u64>,
    /// Keys that may wait to be sent, in the mode mirror [default: 10000000]
    #[arg(long, value_name = "NUMBER")]
    pub mirror_rows_max: Option<u64>,
    /// What becomes of a change over that: refuse, or drop until the mode is set again [default: drop]
    #[arg(long, value_name = "WHAT")]
    pub mirror_overflow: Option<String>,
    /// Seconds that a change waits until the upstream has it, before it is answered; 0: it does not wait [default: 0]
    #[arg(long, value_name = "SECONDS")]
    pub mirror_wait: Option<u32>,
}
