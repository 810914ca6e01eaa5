//! What a signed URL allows of the one upload that it is for.

use super::invalid::Invalid;
use super::multipart::PART_BYTES_MAX;
use super::object::HEADER_BYTES_MAX;
use super::precondition::{EtagCondition, Preconditions};

/// Bounds of an upload. The default bounds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadBounds {
    /// The content type that the object gets; a client that sends one must send this.
    pub content_type: Option<String>,
    /// Most bytes of the body.
    pub size_max: Option<u64>,
    /// Whether the key must be free.
    pub if_none_match: bool,
}

/// The client sends another content type than the one that was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherType;

impl UploadBounds {
    /// Whether nothing is bounded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses bounds that no upload could keep, or that no header could hold.
    pub fn validate(&self) -> Result<(), Invalid> {
        if let Some(text) = &self.content_type
            && (text.is_empty() || text.len() > HEADER_BYTES_MAX || text.chars().any(char::is_control))
        {
            let rule = "must be 1 to 4096 bytes without control characters";
            return Err(Invalid::new("content_type", rule));
        }
        match self.size_max {
            Some(size) if size > PART_BYTES_MAX => Err(Invalid::new("size_max", "must be at most 5 GiB")),
            _ => Ok(()),
        }
    }

    /// The content type of an upload whose client sends `sent`.
    pub fn content_type_of(&self, sent: Option<String>) -> Result<Option<String>, OtherType> {
        match (&self.content_type, sent) {
            (Some(signed), Some(sent)) if *signed != sent => Err(OtherType),
            (Some(signed), _) => Ok(Some(signed.clone())),
            (None, sent) => Ok(sent),
        }
    }

    /// The conditions of an upload whose client sends `sent`: both must hold.
    pub fn conditions_of(&self, sent: Preconditions) -> Preconditions {
        if self.if_none_match {
            // `*` is stricter than any list of tags.
            Preconditions { if_none_match: Some(EtagCondition::Any), ..sent }
        } else {
            sent
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_bind_what_a_client_sends() {
        let text = |text: &str| Some(text.to_owned());
        let typed = UploadBounds { content_type: text("image/png"), ..UploadBounds::default() };
        assert_eq!(typed.content_type_of(None), Ok(text("image/png")));
        assert_eq!(typed.content_type_of(text("image/png")), Ok(text("image/png")));
        assert_eq!(typed.content_type_of(text("text/html")), Err(OtherType));
        assert_eq!(UploadBounds::default().content_type_of(text("text/html")), Ok(text("text/html")));
        let fresh = UploadBounds { if_none_match: true, ..UploadBounds::default() };
        let bound = fresh.conditions_of(Preconditions::default());
        assert_eq!(bound.if_none_match, Some(EtagCondition::Any));
        for (bounds, field) in [
            (UploadBounds { content_type: text(""), ..UploadBounds::default() }, "content_type"),
            (UploadBounds { content_type: text("a\nb"), ..UploadBounds::default() }, "content_type"),
            (UploadBounds { size_max: Some(PART_BYTES_MAX + 1), ..UploadBounds::default() }, "size_max"),
        ] {
            assert_eq!(bounds.validate().map_err(|invalid| invalid.field), Err(field));
        }
    }
}
