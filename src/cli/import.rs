//! The arguments of `juststorage import`.

use std::path::PathBuf;

use clap::Subcommand;
use juststorage_core::domain::address::Tenant;

/// What other stores have written down of themselves.
#[derive(Subcommand)]
pub enum ImportCommand {
    /// Make the buckets, users and access keys that MinIO has exported, and list what cannot be taken over
    ///
    /// Reads what `mc admin cluster bucket export` and `mc admin cluster iam export` write, unpacked. What the store has
    /// already is compared and left as it is, so the command may be repeated. Objects are not moved: see
    /// `juststorage upstream`.
    #[command(after_help = "Examples:
  mc admin cluster bucket export old && mc admin cluster iam export old
  unzip old-bucket-metadata.zip -d export && unzip old-iam-info.zip -d export
  juststorage import minio export --check
  juststorage import minio export")]
    Minio {
        /// Folders that the exports were unpacked into
        #[arg(required = true, value_name = "FOLDER")]
        folders: Vec<PathBuf>,
        /// The tenant that everything goes to
        #[arg(long, default_value = crate::home::HOME_TENANT, value_parser = Tenant::new)]
        tenant: Tenant,
        /// Change nothing; exit code 1 if something is missing or differs
        #[arg(long)]
        check: bool,
    },
}
