//! Changes of what an object carries that leave the rest of it as it is.

use std::collections::BTreeMap;

use super::acl::CannedAcl;
use super::object::{Attributes, Object, Tags};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
