//! Who made a signed URL.

use crate::domain::principal::Proof;

/// By what the maker of a URL proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// By nothing, as authentication was disabled.
    Nothing,
    /// By a stored key with this public part.
    Key(String),
    /// By a JSON web token that this key signed.
    JwtKey(Option<String>),
}

impl Maker {
    pub(super) fn of(proof: &Proof) -> Option<Self> {
        match proof {
            Proof::Nothing => Some(Self::Nothing),
            Proof::Key { lookup, .. } => Some(Self::Key(lookup.clone())),
            Proof::Jwt { key_id, .. } => Some(Self::JwtKey(key_id.clone())),
            // These make no URLs: an operator has no token, and a URL passes nothing on.
            Proof::Operator | Proof::Url { .. } | Proof::Missing => None,
        }
    }

    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Nothing => "n".to_owned(),
            Self::Key(lookup) => format!("k.{lookup}"),
            Self::JwtKey(None) => "j".to_owned(),
            Self::JwtKey(Some(id)) => format!("j.{id}"),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once('.') {
            None if text == "n" => Some(Self::Nothing),
            None if text == "j" => Some(Self::JwtKey(None)),
            Some(("k", lookup)) => Some(Self::Key(lookup.to_owned())),
            Some(("j", id)) => Some(Self::JwtKey(Some(id.to_owned()))),
            _ => None,
        }
    }
}
