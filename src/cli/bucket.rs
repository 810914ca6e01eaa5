//! The arguments of `juststorage bucket`.

use clap::Subcommand;
use juststorage_core::domain::address::{BucketName, Namespace, Tenant};

/// Buckets.
#[derive(Subcommand)]
pub enum BucketCommand {
    /// Give a space an S3 name; the space may exist already
    Create {
        /// The bucket's name
        #[arg(value_parser = BucketName::new)]
        name: BucketName,
        /// The space's namespace [default: NAME]
        #[arg(long, value_parser = Namespace::new)]
        namespace: Option<Namespace>,
        /// The space's tenant [default: default]
        #[arg(long, value_parser = Tenant::new)]
        tenant: Option<Tenant>,
    },
    /// List buckets and the spaces they name
    List {
        /// Only this tenant's
        #[arg(long, value_parser = Tenant::new)]
        tenant: Option<Tenant>,
    },
    /// Delete an empty bucket
    Delete {
        /// The bucket's name
        #[arg(value_parser = BucketName::new)]
        name: BucketName,
    },
}
