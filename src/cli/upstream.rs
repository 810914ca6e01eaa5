//! The command line of `juststorage upstream`.

use clap::{Args, Subcommand};

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
        #[arg(long, value_parser = juststorage_core::domain::address::BucketName::new, conflicts_with_all = ["namespace", "tenant"])]
        bucket: Option<juststorage_core::domain::address::BucketName>,
        /// Its namespace
        #[arg(long, value_parser = juststorage_core::domain::address::Namespace::new)]
        namespace: Option<juststorage_core::domain::address::Namespace>,
        /// Its tenant [default: default]
        #[arg(long, value_parser = juststorage_core::domain::address::Tenant::new)]
        tenant: Option<juststorage_core::domain::address::Tenant>,
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
    pub secret_key_file: Option<std::path::PathBuf>,
    /// How far the space leaves it: observe or read-through [default: observe]
    #[arg(long)]
    pub mode: Option<String>,
    /// Its address may be private or loopback
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub allow_private: Option<bool>,
    /// Requests per second of backfill and verify; 0: as fast as it answers
    #[arg(long, value_name = "NUMBER")]
    pub upstream_requests_per_second: Option<u32>,
    /// Bytes per second of backfill and verify, such as 50MiB; 0: as fast as they come
    #[arg(long, value_name = "AMOUNT", value_parser = amount::parse)]
    pub upstream_bytes_per_second: Option<u64>,
}
