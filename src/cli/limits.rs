//! The arguments of `juststorage limits`.

use clap::{Args, Subcommand};
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::limits::LimitSetting;

use crate::config::amount;

/// Limits of single tenants.
#[derive(Subcommand)]
pub enum LimitsCommand {
    /// Set limits of a tenant; unnamed limits stay. In force within a second on every server
    ///
    /// Each is a number (of bytes also such as 10GiB), `unlimited`, or `default` for what the settings say.
    #[command(after_help = "Examples:
  juststorage limits set acme --bytes 500GiB --requests-per-second 200
  juststorage limits set acme --bytes default")]
    Set(LimitsSet),
    /// List the tenants that have limits of their own
    List,
}

/// Limits of one tenant. At least one has to be named: `--quota-bytes`, which is a setting of the server, would otherwise
/// be taken and change nothing.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("limits").required(true).multiple(true).args([
    "requests_per_second",
    "concurrent_requests",
    "upload_bytes_per_second",
    "download_bytes_per_second",
    "bytes",
    "objects",
])))]
pub struct LimitsSet {
    /// The tenant
    #[arg(value_parser = Tenant::new)]
    pub tenant: Tenant,
    /// Requests per second
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    pub requests_per_second: Option<LimitSetting>,
    /// Concurrent requests
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    pub concurrent_requests: Option<LimitSetting>,
    /// Bytes sent per second
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    pub upload_bytes_per_second: Option<LimitSetting>,
    /// Bytes received per second
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    pub download_bytes_per_second: Option<LimitSetting>,
    /// Stored bytes, in all versions (`--quota-bytes` is the default of all tenants)
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    pub bytes: Option<LimitSetting>,
    /// Stored objects, versions included (`--quota-objects` is the default of all tenants)
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    pub objects: Option<LimitSetting>,
}

fn limit(text: &str) -> Result<LimitSetting, String> {
    match text {
        "default" => Ok(LimitSetting::Default),
        "unlimited" => Ok(LimitSetting::Unlimited),
        amount => Ok(LimitSetting::At(amount::parse(amount)?)),
    }
}
