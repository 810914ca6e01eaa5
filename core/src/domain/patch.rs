//! Changes of what an object carries that leave the rest of it as it is.

use std::collections::BTreeMap;

use super::acl::CannedAcl;
use super::invalid::Invalid;
use super::object::{Attributes, Object, Tags};
use super::object_lock::{LockChange, Locked};
use super::precondition::Preconditions;
use super::storage_class::StorageClass;
use super::timestamp::Timestamp;
use super::versioning::{Denial, Version, check_held, check_write};

/// What becomes of one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch {
    /// It stays.
    #[default]
    Keep,
    /// It is this from now on.
    Set(String),
    /// It goes.
    Clear,
}

impl Patch {
    fn apply(&self, value: &mut Option<String>) {
        match self {
            Self::Keep => {}
            Self::Set(new) => *value = Some(new.clone()),
            Self::Clear => *value = None,
        }
    }
}

/// What becomes of an object's headers, metadata, tags and ACL. It is applied to what the object carries at the moment of
/// the change, so that of two at once neither is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributesPatch {
    /// `Content-Type`.
    pub content_type: Patch,
    /// `Content-Encoding`.
    pub content_encoding: Patch,
    /// `Content-Language`.
    pub content_language: Patch,
    /// `Content-Disposition`.
    pub content_disposition: Patch,
    /// `Cache-Control`.
    pub cache_control: Patch,
    /// `Expires`.
    pub expires: Patch,
    /// Whether all metadata goes before `metadata` is set.
    pub clear_metadata: bool,
    /// Metadata by lower-case name: to set, or, without a value, to remove.
    pub metadata: BTreeMap<String, Option<String>>,
    /// The new tags, whole.
    pub tags: Option<Tags>,
    /// The new ACL.
    pub acl: Option<CannedAcl>,
}

impl AttributesPatch {
    /// One that replaces the tags and keeps the rest.
    pub fn tags(tags: Tags) -> Self {
        Self { tags: Some(tags), ..Self::default() }
    }

    /// One that replaces the ACL and keeps the rest.
    pub fn acl(acl: CannedAcl) -> Self {
        Self { acl: Some(acl), ..Self::default() }
    }

    /// Whether it changes a header or the user's metadata.
    pub fn changes_headers(&self) -> bool {
        let rest = Self { tags: None, acl: None, ..self.clone() };
        rest != Self::default()
    }

    /// What it makes of an object; without class and lock, which are not its matter.
    pub fn of(&self, object: &Object) -> Attributes {
        let Object { headers, metadata, tags, acl, .. } = object.clone();
        self.merged(Attributes { headers, metadata, tags, acl, ..Attributes::default() })
    }

    /// What it makes of `attributes`.
    pub fn merged(&self, mut attributes: Attributes) -> Attributes {
        let Attributes { headers, metadata, tags, acl, .. } = &mut attributes;
        self.content_type.apply(&mut headers.content_type);
        self.content_encoding.apply(&mut headers.content_encoding);
        self.content_language.apply(&mut headers.content_language);
        self.content_disposition.apply(&mut headers.content_disposition);
        self.cache_control.apply(&mut headers.cache_control);
        self.expires.apply(&mut headers.expires);
        if self.clear_metadata {
            metadata.clear();
        }
        for (name, value) in &self.metadata {
            match value {
                Some(value) => drop(metadata.insert(name.clone(), value.clone())),
                None => drop(metadata.remove(name)),
            }
        }
        if let Some(new) = &self.tags {
            tags.clone_from(new);
        }
        *acl = self.acl.unwrap_or(*acl);
        attributes
    }
}

/// A change of an object in place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Amendment<'a> {
    /// The new class.
    pub class: Option<StorageClass>,
    /// What becomes of headers, metadata, tags and ACL.
    pub attributes: Option<&'a AttributesPatch>,
    /// A change of what holds the version.
    pub lock: Option<LockChange>,
}

/// Why an object stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The change is refused.
    Denied(Denial),
    /// The object would break a rule, though the change itself breaks none.
    Invalid(Invalid),
}

impl From<Denial> for Kept {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// Decides a change of an object in place. `lockable` says whether versions can be locked in its space; it is asked only if
/// the lock changes.
pub fn plan_update(
    before: &Object,
    change: Amendment<'_>,
    conditions: &Preconditions,
    lockable: bool,
    now: Timestamp,
) -> Result<Object, Kept> {
    let version = Version::from(before);
    check_write(conditions, Some(&version))?;
    let lock = match change.lock {
        None => before.lock,
        Some(_) if !lockable => return Err(Denial::NoObjectLock.into()),
        Some(change) => before.lock.changed(change, now).map_err(|Locked| Denial::Locked)?,
    };
    let class = change.class.unwrap_or(before.class);
    let class_name = before.class_name.filter(|name| name.class() == class);
    let mut after = Object { class, class_name, lock, ..before.clone() };
    if let Some(patch) = change.attributes {
        let attributes = patch.of(before);
        attributes.validate().map_err(Kept::Invalid)?;
        let Attributes { headers, metadata, tags, acl, .. } = attributes;
        after = Object { headers, metadata, tags, acl, ..after };
    }
    // A version that is held reads tomorrow as it reads today; tags and ACL are not part of it, as in S3.
    if after.headers != before.headers || after.metadata != before.metadata {
        check_held(Some(&version), now, false)?;
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::address::{Namespace, SpaceAddress, Tenant};
    use crate::domain::blob::{BlobId, Hash};
    use crate::domain::etag::Etag;
    use crate::domain::object::{Content, Headers, ObjectId, UserMetadata};
    use crate::domain::object_lock::ObjectLock;
    use crate::domain::precondition::EtagCondition;
    use crate::domain::space::SettingsRevision;
    use crate::domain::space::{SpaceId, Versioning};
    use crate::domain::storage_class::ClassName;

    #[test]
    fn what_is_not_named_stays() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mut before = Attributes {
            metadata: map(&[("a", "1"), ("b", "2")]),
            tags: map(&[("t", "1")]),
            ..Attributes::default()
        };
        before.headers.content_type = Some("text/plain".to_owned());
        before.headers.expires = Some("0".to_owned());
        before.headers.website_redirect = Some("/x".to_owned());
        assert_eq!(AttributesPatch::default().merged(before.clone()), before);
        let patch = AttributesPatch {
            content_type: Patch::Set("a/b".to_owned()),
            expires: Patch::Clear,
            metadata: [("a".to_owned(), None), ("c".to_owned(), Some("3".to_owned()))].into(),
            ..AttributesPatch::default()
        };
        let after = patch.merged(before.clone());
        assert_eq!(after.headers.content_type.as_deref(), Some("a/b"));
        assert_eq!(after.headers.expires, None);
        assert_eq!(after.headers.website_redirect, before.headers.website_redirect);
        assert_eq!((after.metadata, after.tags), (map(&[("b", "2"), ("c", "3")]), before.tags.clone()));
        let anew = AttributesPatch { clear_metadata: true, ..patch }.merged(before.clone());
        assert_eq!(anew.metadata, map(&[("c", "3")]));
        let tagged = AttributesPatch::tags(Tags::new()).merged(before.clone());
        assert_eq!(tagged, Attributes { tags: Tags::new(), ..before.clone() });
        let shared = AttributesPatch::acl(CannedAcl::PublicRead).merged(before.clone());
        assert_eq!(shared, Attributes { acl: CannedAcl::PublicRead, ..before });
        assert_eq!(AttributesPatch::default().merged(shared.clone()), shared);
    }

    fn object(lock: ObjectLock) -> Object {
        Object {
            id: ObjectId(uuid::Uuid::from_u128(1)),
            space: SpaceId(1),
            address: SpaceAddress::new(Namespace::new("n").unwrap(), Tenant::new("t").unwrap()),
            versioning: Versioning::Enabled,
            settings: SettingsRevision(0),
            upstream: None,
            key: None,
            content: Some(Content::leaf(BlobId(uuid::Uuid::from_u128(2)), Hash::of(b"a"), 1)),
            etag: Etag::parse("\"a\"").unwrap(),
            class: StorageClass::Hot,
            class_name: Some(ClassName::ReducedRedundancy),
            headers: Headers::default(),
            metadata: UserMetadata::default(),
            tags: Tags::default(),
            checksum: None,
            lock,
            acl: CannedAcl::Private,
            is_latest: true,
            is_null_version: false,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn a_held_version_keeps_what_it_reads_as() {
        let none = Preconditions::default();
        let typed = AttributesPatch { content_type: Patch::Set("a/b".into()), ..AttributesPatch::default() };
        let tagged = AttributesPatch::tags([("t".to_owned(), "1".to_owned())].into());
        let wrong = AttributesPatch { content_type: Patch::Set("a\n".into()), ..AttributesPatch::default() };
        let held = ObjectLock { legal_hold: Some(true), ..ObjectLock::default() };
        let release = Some(LockChange::LegalHold(false));
        let (free, cold) = (ObjectLock::default(), Some(StorageClass::Cold));
        let attributes = |patch| Amendment { attributes: Some(patch), ..Amendment::default() };
        let lock = Amendment { lock: release, ..Amendment::default() };
        for (what, before, change, lockable, kept) in [
            ("headers", free, attributes(&typed), false, None),
            ("headers of a held one", held, attributes(&typed), true, Some(Denial::Locked)),
            ("tags of a held one", held, attributes(&tagged), true, None),
            ("class of a held one", held, Amendment { class: cold, ..Amendment::default() }, true, None),
            ("a hold", held, lock, true, None),
            ("a hold where there are none", free, lock, false, Some(Denial::NoObjectLock)),
        ] {
            let plan = plan_update(&object(before), change, &none, lockable, Timestamp(1));
            assert_eq!(plan.err(), kept.map(Kept::Denied), "{what}");
        }
        let plan = plan_update(&object(free), attributes(&wrong), &none, false, Timestamp(1));
        assert!(matches!(plan, Err(Kept::Invalid(_))), "{plan:?}");
        let other = Preconditions { if_match: Some(EtagCondition::Of(Vec::new())), ..none.clone() };
        let plan = plan_update(&object(free), attributes(&typed), &other, false, Timestamp(1));
        assert_eq!(plan, Err(Kept::Denied(Denial::ConditionFailed)));
    }

    #[test]
    fn a_change_of_class_forgets_the_name_of_the_old_one() {
        let none = Preconditions::default();
        let to = |class| Amendment { class: Some(class), ..Amendment::default() };
        let plan = |class| {
            plan_update(&object(ObjectLock::default()), to(class), &none, false, Timestamp(1)).unwrap()
        };
        let (hot, cold) = (plan(StorageClass::Hot), plan(StorageClass::Cold));
        assert_eq!((hot.class, hot.class_name), (StorageClass::Hot, Some(ClassName::ReducedRedundancy)));
        assert_eq!((cold.class, cold.class_name), (StorageClass::Cold, None));
    }
}
