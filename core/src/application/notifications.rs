//! Which events of a space are told to which target.

use crate::application::entered::{Entered, Wish};
use crate::application::error::{Error, Result};
use crate::application::ports::metadata::SpaceRef;
use crate::application::request;
use crate::application::store::Store;
use crate::domain::action::Action;
use crate::domain::address::{BucketName, SpaceAddress};
use crate::domain::event::{Facts, How, NotificationRule, Notifications, TargetName, TargetSettings};
use crate::domain::invalid::Invalid;
use crate::domain::principal::Principal;
use crate::domain::settings::{Setting, SettingKind};

impl Store {
    /// Sets the rules of a bucket's space in the place of those that it had, and tells each target that was not named before
    /// by a test event. None: nothing is told any more.
    pub async fn put_notifications(
        &self,
        who: &Principal,
        bucket: &BucketName,
        rules: Vec<NotificationRule>,
    ) -> Result<()> {
        let place = SpaceRef::Bucket(bucket.clone());
        let entered = self.enter(who, Wish::of(Action::PutBucketNotification, None), &place).await?;
        if rules.is_empty() {
            return self.delete_setting(who, bucket, SettingKind::Notifications).await;
        }
        let notifications = Notifications { bucket: Some(bucket.as_str().to_owned()), rules };
        notifications.validate()?;
        self.check_targets(&notifications, &entered.address).await?;
        let targets = new_targets(&notifications, &entered);
        self.put_setting(who, bucket, Setting::Notifications(notifications)).await?;
        self.tell_test(&entered.address, bucket.as_str(), &targets).await
    }

    /// Refuses rules whose targets are not declared, or not for this tenant.
    pub(crate) async fn check_targets(
        &self,
        notifications: &Notifications,
        address: &SpaceAddress,
    ) -> Result<()> {
        let declared = self.metadata.outbox_targets().await?;
        for rule in &notifications.rules {
            let known = declared.iter().find(|target| target.name == rule.target && target.kind == rule.kind);
            let settings =
                known.and_then(|known| serde_json::from_str::<TargetSettings>(&known.settings).ok());
            if !settings.is_some_and(|settings| settings.admits(&address.tenant)) {
                // One that is for other tenants is as good as none.
                return Err(Invalid::new("arn", "no target of this name is declared").into());
            }
        }
        Ok(())
    }

    /// Tells targets of a space that they are named in its rules. A target that is removed meanwhile is not told.
    pub(crate) async fn tell_test(
        &self,
        address: &SpaceAddress,
        bucket: &str,
        targets: &[TargetName],
    ) -> Result<()> {
        let space =
            self.metadata.space(&SpaceRef::Space(address.clone())).await?.ok_or(Error::NoSuchSpace)?;
        let origin = request::cause(How::Plain).origin.unwrap_or_default();
        let facts = Facts {
            bucket: bucket.to_owned(),
            namespace: address.namespace.as_str().to_owned(),
            tenant: address.tenant.as_str().to_owned(),
            who: origin.who.clone(),
            from: origin.from,
            request_id: origin.request_id.clone(),
            ..Facts::default()
        };
        if let Err(error) = self.metadata.tell_test(space.id, targets, &facts, self.clock.now()).await {
            tracing::warn!(%error, "test events were not written; the rules are set");
        }
        Ok(())
    }
}

/// The targets that a space has not named before.
fn new_targets(notifications: &Notifications, entered: &Entered) -> Vec<TargetName> {
    let before = entered.settings.notifications.as_ref().map(Notifications::targets).unwrap_or_default();
    notifications.targets().into_iter().filter(|target| !before.contains(target)).collect()
}
