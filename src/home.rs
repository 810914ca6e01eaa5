//! The tenant of callers that name none.

use juststorage_core::domain::address::Tenant;

use crate::exit_error::ExitError;

/// The tenant of the root credential, and of requests that name none while authentication is disabled.
pub const HOME_TENANT: &str = "default";

/// [`HOME_TENANT`] as a tenant.
pub fn home_tenant() -> Result<Tenant, ExitError> {
    Tenant::new(HOME_TENANT).map_err(|invalid| ExitError::Unable(invalid.to_string()))
}
