//! Limits of tenants, and what counts in them.

use std::collections::BTreeMap;

use super::{Admin, allow, allow_operator};
use crate::access::administer::{Scope, is_operator};
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::SpaceUsage;
use crate::domain::address::Tenant;
use crate::domain::invalid::Invalid;
use crate::domain::limits::{Holdings, Limits, Overrides};
use crate::domain::principal::{Principal, Right, Tenants};

/// How often a change of limits is tried while others come between.
const SET_ATTEMPTS: u32 = 8;

/// A tenant's limits, and what it takes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantUse {
    /// The tenant.
    pub tenant: Tenant,
    /// The limits set for it.
    pub said: Overrides,
    /// The limits in force: those set, or the default.
    pub effective: Limits,
    /// The use that counts in its quota.
    pub held: Holdings,
}

/// The tenants that have limits of their own or keep anything: what is said of them, and what counts in their quotas.
pub(crate) fn tenants_in_use(
    said: Vec<(Tenant, Overrides)>,
    usage: &[SpaceUsage],
) -> BTreeMap<Tenant, (Overrides, Holdings)> {
    let mut tenants: BTreeMap<Tenant, (Overrides, Holdings)> = BTreeMap::new();
    for (tenant, said) in said {
        tenants.entry(tenant).or_default().0 = said;
    }
    for figures in usage {
        let held = &mut tenants.entry(figures.address.tenant.clone()).or_default().1;
        held.bytes += figures.logical_bytes + figures.upload_bytes;
        held.objects += figures.objects + figures.delete_markers;
    }
    tenants
}

impl Admin {
    /// The limits of tenants without limits of their own.
    pub fn default_limits(&self) -> Limits {
        self.store.limits.defaults()
    }

    /// The tenants whose limits `who` may see, by name, after one: for an operator, all that have limits of their own,
    /// keep anything or have a credential.
    pub async fn limits(
        &self,
        who: &Principal,
        tenant: Option<&Tenant>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TenantUse>> {
        let asked = match (tenant, &who.tenants) {
            (Some(tenant), _) => vec![tenant.clone()],
            (None, _) if is_operator(who) => return self.all_limits(after, limit).await,
            (None, Tenants::These(tenants)) => tenants.clone(),
            (None, Tenants::Own | Tenants::Any) => vec![who.tenant.clone()],
        };
        let mut shown = Vec::new();
        for tenant in asked {
            if after.is_none_or(|after| tenant.as_str() > after) {
                shown.push(self.limits_of(who, &tenant).await?);
            }
        }
        shown.sort_by(|one, other| one.tenant.cmp(&other.tenant));
        shown.truncate(limit);
        Ok(shown)
    }

    async fn all_limits(&self, after: Option<&str>, limit: usize) -> Result<Vec<TenantUse>> {
        let metadata = &self.store.metadata;
        let said = metadata.list_tenant_limits().await?;
        let mut tenants = tenants_in_use(said, &metadata.usage(None, None).await?);
        for credential in metadata.list_credentials(None).await? {
            tenants.entry(credential.tenant).or_default();
        }
        let defaults = self.default_limits();
        let page =
            tenants.into_iter().filter(|(tenant, _)| after.is_none_or(|after| tenant.as_str() > after));
        let shown = |(tenant, (said, held)): (Tenant, (Overrides, Holdings))| TenantUse {
            tenant,
            said,
            effective: said.over(&defaults),
            held,
        };
        Ok(page.take(limit).map(shown).collect())
    }

    /// The limits of one tenant.
    pub async fn limits_of(&self, who: &Principal, tenant: &Tenant) -> Result<TenantUse> {
        allow(who, Scope::Tenant(tenant), Error::Forbidden(Right::Admin))?;
        let metadata = &self.store.metadata;
        let said = metadata.tenant_limits(tenant).await?.unwrap_or_default();
        let effective = said.over(&self.default_limits());
        Ok(TenantUse { tenant: tenant.clone(), said, effective, held: metadata.holdings(tenant).await? })
    }

    /// Changes a tenant's limits: `change` makes the new ones of those that hold now, and is asked again if another change
    /// came between. In force within a second on every server.
    pub async fn set_limits(
        &self,
        who: &Principal,
        tenant: &Tenant,
        change: impl Fn(Overrides) -> Result<Overrides, Invalid> + Send,
    ) -> Result<TenantUse> {
        allow_operator(who)?;
        let metadata = &self.store.metadata;
        for _ in 0..SET_ATTEMPTS {
            let was = metadata.tenant_limits(tenant).await?.unwrap_or_default();
            let said = change(was)?;
            said.over(&Limits::default()).validate()?;
            if metadata.set_tenant_limits(tenant, &was, &said, self.store.clock.now()).await? {
                return self.limits_of(who, tenant).await;
            }
        }
        Err(Error::Conflict)
    }
}
