//! The arguments of `juststorage key`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use juststorage_core::domain::address::{KeyPrefix, Tenant};
use juststorage_core::domain::principal::{NamespacePattern, Rights};
use uuid::Uuid;

use super::id;
use crate::config::duration;

/// Credentials.
#[derive(Subcommand)]
pub enum KeyCommand {
    /// Create a credential and print its secret, which is not shown again
    #[command(after_help = "Examples:
  juststorage key create --kind api --tenant acme --rights read --namespace models
  juststorage key create --kind s3 --tenant acme --expires 90d --json")]
    Create(KeyCreate),
    /// List credentials, revoked and expired ones too, without their secrets
    List {
        /// Only this tenant's
        #[arg(long, value_parser = Tenant::new)]
        tenant: Option<Tenant>,
    },
    /// Revoke a credential, within a second on every server of the store
    Revoke {
        /// The credential's id, as `key create` and `key list` show it
        #[arg(value_parser = id)]
        id: Uuid,
    },
    /// Replace a credential by a new one with the same rights, and print its secret
    Rotate {
        /// The id of the credential that ends
        #[arg(value_parser = id)]
        id: Uuid,
        /// How long the old credential stays valid: a number and s, m, h or d [default: it ends at once]
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        grace: Option<Duration>,
    },
    /// Encrypt the secrets of all S3 credentials with the new master key
    ///
    /// With `JUSTSTORAGE_MASTER_KEY` set: give every server the new key, and the old one as
    /// `JUSTSTORAGE_MASTER_KEY_PREVIOUS`; run this command; unset the old key. The servers keep running. With a
    /// master key in the data directory: stop the server and run this command, which also creates the new key.
    /// URLs that were signed under the old key end with it.
    RotateMaster {
        /// The right master key is lost for good: revoke the S3 credentials that neither master key decrypts, and
        /// continue with the present key
        #[arg(long)]
        revoke_lost: bool,
    },
}

/// A new credential.
#[derive(Args)]
pub struct KeyCreate {
    /// `api`: a bearer token of the native API; `s3`: an access key and a secret key
    #[arg(long)]
    pub kind: KeyKind,
    /// The tenant whose data it opens
    #[arg(long, value_parser = Tenant::new)]
    pub tenant: Tenant,
    /// A namespace that it is bound to, or a prefix of several (`team-*`); may be repeated [default: all of the
    /// tenant's]
    #[arg(long = "namespace", value_name = "NAMESPACE", value_parser = NamespacePattern::parse)]
    pub namespaces: Vec<NamespacePattern>,
    /// A prefix of the keys that it may use, such as `reports/`; may be repeated [default: all keys]
    #[arg(long = "prefix", value_name = "PREFIX", value_parser = KeyPrefix::new)]
    pub prefixes: Vec<KeyPrefix>,
    /// Its rights: of read, write, delete, admin; and over the whole store metrics, operator (docs/admin.md)
    #[arg(long, default_value = "read,write,delete", value_parser = Rights::parse)]
    pub rights: Rights,
    /// How long it is valid: a number and s, m, h or d [default: until revoked]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub expires: Option<Duration>,
    /// Its purpose, shown by `key list`
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    pub description: String,
}

/// The two kinds of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// A bearer token of the native API.
    Api,
    /// An access key and a secret key.
    S3,
}
