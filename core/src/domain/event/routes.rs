//! Which targets a change of a space is told to.

use super::kind::{EventKind, EventName};
use super::notifications::Notifications;
use super::target::TargetName;
use crate::domain::address::Key;

/// One way from a space to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub target: TargetName,
    /// The rule, as its owner named it.
    pub rule: Option<String>,
    /// The bucket that events name.
    pub bucket: Option<String>,
    /// Whether only the last event of a key matters: it takes the place of those that wait.
    pub coalesced: bool,
    /// Which events; `None` for every one.
    events: Option<Vec<EventName>>,
    prefix: Option<String>,
    suffix: Option<String>,
}

impl Route {
    /// Every change of every key, of which only the last matters: for a target that is kept as the space is.
    pub fn mirror(target: TargetName) -> Self {
        Self { target, rule: None, bucket: None, coalesced: true, events: None, prefix: None, suffix: None }
    }

    /// Whether events of this key go here at all.
    pub fn takes(&self, key: &Key) -> bool {
        let key = key.as_str();
        self.prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
            && self.suffix.as_ref().is_none_or(|suffix| key.ends_with(suffix))
    }

    /// Whether an event of this kind goes here.
    fn wants(&self, kind: EventKind) -> bool {
        self.events.as_ref().is_none_or(|events| events.iter().any(|name| name.holds(kind)))
    }
}

/// All ways from a space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Those that the rules of a space make.
    pub fn of(notifications: Option<&Notifications>) -> Self {
        let routes = notifications.into_iter().flat_map(|notifications| {
            notifications.rules.iter().map(|rule| Route {
                target: rule.target.clone(),
                rule: Some(rule.id.clone()),
                bucket: notifications.bucket.clone(),
                coalesced: false,
                events: Some(rule.events.clone()),
                prefix: rule.prefix.clone(),
                suffix: rule.suffix.clone(),
            })
        });
        Self(routes.collect())
    }

    /// And one more.
    #[must_use]
    pub fn and(mut self, route: Option<Route>) -> Self {
        self.0.extend(route);
        self
    }

    /// Those that take every change, of which only the last matters.
    pub fn coalesced(&self) -> impl Iterator<Item = &Route> {
        self.0.iter().filter(|route| route.coalesced)
    }

    /// Whether nothing of the space is told to anybody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that take events of a key.
    pub fn of_key(&self, key: &Key) -> impl Iterator<Item = &Route> {
        self.0.iter().filter(move |route| route.takes(key))
    }

    /// Those that an event goes to.
    pub fn wanting(&self, kind: EventKind, key: &Key) -> impl Iterator<Item = &Route> {
        self.of_key(key).filter(move |route| route.wants(kind))
    }
}

impl FromIterator<Route> for Routes {
    fn from_iter<I: IntoIterator<Item = Route>>(routes: I) -> Self {
        Self(routes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::event::{NotificationRule, TargetKind};

    #[test]
    fn a_rule_takes_what_it_names() {
        let rule = |target: &str, events: &[&str], prefix: &str, suffix: &str| NotificationRule {
            id: target.to_owned(),
            target: TargetName::new(target).unwrap(),
            kind: TargetKind::Webhook,
            events: events.iter().map(|name| EventName::parse(name).unwrap()).collect(),
            prefix: Some(prefix.to_owned()),
            suffix: Some(suffix.to_owned()),
        };
        let rules = vec![
            rule("jpg", &["s3:ObjectCreated:*"], "images/", ".jpg"),
            rule("gone", &["s3:ObjectRemoved:Delete", "s3:LifecycleExpiration:*"], "", ""),
        ];
        let routes = Routes::of(Some(&Notifications { bucket: None, rules }));
        let told = |kind, key: &str| {
            let key = Key::new(key).unwrap();
            routes.wanting(kind, &key).map(|route| route.target.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(told(EventKind::Put, "images/a.jpg"), ["jpg"]);
        assert_eq!(told(EventKind::CompleteMultipartUpload, "images/.jpg"), ["jpg"]);
        assert!(told(EventKind::Put, "images/a.png").is_empty());
        assert!(told(EventKind::Put, "x/images/a.jpg").is_empty());
        assert_eq!(told(EventKind::Delete, "x"), ["gone"]);
        assert_eq!(told(EventKind::LifecycleDelete, "images/a.jpg"), ["gone"]);
        assert!(told(EventKind::DeleteMarkerCreated, "x").is_empty());
        assert!(told(EventKind::LockChanged, "images/a.jpg").is_empty());
        assert!(Route::mirror(TargetName::internal("upstream", 7)).wants(EventKind::LockChanged));
    }
}
