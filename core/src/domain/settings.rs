//! What an owner has set on a space, each kind a document of its own that was validated when it was set.

use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};

use super::acl::CannedAcl;
use super::action::Action;
use super::cors::CorsConfig;
use super::event::{Notifications, TargetName};
use super::invalid::Invalid;
use super::lifecycle::Lifecycle;
use super::object::Tags;
use super::policy::Policy;
use super::upstream::Binding;

/// Most tags of a space (S3 `PutBucketTagging`).
pub const SPACE_TAGS_MAX: usize = 50;

/// The kinds of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SettingKind {
    /// [`SpaceSettings::cors`].
    Cors,
    /// [`SpaceSettings::lifecycle`].
    Lifecycle,
    /// [`SpaceSettings::tags`].
    Tags,
    /// [`SpaceSettings::public_access`].
    PublicAccess,
    /// [`SpaceSettings::ownership`].
    Ownership,
    /// [`SpaceSettings::acl`].
    Acl,
    /// [`SpaceSettings::policy`].
    Policy,
    /// [`SpaceSettings::notifications`].
    Notifications,
}

impl SettingKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Cors,
        Self::Lifecycle,
        Self::Tags,
        Self::PublicAccess,
        Self::Ownership,
        Self::Acl,
        Self::Policy,
        Self::Notifications,
    ];

    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::Cors => 1,
            Self::Lifecycle => 2,
            Self::Tags => 3,
            Self::PublicAccess => 4,
            Self::Ownership => 5,
            Self::Acl => 6,
            Self::Policy => 7,
            Self::Notifications => 8,
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Its name in declarations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cors => "cors",
            Self::Lifecycle => "lifecycle",
            Self::Tags => "tags",
            Self::PublicAccess => "public_access",
            Self::Ownership => "ownership",
            Self::Acl => "acl",
            Self::Policy => "policy",
            Self::Notifications => "notifications",
        }
    }

    /// The action that sets one.
    pub fn set_by(self) -> Action {
        match self {
            Self::Cors => Action::PutBucketCORS,
            Self::Lifecycle => Action::PutLifecycleConfiguration,
            Self::Tags => Action::PutBucketTagging,
            Self::PublicAccess => Action::PutBucketPublicAccessBlock,
            Self::Ownership => Action::PutBucketOwnershipControls,
            Self::Acl => Action::PutBucketAcl,
            Self::Policy => Action::PutBucketPolicy,
            Self::Notifications => Action::PutBucketNotification,
        }
    }

    /// The action that removes one.
    pub fn removed_by(self) -> Action {
        match self {
            Self::Policy => Action::DeleteBucketPolicy,
            // S3 has no others.
            other => other.set_by(),
        }
    }
}

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Which origins may ask.
    Cors(CorsConfig),
    /// What goes when.
    Lifecycle(Lifecycle),
    /// The space's own tags.
    Tags(Tags),
    /// What the owner says of public access.
    PublicAccess(Declared<PublicAccess>),
    /// What the owner says of ownership.
    Ownership(Declared<BucketOwnerEnforced>),
    /// What the space itself grants to strangers.
    Acl(CannedAcl),
    /// Who may do what, beside rights.
    Policy(Arc<Policy>),
    /// Who is told of changes.
    Notifications(Notifications),
}

impl Setting {
    /// Its kind.
    pub fn kind(&self) -> SettingKind {
        match self {
            Self::Cors(_) => SettingKind::Cors,
            Self::Lifecycle(_) => SettingKind::Lifecycle,
            Self::Tags(_) => SettingKind::Tags,
            Self::PublicAccess(_) => SettingKind::PublicAccess,
            Self::Ownership(_) => SettingKind::Ownership,
            Self::Acl(_) => SettingKind::Acl,
            Self::Policy(_) => SettingKind::Policy,
            Self::Notifications(_) => SettingKind::Notifications,
        }
    }

    /// The targets that it names, each once.
    pub fn targets(&self) -> Vec<TargetName> {
        match self {
            Self::Notifications(notifications) => notifications.targets(),
            _ => Vec::new(),
        }
    }

    /// Whether both say the same: documents that clients wrote, however they are laid out.
    pub fn says_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Policy(one), Self::Policy(other)) => {
                let read = |policy: &Policy| serde_json::from_str::<serde_json::Value>(policy.text()).ok();
                read(one) == read(other)
            }
            (one, other) => one == other,
        }
    }

    /// Checks what S3 checks of the document itself.
    pub fn validate(&self) -> Result<(), Invalid> {
        match self {
            Self::Cors(cors) => cors.validate(),
            Self::Lifecycle(lifecycle) => lifecycle.validate(),
            Self::Tags(tags) => validate_tags(tags),
            Self::Notifications(notifications) => notifications.validate(),
            // A policy was looked at when it was read.
            Self::PublicAccess(_) | Self::Ownership(_) | Self::Acl(_) | Self::Policy(_) => Ok(()),
        }
    }

    /// The text kept in the database.
    pub fn to_document(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Cors(cors) => serde_json::to_string(cors),
            Self::Lifecycle(lifecycle) => serde_json::to_string(lifecycle),
            Self::Tags(tags) => serde_json::to_string(tags),
            Self::PublicAccess(declared) => serde_json::to_string(declared),
            Self::Ownership(declared) => serde_json::to_string(declared),
            Self::Acl(acl) => serde_json::to_string(acl),
            Self::Policy(policy) => Ok(policy.text().to_owned()),
            Self::Notifications(notifications) => serde_json::to_string(notifications),
        }
    }

    /// Reads the text kept in the database.
    pub fn from_document(kind: SettingKind, document: &str) -> Result<Self, serde_json::Error> {
        Ok(match kind {
            SettingKind::Cors => Self::Cors(serde_json::from_str(document)?),
            SettingKind::Lifecycle => Self::Lifecycle(serde_json::from_str(document)?),
            SettingKind::Tags => Self::Tags(serde_json::from_str(document)?),
            SettingKind::PublicAccess => Self::PublicAccess(serde_json::from_str(document)?),
            SettingKind::Ownership => Self::Ownership(serde_json::from_str(document)?),
            SettingKind::Acl => Self::Acl(serde_json::from_str(document)?),
            SettingKind::Notifications => Self::Notifications(serde_json::from_str(document)?),
            SettingKind::Policy => {
                Self::Policy(Arc::new(Policy::parse(document).map_err(serde::de::Error::custom)?))
            }
        })
    }
}

fn validate_tags(tags: &Tags) -> Result<(), Invalid> {
    let refuse = |reason| Err(Invalid::new("tags", reason));
    if tags.len() > SPACE_TAGS_MAX {
        return refuse("must be at most 50");
    }
    for (name, value) in tags {
        if name.is_empty() || name.chars().count() > 128 || value.chars().count() > 256 {
            return refuse("keys must be 1 to 128 and values at most 256 characters");
        }
        if name.starts_with("aws:") {
            return refuse("keys that begin with aws: are reserved");
        }
    }
    Ok(())
}

/// What an owner declared in place of the default. Neither grants anything: it only takes away what ACLs and
/// policies grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Declared<T> {
    /// This.
    Set(T),
    /// That there is no such configuration any more.
    Removed,
}

/// What an owner says of public access: what policies may grant, and ACLs where the operator lets them count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // S3's own four
pub struct PublicAccess {
    /// Requests that set a public ACL are refused.
    pub block_public_acls: bool,
    /// Public ACLs do not count.
    pub ignore_public_acls: bool,
    /// Public policies are refused.
    pub block_public_policy: bool,
    /// Public policies do not count.
    pub restrict_public_buckets: bool,
}

impl PublicAccess {
    /// What holds of a space whose owner said nothing, where ACLs do not count: they grant nothing, and
    /// everything by a policy that grants it.
    pub const DEFAULT: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: false,
        restrict_public_buckets: false,
    };
}

/// The one way of ownership there is: the space's owner owns everything in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketOwnerEnforced;

/// All that is set on a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceSettings {
    /// Which origins may ask.
    pub cors: Option<CorsConfig>,
    /// What goes when.
    pub lifecycle: Option<Lifecycle>,
    /// Its tags.
    pub tags: Option<Tags>,
    /// What was said of public access; `None` for the default: [`PublicAccess::DEFAULT`], or, where ACLs count, nothing.
    pub public_access: Option<Declared<PublicAccess>>,
    /// What was said of ownership; `None` for the default: enforced, or, where ACLs count, not.
    pub ownership: Option<Declared<BucketOwnerEnforced>>,
    /// What the space itself grants to strangers.
    pub acl: CannedAcl,
    /// Who may do what, beside rights.
    pub policy: Option<Arc<Policy>>,
    /// Who is told of changes.
    pub notifications: Option<Notifications>,
    /// The store that its data is leaving. An operator sets it, not the owner.
    pub upstream: Option<Arc<Binding>>,
}

impl SpaceSettings {
    /// Those of a space on which nothing is set.
    pub fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<SpaceSettings>> = LazyLock::new(Arc::default);
        NONE.clone()
    }

    /// The document of a kind, if one is set.
    pub fn get(&self, kind: SettingKind) -> Option<Setting> {
        match kind {
            SettingKind::Cors => self.cors.clone().map(Setting::Cors),
            SettingKind::Lifecycle => self.lifecycle.clone().map(Setting::Lifecycle),
            SettingKind::Tags => self.tags.clone().map(Setting::Tags),
            SettingKind::PublicAccess => self.public_access.map(Setting::PublicAccess),
            SettingKind::Ownership => self.ownership.map(Setting::Ownership),
            SettingKind::Acl => (self.acl != CannedAcl::default()).then_some(Setting::Acl(self.acl)),
            SettingKind::Policy => self.policy.clone().map(Setting::Policy),
            SettingKind::Notifications => self.notifications.clone().map(Setting::Notifications),
        }
    }

    /// Whether a policy that grants something to the public may be set.
    pub fn takes_public_policies(&self) -> bool {
        !self.declared_access().is_some_and(|said| said.block_public_policy)
    }

    /// Whether what a public policy grants is for the owner's own credentials only.
    pub fn restricts_public(&self) -> bool {
        self.declared_access().is_some_and(|said| said.restrict_public_buckets)
    }

    /// Whether the owner has ACLs at all: not after it declared itself the only owner of its objects.
    pub fn has_acls(&self) -> bool {
        !matches!(self.ownership, Some(Declared::Set(BucketOwnerEnforced)))
    }

    /// Whether what ACLs grant counts.
    pub fn heeds_acls(&self) -> bool {
        self.has_acls() && !self.declared_access().is_some_and(|said| said.ignore_public_acls)
    }

    /// Whether ACLs that grant something to strangers may be set.
    pub fn takes_shared_acls(&self) -> bool {
        !self.declared_access().is_some_and(|said| said.block_public_acls)
    }

    fn declared_access(&self) -> Option<PublicAccess> {
        match self.public_access {
            Some(Declared::Set(said)) => Some(said),
            Some(Declared::Removed) | None => None,
        }
    }
}

impl FromIterator<Setting> for SpaceSettings {
    fn from_iter<I: IntoIterator<Item = Setting>>(settings: I) -> Self {
        let mut all = Self::default();
        for setting in settings {
            match setting {
                Setting::Cors(cors) => all.cors = Some(cors),
                Setting::Lifecycle(lifecycle) => all.lifecycle = Some(lifecycle),
                Setting::Tags(tags) => all.tags = Some(tags),
                Setting::PublicAccess(declared) => all.public_access = Some(declared),
                Setting::Ownership(declared) => all.ownership = Some(declared),
                Setting::Acl(acl) => all.acl = acl,
                Setting::Policy(policy) => all.policy = Some(policy),
                Setting::Notifications(notifications) => all.notifications = Some(notifications),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::cors::CorsRule;

    #[test]
    fn documents_read_back_what_was_written() {
        let policy =
            r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:s3:::b"}}"#;
        let policy = Policy::parse(policy).unwrap();
        let rule = CorsRule { origins: vec!["*".into()], methods: vec!["GET".into()], ..CorsRule::default() };
        for setting in [
            Setting::Cors(CorsConfig { rules: vec![rule] }),
            Setting::Lifecycle(Lifecycle::default()),
            Setting::Tags([("a".to_owned(), "b".to_owned())].into()),
            Setting::PublicAccess(Declared::Set(PublicAccess::DEFAULT)),
            Setting::PublicAccess(Declared::Removed),
            Setting::Ownership(Declared::Set(BucketOwnerEnforced)),
            Setting::Acl(CannedAcl::PublicReadWrite),
            Setting::Policy(Arc::new(policy)),
            Setting::Notifications(Notifications::default()),
        ] {
            let document = setting.to_document().unwrap();
            assert_eq!(Setting::from_document(setting.kind(), &document).unwrap(), setting, "{document}");
            assert_eq!(SettingKind::from_code(setting.kind().code()), Some(setting.kind()));
        }
    }

    /// S3 User Guide, "Blocking public access" and "Controlling ownership of objects".
    #[test]
    fn an_owner_can_take_back_what_acls_grant() {
        let with = |settings: &[Setting]| settings.iter().cloned().collect::<SpaceSettings>();
        let open = PublicAccess {
            block_public_acls: false,
            ignore_public_acls: false,
            block_public_policy: true,
            restrict_public_buckets: true,
        };
        let access = |said| Setting::PublicAccess(Declared::Set(said));
        let enforced = Setting::Ownership(Declared::Set(BucketOwnerEnforced));
        for (settings, has, heeds, takes) in [
            (with(&[]), true, true, true),
            (with(&[access(open)]), true, true, true),
            (with(&[access(PublicAccess { block_public_acls: true, ..open })]), true, true, false),
            (with(&[access(PublicAccess { ignore_public_acls: true, ..open })]), true, false, true),
            (with(&[Setting::PublicAccess(Declared::Removed)]), true, true, true),
            (with(&[enforced]), false, false, true),
            (with(&[Setting::Ownership(Declared::Removed)]), true, true, true),
        ] {
            let found = (settings.has_acls(), settings.heeds_acls(), settings.takes_shared_acls());
            assert_eq!(found, (has, heeds, takes), "{settings:?}");
        }
    }

    #[test]
    fn tags_of_a_space_are_bounded() {
        let tags = |count: usize| -> Tags { (0..count).map(|n| (n.to_string(), String::new())).collect() };
        assert_eq!(Setting::Tags(tags(50)).validate(), Ok(()));
        assert!(Setting::Tags(tags(51)).validate().is_err());
        assert!(Setting::Tags([("aws:x".to_owned(), String::new())].into()).validate().is_err());
    }
}
