//! What an owner grants to others: S3's canned ACLs (S3 User Guide, "Access control list (ACL)
//! overview"). Only an operator can let them count; until then they grant nothing.

use serde::{Deserialize, Serialize};

/// Something that an ACL can grant to strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Of a bucket: list it. Of an object: read it.
    Read,
    /// Of a bucket: write objects into it. Nothing lets strangers remove anything.
    Write,
}

/// A stranger: a caller without rights of its own in a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranger {
    /// An authenticated caller, such as another tenant (S3's group `AuthenticatedUsers`).
    Known,
    /// One who proved nothing: of S3's group `AllUsers` only.
    Anonymous,
}

/// An ACL out of S3's can. The owner has everything under each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CannedAcl {
    /// Only the owner.
    #[default]
    Private,
    /// Every caller may read.
    PublicRead,
    /// Every caller may read and write.
    PublicReadWrite,
    /// Every authenticated caller may read.
    AuthenticatedRead,
}

impl CannedAcl {
    /// Every one.
    pub const ALL: [Self; 4] =
        [Self::Private, Self::PublicRead, Self::PublicReadWrite, Self::AuthenticatedRead];

    /// S3's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
            Self::AuthenticatedRead => "authenticated-read",
        }
    }

    /// Reads S3's name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|acl| acl.as_str() == name)
    }

    /// The number kept in the database, where [`Self::Private`] is NULL.
    pub fn code(self) -> Option<i16> {
        match self {
            Self::Private => None,
            Self::PublicRead => Some(1),
            Self::PublicReadWrite => Some(2),
            Self::AuthenticatedRead => Some(3),
        }
    }

    /// Reads the number kept in the database.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|acl| acl.code() == Some(code))
    }

    /// Whether it grants anything to others than the owner.
    pub fn is_shared(self) -> bool {
        self != Self::Private
    }

    /// Whether it grants `permission` to `stranger`.
    pub fn grants(self, permission: Permission, stranger: Stranger) -> bool {
        match self {
            Self::Private => false,
            Self::PublicRead => permission == Permission::Read,
            Self::PublicReadWrite => true,
            Self::AuthenticatedRead => permission == Permission::Read && stranger == Stranger::Known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_grants_what_its_name_says() {
        use Permission::{Read, Write};
        use Stranger::{Anonymous, Known};
        for (acl, grants) in [
            (CannedAcl::Private, [false, false, false, false]),
            (CannedAcl::PublicRead, [true, true, false, false]),
            (CannedAcl::PublicReadWrite, [true, true, true, true]),
            (CannedAcl::AuthenticatedRead, [true, false, false, false]),
        ] {
            let asked = [(Read, Known), (Read, Anonymous), (Write, Known), (Write, Anonymous)];
            assert_eq!(
                asked.map(|(permission, stranger)| acl.grants(permission, stranger)),
                grants,
                "{acl:?}"
            );
            assert_eq!(acl.is_shared(), grants.contains(&true));
        }
    }

    #[test]
    fn names_and_codes_read_back() {
        for acl in CannedAcl::ALL {
            assert_eq!(CannedAcl::parse(acl.as_str()), Some(acl));
            assert_eq!(acl.code().map_or(Some(CannedAcl::Private), CannedAcl::from_code), Some(acl));
        }
        assert_eq!(CannedAcl::parse("aws-exec-read"), None);
        assert_eq!(CannedAcl::from_code(0), None);
    }
}
