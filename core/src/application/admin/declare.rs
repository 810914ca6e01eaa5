//! A store as a file declares it: what is missing is made, and what differs is told.
//!
//! An entry that the store does not know is made as a whole, in one transaction, so that any number of servers may do it
//! at once and a crash leaves no half of it. An entry that the store knows may have been changed since: what
//! differs is told field by field, and changed only on request.

use crate::access::administer::{as_administrator, may_hand_out};
use crate::application::access::{GivenSecret, NewKeyRequest};
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::{Credential, NewSpace, SpaceRef};
use crate::domain::limits::LimitSetting as Limit;
use crate::domain::object_lock::LockConfig;
use crate::domain::principal::Principal;
use crate::domain::settings::Setting;
use crate::domain::space::{Space, Versioning};

use super::declared::{
    About as _, Declared, DeclaredBucket, DeclaredCredential, DeclaredState, DeclaredTenant, Finding, Manner,
    Unfit,
};
use super::{Admin, SpaceChange, allow_operator, answer};

/// A limit as settings and commands write it.
fn limit(limit: Limit) -> String {
    match limit {
        Limit::Default => "default".to_owned(),
        Limit::Unlimited => "unlimited".to_owned(),
        Limit::At(amount) => amount.to_string(),
    }
}

fn versioning(versioning: Versioning) -> &'static str {
    match versioning {
        Versioning::Off => "off",
        Versioning::Enabled => "enabled",
        Versioning::Suspended => "suspended",
    }
}

fn names<T: ToString>(bounds: Option<&[T]>) -> String {
    let Some(bounds) = bounds else { return "all".to_owned() };
    let mut names: Vec<_> = bounds.iter().map(ToString::to_string).collect();
    names.sort_unstable();
    names.join(",")
}

fn document(setting: Option<&Setting>) -> String {
    setting.and_then(|setting| setting.to_document().ok()).unwrap_or_else(|| "none".to_owned())
}

/// A field of a credential that is not as declared: its name, what is declared, and what the store has.
type Difference = (&'static str, Option<String>, Option<String>);

/// A field that is not as declared, and what would change it.
struct Drift {
    field: &'static str,
    declared: Option<String>,
    found: Option<String>,
    remedy: Remedy,
}

enum Remedy {
    Change(SpaceChange),
    None(&'static str),
}

impl Drift {
    fn state(self, reverted: Result<bool, String>) -> DeclaredState {
        let Self { field, declared, found, .. } = self;
        DeclaredState::Differs { field, declared, found, reverted }
    }
}

impl Admin {
    /// Compares the store with what is declared, and does about it what `manner` says. Nothing is done unless every entry
    /// is fit. For operators.
    pub async fn declare(
        &self,
        who: &Principal,
        declared: &Declared,
        manner: Manner,
    ) -> Result<Vec<Finding>, Unfit> {
        for entry in declared.entries() {
            allow_operator(who).about(&entry)?;
        }
        declared.validate()?;
        for credential in &declared.credentials {
            let entry = credential.entry();
            may_hand_out(who, credential.request.rights)
                .map_err(|denied| answer(denied, Error::Internal))
                .about(&entry)?;
            self.access.refuse_root(&credential.secret).about(&entry)?;
        }
        for bucket in &declared.buckets {
            let entry = bucket.entry();
            if let Some(policy) = bucket.policy() {
                self.store.check_named(policy, &bucket.space.tenant).await.about(&entry)?;
            }
        }
        let mut findings = Vec::new();
        for tenant in &declared.tenants {
            let entry = tenant.entry();
            let states = self.declare_tenant(who, tenant, manner).await.about(&entry)?;
            findings.extend(states.into_iter().map(|state| Finding { entry: entry.clone(), state }));
        }
        for credential in &declared.credentials {
            let entry = credential.entry();
            let states = self.declare_credential(credential, manner).await.about(&entry)?;
            findings.extend(states.into_iter().map(|state| Finding { entry: entry.clone(), state }));
        }
        for bucket in &declared.buckets {
            let entry = bucket.entry();
            let states = self.declare_bucket(who, bucket, manner).await.about(&entry)?;
            findings.extend(states.into_iter().map(|state| Finding { entry: entry.clone(), state }));
        }
        Ok(findings)
    }

    async fn declare_tenant(
        &self,
        who: &Principal,
        declared: &DeclaredTenant,
        manner: Manner,
    ) -> Result<Vec<DeclaredState>> {
        if declared.fields().iter().all(|(_, limit, _)| limit.is_none()) {
            return Ok(Vec::new());
        }
        let said = self.store.metadata.tenant_limits(&declared.tenant).await?;
        let Some(mut found) = said else {
            if manner == Manner::Look {
                return Ok(vec![DeclaredState::Missing]);
            }
            self.set_limits(who, &declared.tenant, |said| Ok(declared.over(said))).await?;
            return Ok(vec![DeclaredState::Created]);
        };
        let mut states = Vec::new();
        for (field, wanted, place) in declared.fields() {
            let (Some(wanted), found) = (wanted, *place(&mut found)) else { continue };
            if wanted != found {
                states.push(DeclaredState::Differs {
                    field,
                    declared: Some(limit(wanted)),
                    found: Some(limit(found)),
                    reverted: Ok(manner == Manner::Revert),
                });
            }
        }
        if manner == Manner::Revert && !states.is_empty() {
            self.set_limits(who, &declared.tenant, |said| Ok(declared.over(said))).await?;
        }
        Ok(states)
    }

    async fn declare_credential(
        &self,
        declared: &DeclaredCredential,
        manner: Manner,
    ) -> Result<Vec<DeclaredState>> {
        let DeclaredCredential { request, secret } = declared;
        let mut found = self.store.metadata.find_credential(secret.lookup()).await?;
        if found.is_none() && manner == Manner::Look {
            return Ok(vec![DeclaredState::Missing]);
        }
        if found.is_none() {
            if self.access.declare_key(request, secret).await? {
                return Ok(vec![DeclaredState::Created]);
            }
            // Another server was faster.
            found = self.store.metadata.find_credential(secret.lookup()).await?;
        }
        let found = found.ok_or(Error::Conflict)?;
        let differences = self.differences(&found, request, secret)?;
        let reverted = match (manner, differences.is_empty()) {
            (Manner::Revert, false) if found.revoked_at.is_some() => {
                Err("a revoked credential stays revoked: declare another one".to_owned())
            }
            (Manner::Revert, false) if found.kind != request.kind => {
                Err("a credential stays of its kind: declare another one".to_owned())
            }
            (Manner::Revert, false) => self
                .access
                .restate_key(&found, request, secret)
                .await
                .map(|()| true)
                .map_err(|error| error.to_string()),
            _ => Ok(false),
        };
        let states = differences.into_iter().map(|(field, declared, found)| DeclaredState::Differs {
            field,
            declared,
            found,
            reverted: reverted.clone(),
        });
        Ok(states.collect())
    }

    /// Differences of a stored credential from its declaration.
    fn differences(
        &self,
        found: &Credential,
        request: &NewKeyRequest,
        secret: &GivenSecret,
    ) -> Result<Vec<Difference>> {
        let kind = |kind| format!("{kind:?}").to_lowercase();
        let moment = |at: Option<_>| at.map_or("none", |_| "set").to_owned();
        let mut all = vec![
            ("kind", kind(request.kind), kind(found.kind)),
            ("tenant", request.tenant.to_string(), found.tenant.to_string()),
            ("namespaces", names(request.namespaces.as_deref()), names(found.namespaces.as_deref())),
            ("prefixes", names(request.prefixes.as_deref()), names(found.prefixes.as_deref())),
            ("rights", request.rights.to_string(), found.rights.to_string()),
            ("description", request.description.clone(), found.description.clone()),
            ("expires_at", moment(request.expires_at), moment(found.expires_at)),
            ("revoked_at", "none".to_owned(), moment(found.revoked_at)),
        ];
        all.retain(|(_, declared, found)| declared != found);
        let mut all: Vec<_> =
            all.into_iter().map(|(field, declared, found)| (field, Some(declared), Some(found))).collect();
        if found.kind == secret.kind() {
            let field = match secret {
                GivenSecret::Api { .. } => "token",
                GivenSecret::S3 { .. } => "secret_key",
            };
            match self.access.has_secret(found, secret) {
                Some(true) => {}
                Some(false) => all.push((field, None, None)),
                None => {
                    tracing::error!(key = %found.id, "stored secret cannot be decrypted: was the master key changed?");
                    return Err(Error::Internal);
                }
            }
        }
        Ok(all)
    }

    async fn declare_bucket(
        &self,
        who: &Principal,
        declared: &DeclaredBucket,
        manner: Manner,
    ) -> Result<Vec<DeclaredState>> {
        let place = SpaceRef::Bucket(declared.name.clone());
        let mut space = self.store.metadata.space(&place).await?;
        let mut states = Vec::new();
        if space.is_none() {
            if manner == Manner::Look {
                return Ok(vec![DeclaredState::Missing]);
            }
            let made = self.make_declared(declared).await?;
            if made.is_some() {
                states.push(DeclaredState::Created);
            }
            // What was set on the space before, or another server was faster.
            space = self.store.metadata.space(&place).await?;
        }
        let space = space.ok_or(Error::Conflict)?;
        for mut drift in self.drift(declared, &space).await? {
            let reverted = match (&mut drift.remedy, manner) {
                (_, Manner::Look | Manner::Create) => Ok(false),
                (Remedy::None(why), Manner::Revert) => Err((*why).to_owned()),
                (Remedy::Change(change), Manner::Revert) => {
                    let changed =
                        self.change_space(&as_administrator(who), &space.address, change.clone()).await;
                    changed.map(|()| true).map_err(|error| error.to_string())
                }
            };
            states.push(drift.state(reverted));
        }
        Ok(states)
    }

    async fn make_declared(&self, declared: &DeclaredBucket) -> Result<Option<Space>> {
        let new = NewSpace {
            versioning: declared.versioning.filter(|versioning| *versioning == Versioning::Enabled),
            default_class: declared.default_class,
            object_lock: declared.object_lock,
            documents: declared.documents.clone(),
        };
        let now = self.store.clock.now();
        let made = self.store.metadata.declare_bucket(&declared.name, &declared.space, &new, now).await?;
        if declared.policy().is_some() {
            self.store.policied.changed();
        }
        Ok(made.ok().map(|bucket| bucket.space))
    }

    /// Differences of an existing bucket from its declaration.
    async fn drift(&self, declared: &DeclaredBucket, space: &Space) -> Result<Vec<Drift>> {
        let mut all = Vec::new();
        if space.address != declared.space {
            return Ok(vec![Drift {
                field: "space",
                declared: Some(declared.space.to_string()),
                found: Some(space.address.to_string()),
                remedy: Remedy::None("a bucket names one space for good: delete it first"),
            }]);
        }
        let enabled = |versioning| versioning == Versioning::Enabled;
        if let Some(wanted) =
            declared.versioning.filter(|wanted| enabled(*wanted) != enabled(space.versioning))
        {
            all.push(Drift {
                field: "versioning",
                declared: Some(versioning(wanted).to_owned()),
                found: Some(versioning(space.versioning).to_owned()),
                remedy: Remedy::Change(SpaceChange::Versioning(wanted)),
            });
        }
        if let Some(class) = declared.default_class.filter(|class| *class != space.default_class) {
            all.push(Drift {
                field: "default_class",
                declared: Some(class.as_str().to_owned()),
                found: Some(space.default_class.as_str().to_owned()),
                remedy: Remedy::Change(SpaceChange::DefaultClass(class)),
            });
        }
        if let Some(lock) = declared.object_lock.filter(|lock| space.object_lock != Some(*lock)) {
            let shown = |lock: Option<LockConfig>| {
                lock.and_then(|lock| serde_json::to_string(&lock).ok()).unwrap_or_else(|| "none".to_owned())
            };
            all.push(Drift {
                field: "object_lock",
                declared: Some(shown(Some(lock))),
                found: Some(shown(space.object_lock)),
                remedy: Remedy::Change(SpaceChange::ObjectLock(lock)),
            });
        }
        let settings = self.store.settings_at(space.id, space.settings).await?;
        for wanted in &declared.documents {
            let found = settings.get(wanted.kind());
            if !found.as_ref().is_some_and(|found| found.says_as(wanted)) {
                all.push(Drift {
                    field: wanted.kind().as_str(),
                    declared: Some(document(Some(wanted))),
                    found: Some(document(found.as_ref())),
                    remedy: Remedy::Change(match wanted {
                        Setting::Policy(policy) => SpaceChange::Policy(policy.text().to_owned()),
                        other => SpaceChange::Set(other.clone()),
                    }),
                });
            }
        }
        Ok(all)
    }
}
