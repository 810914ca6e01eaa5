//! The two fronts.

/// One of the two fronts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// The native API.
    Native,
    /// The S3 gateway.
    S3,
}

impl Front {
    /// Its name in logs and in the lines that announce the endpoints.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::S3 => "s3",
        }
    }
}
