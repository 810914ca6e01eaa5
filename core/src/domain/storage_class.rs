//! What a client asks for, and the tier that follows from it.

use super::invalid::Invalid;

/// Where an object's bytes should lie. The hotter class of two objects wins for a blob they share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StorageClass {
    /// Cheap and large; never behind a restore step.
    Cold,
    /// Fast: the default.
    #[default]
    Hot,
}

/// A name by which an S3 client asked for a class, other than the one that the class is shown by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassName {
    /// `REDUCED_REDUNDANCY`: kept as safely as everything else that is hot.
    ReducedRedundancy,
    /// `GLACIER_IR`: cold.
    GlacierInstant,
}

impl ClassName {
    /// Every name.
    pub const ALL: [Self; 2] = [Self::ReducedRedundancy, Self::GlacierInstant];

    /// S3's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReducedRedundancy => "REDUCED_REDUNDANCY",
            Self::GlacierInstant => "GLACIER_IR",
        }
    }

    /// The class that it is a name of.
    pub fn class(self) -> StorageClass {
        match self {
            Self::ReducedRedundancy => StorageClass::Hot,
            Self::GlacierInstant => StorageClass::Cold,
        }
    }

    /// The number kept in the database.
    pub fn code(self) -> i16 {
        match self {
            Self::ReducedRedundancy => 1,
            Self::GlacierInstant => 2,
        }
    }

    /// Reads the number kept in the database, beside the class. A release that does not know names moves objects from
    /// one class to the other and leaves the name: it says nothing then.
    pub fn of(class: StorageClass, code: Option<i16>) -> Option<Self> {
        Self::ALL.into_iter().find(|name| Some(name.code()) == code && name.class() == class)
    }
}

impl StorageClass {
    /// Every class, coldest first.
    pub const ALL: [Self; 2] = [Self::Cold, Self::Hot];

    /// The native name: `hot` or `cold`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Cold => "cold",
        }
    }

    /// Reads the native name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "hot" => Ok(Self::Hot),
            "cold" => Ok(Self::Cold),
            _ => Err(Invalid::new("storage_class", "must be hot or cold")),
        }
    }

    /// The number kept in the database; larger is hotter.
    pub fn code(self) -> i16 {
        match self {
            Self::Cold => 1,
            Self::Hot => 2,
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }
}
