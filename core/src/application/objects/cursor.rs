//! Where a page of a listing begins.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;

/// Most entries of one page.
pub const PAGE_MAX: u32 = 1000;

/// Where a page begins: behind an entry of the page before. It names keys and not rows, so writes between
/// two pages neither repeat nor skip an entry that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cursor {
    /// Behind this key, all of its versions included.
    #[serde(rename = "k")]
    Key(String),
    /// Behind every key with this prefix.
    #[serde(rename = "p")]
    Prefix(String),
    /// Behind this version of this key; the key is empty for keyless objects.
    #[serde(rename = "v")]
    Version(String, uuid::Uuid),
}

impl Cursor {
    /// The key, or the common prefix.
    pub fn key(&self) -> &str {
        match self {
            Self::Key(key) | Self::Prefix(key) | Self::Version(key, _) => key,
        }
    }

    /// An opaque token for a client.
    pub fn encode(&self) -> String {
        // Serialising an enum of strings cannot fail; an empty token would be refused by `decode`.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a token that [`Self::encode`] made.
    pub fn decode(token: &str) -> Result<Self, Invalid> {
        URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| Invalid::new("cursor", "must be a cursor that a listing returned"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back() {
        for cursor in [
            Cursor::Key("a/ü".into()),
            Cursor::Prefix("a/".into()),
            Cursor::Version(String::new(), uuid::Uuid::nil()),
        ] {
            assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        }
        for bad in ["", "%%%", "e30", "bnVsbA"] {
            assert!(Cursor::decode(bad).is_err(), "{bad}");
        }
    }
}
