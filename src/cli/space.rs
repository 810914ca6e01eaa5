//! The arguments of `juststorage space`.

use clap::{Args, Subcommand};
use juststorage_core::domain::address::{BucketName, Namespace, Tenant};

/// Spaces.
#[derive(Subcommand)]
pub enum SpaceCommand {
    /// Show what is set on a space
    Get {
        /// Which space.
        #[command(flatten)]
        space: SpaceNamed,
    },
    /// Set what is named, and leave the rest. A space that does not exist is made
    ///
    /// A document is JSON as the admin API has it (docs/admin.md), or the file that has it, or `none` to remove it.
    #[command(after_help = "Examples:
  juststorage space set --bucket demo --versioning enabled
  juststorage space set --bucket demo --lifecycle '{\"rules\": [{\"id\": \"old\", \"expiration\": {\"days\": 30}}]}'
  juststorage space set --namespace models --tenant acme --default-class cold --tags none")]
    Set(Box<SpaceSet>),
}

/// Which space.
#[derive(Args)]
pub struct SpaceNamed {
    /// A bucket that names it
    #[arg(long, value_parser = BucketName::new, required_unless_present = "namespace", conflicts_with_all = ["namespace", "tenant"])]
    pub bucket: Option<BucketName>,
    /// Its namespace
    #[arg(long, value_parser = Namespace::new)]
    pub namespace: Option<Namespace>,
    /// Its tenant [default: default]
    #[arg(long, value_parser = Tenant::new)]
    pub tenant: Option<Tenant>,
}

/// Settings of a space.
#[derive(Args)]
pub struct SpaceSet {
    /// Which space.
    #[command(flatten)]
    pub space: SpaceNamed,
    /// Whether keys keep versions: enabled, suspended or off
    #[arg(long, value_name = "STATUS")]
    pub versioning: Option<String>,
    /// Storage class of an object whose writer names none: hot or cold
    #[arg(long, value_name = "CLASS")]
    pub default_class: Option<String>,
    /// Lifecycle rules
    #[arg(long, value_name = "DOCUMENT")]
    pub lifecycle: Option<String>,
    /// Rules for pages of other origins
    #[arg(long, value_name = "DOCUMENT")]
    pub cors: Option<String>,
    /// Tags of the space, such as {"team": "search"}
    #[arg(long, value_name = "DOCUMENT")]
    pub tags: Option<String>,
    /// Versions can be locked, for good; and what new ones get
    #[arg(long, value_name = "DOCUMENT")]
    pub object_lock: Option<String>,
    /// Policy of the bucket that its resources name
    #[arg(long, value_name = "DOCUMENT")]
    pub policy: Option<String>,
    /// Which public access is blocked
    #[arg(long, value_name = "DOCUMENT")]
    pub public_access: Option<String>,
}
