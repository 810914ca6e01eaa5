//! The three-part address, in headers and JSON.

use juststorage_core::application::ports::metadata::SpaceRef;
use juststorage_core::domain::address::{Key, Namespace, SpaceAddress};
use juststorage_core::domain::invalid::Invalid;

use super::Call;
use super::auth::Proven;
use crate::problem::{Failure, Problem};

/// Where the tenant of a call comes from that does not name it.
const TENANT_FOLLOWS: &str = ", unless the credentials are of one tenant alone";

/// An address whose key may be absent.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// The space.
    pub(crate) space: SpaceAddress,
    /// The key; `None` for an object addressed by id only.
    pub(crate) key: Option<Key>,
}

impl Address {
    /// The address to write to, from `X-Namespace`, `X-Tenant` and `X-Key`. The key is taken verbatim, as UTF-8.
    pub(crate) fn from_headers(call: &Call, proven: &Proven) -> Result<Self, Failure> {
        let namespace = Namespace::new(call.required("X-Namespace")?)?;
        let tenant = call.tenant_of(proven, None)?;
        let tenant = tenant.ok_or_else(|| Problem::missing_header("X-Tenant", TENANT_FOLLOWS))?;
        let key = call.header("X-Key")?.map(Key::new).transpose()?;
        Ok(Self { space: SpaceAddress::new(namespace, tenant), key })
    }

    /// An address from the members of a JSON body; without `tenant` as [`Call::tenant_of`].
    pub(crate) fn from_members(
        call: &Call,
        proven: &Proven,
        namespace: &str,
        tenant: Option<&str>,
        key: Option<&str>,
    ) -> Result<Self, Failure> {
        let namespace = Namespace::new(namespace)?;
        let tenant = call.tenant_of(proven, tenant)?;
        let tenant = tenant.ok_or_else(|| Invalid::new("tenant", "is required, or the header X-Tenant"))?;
        let space = SpaceAddress::new(namespace, tenant);
        Ok(Self { space, key: key.map(Key::new).transpose()? })
    }

    /// The place of the address.
    pub(crate) fn place(&self) -> SpaceRef {
        SpaceRef::Space(self.space.clone())
    }
}
