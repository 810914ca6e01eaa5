//! Places and objects that a request is about, and who is let at them.

use std::sync::Arc;

use crate::access::decide::{By, Decision, Facts, Resource, Why, decide, is_open_to};
use crate::application::access::authorize;
use crate::application::error::{Error, Result};
use crate::application::object_ref::ObjectRef;
use crate::application::ports::metadata::{Found, ObjectAddress, SpaceRef, VersionRef};
use crate::application::request;
use crate::application::store::Store;
use crate::application::upstream::Beyond;
use crate::domain::action::Action;
use crate::domain::address::{BucketName, Key, SpaceAddress};
use crate::domain::object::{Attributes, Object, Tags};
use crate::domain::principal::{Principal, Right};
use crate::domain::settings::SpaceSettings;
use crate::domain::space::{SettingsRevision, Space, SpaceId, Versioning};
use crate::domain::upstream::Mode;

/// The wish of a request in a place.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    action: Action,
    key: Option<&'a Key>,
    version: bool,
    shows: Option<&'a str>,
}

impl<'a> Wish<'a> {
    /// To do `action` to an object, or, without a key, to the space or to an object without one.
    pub(crate) fn of(action: Action, key: Option<&'a Key>) -> Self {
        Self { action, key, version: false, shows: Some("") }
    }

    /// To list what begins with `prefix`.
    pub(crate) fn listing(action: Action, prefix: &'a str) -> Self {
        Self { shows: Some(prefix), ..Self::of(action, None) }
    }

    /// To know that the space is there, and no key in it.
    pub(crate) fn visit() -> Self {
        Self { shows: None, ..Self::of(Action::ListBucket, None) }
    }

    /// The same, of a version that the request names, if it does.
    pub(crate) fn version(self, named: bool) -> Self {
        Self { version: named, ..self }
    }
}

/// A place that a request is about.
pub(crate) struct Entered {
    /// Its address.
    pub(crate) address: SpaceAddress,
    /// The space, where it was looked up.
    pub(crate) space: Option<Space>,
    /// The bucket it was reached through.
    pub(crate) bucket: Option<BucketName>,
    /// Its settings.
    pub(crate) settings: Arc<SpaceSettings>,
    /// Whether ACLs count.
    pub(crate) acls: bool,
    /// Whether the principal was let in by an ACL, and not by its rights or by the bucket's policy.
    pub(crate) as_stranger: bool,
}

/// The tags of an object that does not exist.
static NO_TAGS: Tags = Tags::new();

impl Entered {
    pub(crate) fn at(address: SpaceAddress, space: Option<Space>, bucket: Option<BucketName>) -> Self {
        Self { address, space, bucket, settings: SpaceSettings::none(), acls: false, as_stranger: false }
    }

    /// A place that is known already, by its address.
    pub(crate) fn again(address: SpaceAddress, settings: Arc<SpaceSettings>) -> Self {
        Self { settings, ..Self::at(address, None, None) }
    }

    /// Whether `who` may do `wish` here, to `object` if that is there.
    pub(crate) fn decide(&self, who: &Principal, wish: Wish<'_>, object: Option<&Object>) -> Decision {
        let key = wish.key.map(Key::as_str);
        decide(
            who,
            wish.action,
            &Resource { space: &self.address, key, version: wish.version, shows: wish.shows },
            &self.facts(object),
        )
    }

    fn facts<'f>(&'f self, object: Option<&'f Object>) -> Facts<'f> {
        Facts {
            by_bucket: self.bucket.is_some(),
            settings: &self.settings,
            acls: self.acls,
            object_acl: object.filter(|object| !object.is_delete_marker()).map(|object| object.acl),
            tags: Some(object.map_or(&NO_TAGS, |object| &object.tags)),
        }
    }

    /// Whether anything but rights could let `who` do anything here.
    pub(crate) fn is_open_to(&self, who: &Principal) -> bool {
        is_open_to(who, &self.facts(None))
    }

    /// Allows `wish` here only to principals that may do it. That a bucket exists is no secret, since its name
    /// cannot be taken: a stranger is refused, as on S3, before anything inside is looked at.
    pub(crate) fn allow(&self, who: &Principal, wish: Wish<'_>, object: Option<&Object>) -> Result<By> {
        let why = match self.decide(who, wish, object) {
            Decision::Allowed(by) => return Ok(by),
            Decision::Refused(why) => why,
        };
        let hidden = |right| {
            request::out_of_sight();
            if self.bucket.is_some() { Error::Forbidden(right) } else { Error::NoSuchObject }
        };
        Err(match why {
            // Natively, what is out of sight is not there, whatever is said about it.
            Why::Policy if self.bucket.is_none() && !who.sees(&self.address) => hidden(wish.action.right()),
            Why::Policy => {
                request::denied("policy");
                Error::PolicyDenies
            }
            Why::Right(right) => authorize::refuse(right),
            Why::Prefix(_) => {
                request::denied("prefix");
                Error::OutsidePrefixes
            }
            Why::OutOfSight(right) => hidden(right),
        })
    }

    /// Lets `who`, who was let in to write an object, write these of its attributes with it. Whom an ACL let in may write
    /// them all: it knows no difference.
    pub(crate) fn allow_attributes(
        &self,
        who: &Principal,
        key: Option<&Key>,
        attributes: &Attributes,
    ) -> Result<()> {
        if self.settings.policy.is_none() {
            return Ok(());
        }
        let acl = who.context.sets_acl || attributes.acl.is_shared();
        for (asked, action) in [
            (acl, Action::PutObjectAcl),
            (!attributes.tags.is_empty(), Action::PutObjectTagging),
            (attributes.lock.retention.is_some(), Action::PutObjectRetention),
            (attributes.lock.legal_hold.is_some(), Action::PutObjectLegalHold),
        ] {
            match self.decide(who, Wish::of(action, key), None) {
                Decision::Refused(why) if asked && (why == Why::Policy || !self.as_stranger) => {
                    return self.allow(who, Wish::of(action, key), None).map(drop);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets `who` at an object that is there. A delete marker is nothing that could be read: who may not list is
    /// refused it.
    pub(crate) fn admit(&self, who: &Principal, wish: Wish<'_>, object: &Object) -> Result<()> {
        self.allow(who, wish, Some(object))?;
        let reads = wish.action.right() == Right::Read;
        if reads && object.is_delete_marker() && !self.may_list(who, wish) {
            return Err(authorize::refuse(wish.action.right()));
        }
        Ok(())
    }

    /// The answer to a request for something absent: `missing` for principals that may know that; for others the same as for what
    /// they may not have (S3 `GetObject`).
    pub(crate) fn absent(&self, who: &Principal, wish: Wish<'_>, missing: Error) -> Error {
        match self.allow(who, wish, None) {
            Err(refused) => refused,
            Ok(_) if self.may_list(who, wish) => missing,
            Ok(_) => authorize::refuse(wish.action.right()),
        }
    }

    /// Whether `who` may know which keys are there; those that begin as the key of `wish`, where a policy tells them
    /// apart. With a right of its own, and no policy, nothing is kept from it.
    fn may_list(&self, who: &Principal, wish: Wish<'_>) -> bool {
        if self.settings.policy.is_none() && who.may(wish.action.right(), &self.address).is_ok() {
            return true;
        }
        let prefix = wish.key.map(Key::as_str).unwrap_or_default();
        let asking = who.clone().asking(who.context.listing(prefix));
        let wish = Wish::listing(Action::ListBucket, prefix);
        matches!(self.decide(&asking, wish, None), Decision::Allowed(_))
    }

    /// Whether what is not here is looked for upstream.
    pub(crate) fn reads_through(&self) -> bool {
        self.space.as_ref().and_then(|space| space.upstream).is_some_and(Mode::reads_through)
    }

    /// Whether a change of a key leaves its object there as a version: one that is upstream is fetched before the change, which
    /// would hide it for good, and a retention with it.
    pub(crate) fn keeps_beyond(&self) -> bool {
        let keeps = |space: &Space| space.versioning == Versioning::Enabled;
        self.reads_through() && self.space.as_ref().is_some_and(keeps)
    }

    /// The target of a key in this place.
    pub(crate) fn target(&self, key: Key, version: Option<VersionRef>) -> ObjectAddress {
        match version {
            None => ObjectAddress::Latest(self.address.clone(), key),
            Some(version) => ObjectAddress::Version(self.address.clone(), key, version),
        }
    }
}

/// Where an object was seen that a principal may have.
#[allow(clippy::large_enum_variant)] // the large one is the common one
pub(crate) enum Sight {
    /// Here.
    Here(Located),
    /// Not here; it may be in the upstream of this place.
    Beyond(Box<Entered>, Beyond),
}

/// An object that a principal was let at.
pub(crate) struct Located {
    /// The object.
    pub(crate) found: Found,
    /// The bucket it was reached through.
    pub(crate) bucket: Option<BucketName>,
}

impl Located {
    /// What `object` led to, unless that is a delete marker, which counts as absent.
    pub(crate) fn content(self, object: &ObjectRef) -> Result<Self> {
        if self.found.object.is_delete_marker() {
            let addressed = matches!(object, ObjectRef::Key { version: Some(_), .. } | ObjectRef::Id(_));
            let marker = &self.found.object;
            let version_id = marker.s3_version_id();
            return Err(Error::DeleteMarker { version_id, addressed, made: marker.created_at });
        }
        Ok(self)
    }
}

impl Store {
    /// The space at `place`, if `who` may do `wish` there. A bucket must exist; a space that does not exist yet has an
    /// address all the same.
    pub(crate) async fn enter(&self, who: &Principal, wish: Wish<'_>, place: &SpaceRef) -> Result<Entered> {
        let mut entered = self.resolve(place).await?;
        entered.as_stranger = entered.allow(who, wish, None)? == By::Acl;
        if let Some(space) = &entered.space {
            self.asked_for(who, wish.action, space.id, space.upstream);
        }
        Ok(entered)
    }

    /// The space at `place`, for any caller: this allows nothing. One that is named by its address is looked up only
    /// where a policy may have something to say.
    pub(crate) async fn resolve(&self, place: &SpaceRef) -> Result<Entered> {
        let (address, space, bucket) = match place {
            SpaceRef::Space(address) => {
                let asked = self.policied.has_space(self.metadata.as_ref(), address).await?;
                let space = if asked { self.metadata.space(place).await? } else { None };
                (address.clone(), space, None)
            }
            SpaceRef::Bucket(name) => {
                let space = self.metadata.space(place).await?.ok_or(Error::NoSuchBucket)?;
                (space.address.clone(), Some(space), Some(name.clone()))
            }
        };
        let settings = match &space {
            Some(space) => self.settings_at(space.id, space.settings).await?,
            None => SpaceSettings::none(),
        };
        Ok(Entered { settings, acls: self.acls, ..Entered::at(address, space, bucket) })
    }

    /// The space of an object that `who` may do `action` to.
    pub async fn space_of(
        &self,
        who: &Principal,
        action: Action,
        object: &ObjectRef,
    ) -> Result<SpaceAddress> {
        Ok(self.locate(who, action, object).await?.found.object.address)
    }

    /// The object that `who` may do `action` to, delete markers included. One that is upstream is here from then on.
    pub(crate) async fn locate(
        &self,
        who: &Principal,
        action: Action,
        object: &ObjectRef,
    ) -> Result<Located> {
        let located = self.locate_read(who, action, object).await?;
        let found = &located.found.object;
        self.asked_for(who, action, found.space, found.upstream);
        Ok(located)
    }

    /// As [`Self::locate`], for a read, which counts by where it is answered from.
    pub(crate) async fn locate_read(
        &self,
        who: &Principal,
        action: Action,
        object: &ObjectRef,
    ) -> Result<Located> {
        let (entered, beyond) = match self.sight(who, action, object).await? {
            Sight::Here(located) => return Ok(located),
            Sight::Beyond(entered, beyond) => (entered, beyond),
        };
        let wish = Wish::of(action, Some(&beyond.key)).version(beyond.as_version);
        let Some(found) = Box::pin(self.bring(&beyond)).await? else {
            return Err(entered.absent(who, wish, beyond.nothing()));
        };
        entered.admit(who, wish, &found.object)?;
        Ok(Located { found, bucket: entered.bucket.clone() })
    }

    /// The same, before anything is fetched from an upstream.
    pub(crate) async fn sight(&self, who: &Principal, action: Action, object: &ObjectRef) -> Result<Sight> {
        match object {
            ObjectRef::Id(id) => {
                let found = self.metadata.find(&ObjectAddress::Id(*id)).await?.ok_or(Error::NoSuchObject)?;
                let entered = self.around(&found.object, None).await?;
                // An id names a version, and the latest one is the object itself: what denies either denies it.
                let object = &found.object;
                if object.is_latest {
                    entered.allow(who, Wish::of(action, object.key.as_ref()), Some(object))?;
                }
                if object.versioning != Versioning::Off || !object.is_latest {
                    entered.allow(who, Wish::of(action, object.key.as_ref()).version(true), Some(object))?;
                }
                Ok(Sight::Here(Located { found, bucket: None }))
            }
            ObjectRef::Key { place, key, version: None } => self.locate_latest(who, action, place, key).await,
            ObjectRef::Key { place, key, version: Some(version) } => {
                let entered = self.resolve(place).await?;
                let target = ObjectAddress::Version(entered.address.clone(), key.clone(), *version);
                let wish = Wish::of(action, Some(key)).version(true);
                let Some(found) = self.metadata.find(&target).await? else {
                    // What is upstream is its key's null version, where the key has no other.
                    if *version == VersionRef::Null
                        && entered.reads_through()
                        && entered.allow(who, wish, None).is_ok()
                        && self.metadata.latest(place, key).await?.is_none()
                        && let Some(beyond) = Box::pin(self.beyond(&entered, key)).await?
                    {
                        let beyond = Beyond { as_version: true, ..beyond };
                        return Ok(Sight::Beyond(Box::new(entered), beyond));
                    }
                    return Err(entered.absent(who, wish, Error::NoSuchVersion));
                };
                entered.admit(who, wish, &found.object)?;
                Ok(Sight::Here(Located { found, bucket: entered.bucket }))
            }
        }
    }

    /// The common case, with one lookup: the row found names its space. A caller that may not have it
    /// takes the same path as one that asks for an absent object, and gets the same answer.
    async fn locate_latest(
        &self,
        who: &Principal,
        action: Action,
        place: &SpaceRef,
        key: &Key,
    ) -> Result<Sight> {
        let wish = Wish::of(action, Some(key));
        let bucket = match place {
            SpaceRef::Bucket(name) => Some(name.clone()),
            SpaceRef::Space(_) => None,
        };
        if let Some(found) = self.metadata.latest(place, key).await? {
            let entered = self.around(&found.object, bucket.clone()).await?;
            if let Err(denied) = entered.admit(who, wish, &found.object) {
                // The same statements as for what does not exist, so that their time tells nothing.
                self.resolve(place).await?;
                return Err(denied);
            }
            return Ok(Sight::Here(Located { found, bucket }));
        }
        let entered = self.resolve(place).await?;
        // Who may not have it does not make this store ask for it.
        if entered.reads_through()
            && entered.allow(who, wish, None).is_ok()
            && let Some(beyond) = Box::pin(self.beyond(&entered, key)).await?
        {
            return Ok(Sight::Beyond(Box::new(entered), beyond));
        }
        Err(entered.absent(who, wish, Error::NoSuchObject))
    }

    /// Refuses unless `who`, which was let at `object`, may do all of these to it, too.
    pub(crate) async fn also(
        &self,
        who: &Principal,
        actions: &[Action],
        named: &ObjectRef,
        object: &Object,
    ) -> Result<()> {
        let entered = self.around(object, named.bucket().cloned()).await?;
        for action in actions {
            let wish = Wish::of(*action, object.key.as_ref()).version(named.names_version());
            entered.allow(who, wish, Some(object))?;
        }
        Ok(())
    }

    /// Whether `who` may go round a governance retention of `object`.
    pub(crate) async fn may_bypass(
        &self,
        who: &Principal,
        named: &ObjectRef,
        object: &Object,
    ) -> Result<bool> {
        let entered = self.around(object, named.bucket().cloned()).await?;
        let wish = Wish::of(Action::BypassGovernanceRetention, object.key.as_ref());
        Ok(matches!(entered.decide(who, wish, Some(object)), Decision::Allowed(_)))
    }

    /// The space of an object that was found, as it stood then.
    async fn around(&self, object: &Object, bucket: Option<BucketName>) -> Result<Entered> {
        let settings = self.settings_at(object.space, object.settings).await?;
        let entered = Entered::at(object.address.clone(), None, bucket);
        Ok(Entered { settings, acls: self.acls, ..entered })
    }

    /// The settings of a space.
    pub(crate) async fn settings_at(
        &self,
        space: SpaceId,
        revision: SettingsRevision,
    ) -> Result<Arc<SpaceSettings>> {
        self.settings.at(self.metadata.as_ref(), space, revision).await
    }

    /// As [`Self::locate`], and a delete marker counts as absent.
    pub(crate) async fn locate_content(
        &self,
        who: &Principal,
        action: Action,
        object: &ObjectRef,
    ) -> Result<Located> {
        self.locate(who, action, object).await?.content(object)
    }
}
