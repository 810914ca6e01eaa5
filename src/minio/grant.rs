//! What policies of MinIO allow, as far as the rights of one credential say the same.

use std::collections::{BTreeMap, BTreeSet};

use juststorage_core::domain::address::KeyPrefix;
use juststorage_core::domain::principal::{NamespacePattern, Right, Rights};
use serde::{Deserialize, Deserializer};

/// The actions that stand for a right: who may do one of these to an object has it.
const ACTIONS: [(&str, Right); 3] =
    [("s3:GetObject", Right::Read), ("s3:PutObject", Right::Write), ("s3:DeleteObject", Right::Delete)];

/// What ARNs of S3 begin with.
const ARN: &str = "arn:aws:s3:::";

/// A document, as far as it is understood.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Document {
    #[serde(deserialize_with = "or_default")]
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Statement {
    effect: String,
    action: Texts,
    not_action: Texts,
    resource: Texts,
    not_resource: Texts,
    #[serde(deserialize_with = "or_default")]
    condition: serde_json::Map<String, serde_json::Value>,
}

/// `null` counts as nothing.
pub(super) fn or_default<'de, D, T>(value: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// A text, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Default for Texts {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Texts {
    fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// Keys: a bucket, or a beginning of names with `*`, and what the keys begin with.
type Place = (String, String);

/// Listings that are allowed, the narrowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Listings {
    Nothing,
    BelowPrefixes,
    Wholes,
}

/// What a credential may do, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    rights: BTreeSet<&'static str>,
    places: BTreeSet<Place>,
    /// Whether administration was allowed, too.
    pub(super) administers: bool,
    lists: Listings,
    /// Whether making buckets was.
    makes_buckets: bool,
}

/// A grant as a credential of this store has it.
pub(super) struct Asked {
    pub(super) rights: Rights,
    pub(super) namespaces: Option<Vec<NamespacePattern>>,
    pub(super) prefixes: Option<Vec<KeyPrefix>>,
}

impl Grant {
    /// What documents allow together. The error says why that cannot be said here.
    pub(super) fn of<'d>(documents: impl IntoIterator<Item = &'d Document>) -> Result<Self, String> {
        let mut by_right: BTreeMap<&'static str, BTreeSet<Place>> = BTreeMap::new();
        let (mut administers, mut lists, mut makes_buckets) = (false, Listings::Nothing, false);
        for statement in documents.into_iter().flat_map(|document| &document.statement) {
            let (admin, actions): (Vec<_>, Vec<_>) =
                statement.action.all().iter().partition(|action| is_of_administration(action));
            administers |= admin.iter().any(|action| action.starts_with("admin:"));
            if actions.is_empty() && statement.not_action.all().is_empty() {
                continue;
            }
            let places = statement.places()?;
            let allows = |probe| actions.iter().any(|action| matches(action, probe));
            if allows("s3:ListBucket") {
                lists = lists.max(if statement.names_wholes() {
                    Listings::Wholes
                } else {
                    Listings::BelowPrefixes
                });
            }
            makes_buckets |= allows("s3:CreateBucket");
            for (probe, right) in ACTIONS {
                if allows(probe) {
                    by_right.entry(right.as_str()).or_default().extend(places.iter().cloned());
                }
            }
        }
        by_right.retain(|_, places| !places.is_empty());
        let mut by_right = by_right.into_iter().map(|(right, places)| (right, without_covered(&places)));
        let Some((first, places)) = by_right.next() else {
            return Err("its policies allow neither reading nor writing objects".to_owned());
        };
        let mut rights = BTreeSet::from([first]);
        for (right, others) in by_right {
            if others != places {
                return Err("its rights differ between buckets: make a credential for each".to_owned());
            }
            rights.insert(right);
        }
        Ok(Self { rights, places, administers, lists, makes_buckets })
    }

    /// Everything, as the root user has it.
    pub(super) fn everything() -> Self {
        let rights = ACTIONS.into_iter().map(|(_, right)| right.as_str()).collect();
        let places = BTreeSet::from([("*".to_owned(), String::new())]);
        Self { rights, places, administers: true, lists: Listings::Wholes, makes_buckets: true }
    }

    /// What both allow, where one lies within the other.
    pub(super) fn within(self, outer: &Self) -> Result<Self, String> {
        let rights: BTreeSet<_> = self.rights.intersection(&outer.rights).copied().collect();
        let inside = |one: &BTreeSet<Place>, other: &BTreeSet<Place>| {
            one.iter().all(|place| other.iter().any(|other| covers(other, place)))
        };
        let places = if inside(&self.places, &outer.places) {
            self.places
        } else if inside(&outer.places, &self.places) {
            outer.places.clone()
        } else {
            return Err("its own policy and its user's overlap only in part".to_owned());
        };
        if rights.is_empty() {
            return Err("its own policy and its user's allow nothing together".to_owned());
        }
        Ok(Self {
            rights,
            places,
            administers: self.administers && outer.administers,
            lists: self.lists.min(outer.lists),
            makes_buckets: self.makes_buckets && outer.makes_buckets,
        })
    }

    /// What a credential with these rights may do that was not allowed: rights are coarser than actions.
    pub(super) fn wider(&self) -> Option<&'static str> {
        let lists = self.rights.contains(Right::Read.as_str()) && self.lists == Listings::Nothing;
        let makes = self.rights.contains(Right::Write.as_str()) && !self.makes_buckets;
        match (lists, makes) {
            (false, false) => None,
            (true, false) => Some("it may list here, too: `read` is both"),
            (false, true) => Some("it may make buckets in its namespaces, too: `write` is both"),
            (true, true) => {
                Some("it may list, and make buckets in its namespaces, too: `read` and `write` are both")
            }
        }
    }

    /// What was allowed that a credential with these prefixes may not do.
    pub(super) fn narrower(&self) -> Option<&'static str> {
        let bound =
            self.rights.contains(Right::Read.as_str()) && !self.places.iter().any(|(_, key)| key.is_empty());
        (bound && self.lists == Listings::Wholes)
            .then_some("it may list below its prefixes only: a listing of the whole bucket is refused")
    }

    /// The same as a credential says it.
    pub(super) fn asked(&self) -> Result<Asked, String> {
        let mut prefixes_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (bucket, prefix) in &self.places {
            prefixes_of.entry(bucket).or_default().insert(prefix);
        }
        let mut all = prefixes_of.values();
        let prefixes = all.next().cloned().unwrap_or_default();
        if all.any(|other| *other != prefixes) {
            return Err("its prefixes differ between buckets: make a credential for each".to_owned());
        }
        let namespaces = if prefixes_of.contains_key("*") {
            None
        } else {
            let patterns = prefixes_of.keys().map(|bucket| NamespacePattern::parse(bucket));
            Some(patterns.collect::<Result<Vec<_>, _>>().map_err(|invalid| invalid.reason.to_string())?)
        };
        let prefixes = if prefixes.contains("") {
            None
        } else {
            let prefixes = prefixes.into_iter().map(KeyPrefix::new);
            Some(prefixes.collect::<Result<Vec<_>, _>>().map_err(|invalid| invalid.reason.to_string())?)
        };
        let rights: Vec<_> = self.rights.iter().copied().collect();
        let rights = Rights::parse(&rights.join(",")).map_err(|invalid| invalid.reason.to_string())?;
        Ok(Asked { rights, namespaces, prefixes })
    }
}

impl Statement {
    /// Whether it is about a bucket as a whole: by its name, or by all of its keys.
    fn names_wholes(&self) -> bool {
        let is_whole = |name: &str| name.split_once('/').is_none_or(|(_, key)| key == "*");
        self.resource.all().iter().any(|resource| is_whole(resource.strip_prefix(ARN).unwrap_or(resource)))
    }

    /// The keys that it is about. The error says what a credential cannot say.
    fn places(&self) -> Result<BTreeSet<Place>, String> {
        let refused =
            |what: &str| Err(format!("{what}: a credential has no such thing, a bucket policy may"));
        if self.effect != "Allow" {
            return refused("a policy denies something");
        }
        if !self.not_action.all().is_empty() || !self.not_resource.all().is_empty() {
            return refused("a policy is about everything but something");
        }
        if !self.condition.is_empty() {
            return refused("a policy has a condition");
        }
        let mut places = BTreeSet::new();
        for resource in self.resource.all() {
            let name = resource.strip_prefix(ARN).unwrap_or(resource);
            let (bucket, key) = match name.split_once('/') {
                // What ends in a wildcard goes on behind the bucket.
                None if name.ends_with('*') => (name, "*"),
                // The bucket itself, and no object.
                None => continue,
                Some(both) => both,
            };
            let Some(prefix) = key.strip_suffix('*') else {
                return refused("a policy names single objects");
            };
            let plain = |text: &str| !text.contains(['*', '?']) && !text.contains("${");
            let begins = bucket.strip_suffix('*');
            if !plain(prefix) || !plain(begins.unwrap_or(bucket)) || (begins.is_some() && !prefix.is_empty())
            {
                return refused("a policy has a wildcard inside of a name");
            }
            places.insert((bucket.to_owned(), prefix.to_owned()));
        }
        Ok(places)
    }
}

/// Whether one place holds another.
fn covers((bucket, prefix): &Place, (other, under): &Place) -> bool {
    let named = match bucket.strip_suffix('*') {
        Some(begins) => other.starts_with(begins),
        None => other == bucket,
    };
    named && under.starts_with(prefix.as_str())
}

fn without_covered(places: &BTreeSet<Place>) -> BTreeSet<Place> {
    let covered = |place: &Place| places.iter().any(|other| other != place && covers(other, place));
    places.iter().filter(|place| !covered(place)).cloned().collect()
}

fn is_of_administration(action: &str) -> bool {
    ["admin:", "kms:", "sts:"].iter().any(|service| action.starts_with(service))
}

/// Whether a pattern with `*` matches a text. `?` matches nothing: what it allows is left out.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some(part) => part.is_empty() || text.ends_with(part),
    }
}
