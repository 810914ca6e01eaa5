//! What a request does, named as S3 names it in policies (Service Authorization Reference, "Actions, resources, and
//! condition keys for Amazon S3"). Both fronts ask for these, and every rule of access is about them.

use super::principal::Right;

/// What an action is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// A bucket: `arn:aws:s3:::bucket`.
    Bucket,
    /// An object: `arn:aws:s3:::bucket/key`.
    Object,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident: $level:ident, $right:ident;)*) => {
        /// An action that a policy can allow or deny.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every action, in the order in which they stand here.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name behind `s3:`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What it is done to.
            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }

            /// The right of a credential that it takes.
            pub fn right(self) -> Right {
                match self { $(Self::$name => Right::$right,)* }
            }
        }
    };
}

actions! {
    /// Read an object, or look at it.
    GetObject: Object, Read;
    /// The same of a version that is named.
    GetObjectVersion: Object, Read;
    /// Read what an object consists of.
    GetObjectAttributes: Object, Read;
    /// The same of a version that is named.
    GetObjectVersionAttributes: Object, Read;
    /// Read an object's tags.
    GetObjectTagging: Object, Read;
    /// The same of a version that is named.
    GetObjectVersionTagging: Object, Read;
    /// Read an object's ACL.
    GetObjectAcl: Object, Read;
    /// The same of a version that is named.
    GetObjectVersionAcl: Object, Read;
    /// Read what retains an object.
    GetObjectRetention: Object, Read;
    /// Read whether an object is held.
    GetObjectLegalHold: Object, Read;
    /// List the parts of an upload.
    ListMultipartUploadParts: Object, Read;
    /// Write an object, in one piece or in parts.
    PutObject: Object, Write;
    /// Set an object's ACL.
    PutObjectAcl: Object, Write;
    /// The same of a version that is named.
    PutObjectVersionAcl: Object, Write;
    /// Set an object's tags.
    PutObjectTagging: Object, Write;
    /// The same of a version that is named.
    PutObjectVersionTagging: Object, Write;
    /// Remove an object's tags.
    DeleteObjectTagging: Object, Write;
    /// The same of a version that is named.
    DeleteObjectVersionTagging: Object, Write;
    /// Set what retains an object.
    PutObjectRetention: Object, Write;
    /// Set whether an object is held.
    PutObjectLegalHold: Object, Write;
    /// Go round a governance retention.
    BypassGovernanceRetention: Object, Admin;
    /// Delete an object.
    DeleteObject: Object, Delete;
    /// The same of a version that is named.
    DeleteObjectVersion: Object, Delete;
    /// End an upload without an object.
    AbortMultipartUpload: Object, Delete;
    /// List objects, or ask whether a bucket is there.
    ListBucket: Bucket, Read;
    /// List versions of objects.
    ListBucketVersions: Bucket, Read;
    /// List uploads under way.
    ListBucketMultipartUploads: Bucket, Read;
    /// Read where a bucket lies.
    GetBucketLocation: Bucket, Read;
    /// Read whether versions are kept.
    GetBucketVersioning: Bucket, Read;
    /// Set whether versions are kept.
    PutBucketVersioning: Bucket, Admin;
    /// Read a bucket's ACL.
    GetBucketAcl: Bucket, Read;
    /// Set a bucket's ACL.
    PutBucketAcl: Bucket, Admin;
    /// Read which origins may ask.
    GetBucketCORS: Bucket, Read;
    /// Set or remove which origins may ask.
    PutBucketCORS: Bucket, Admin;
    /// Read what goes when.
    GetLifecycleConfiguration: Bucket, Read;
    /// Set or remove what goes when.
    PutLifecycleConfiguration: Bucket, Admin;
    /// Read a bucket's tags.
    GetBucketTagging: Bucket, Read;
    /// Set or remove a bucket's tags.
    PutBucketTagging: Bucket, Admin;
    /// Read a bucket's policy.
    GetBucketPolicy: Bucket, Read;
    /// Set a bucket's policy.
    PutBucketPolicy: Bucket, Admin;
    /// Remove a bucket's policy.
    DeleteBucketPolicy: Bucket, Admin;
    /// Read whether a bucket's policy is public.
    GetBucketPolicyStatus: Bucket, Read;
    /// Read what is blocked of public access.
    GetBucketPublicAccessBlock: Bucket, Read;
    /// Set or remove what is blocked of public access.
    PutBucketPublicAccessBlock: Bucket, Admin;
    /// Read who owns objects.
    GetBucketOwnershipControls: Bucket, Read;
    /// Set or remove who owns objects.
    PutBucketOwnershipControls: Bucket, Admin;
    /// Read whether versions can be locked.
    GetBucketObjectLockConfiguration: Bucket, Read;
    /// Set that versions can be locked.
    PutBucketObjectLockConfiguration: Bucket, Admin;
    /// Read how objects are encrypted.
    GetEncryptionConfiguration: Bucket, Read;
    /// Read how a bucket is a website.
    GetBucketWebsite: Bucket, Read;
    /// Read where a bucket is replicated to.
    GetReplicationConfiguration: Bucket, Read;
    /// Read where requests are logged.
    GetBucketLogging: Bucket, Read;
    /// Read who is notified.
    GetBucketNotification: Bucket, Read;
    /// Set or remove who is notified.
    PutBucketNotification: Bucket, Admin;
    /// Read whether transfers are accelerated.
    GetAccelerateConfiguration: Bucket, Read;
    /// Read who pays.
    GetBucketRequestPayment: Bucket, Read;
    /// Delete a bucket.
    DeleteBucket: Bucket, Delete;
}

impl Action {
    /// The action of the same kind on a version that a request names.
    #[must_use]
    pub fn of_version(self) -> Self {
        match self {
            Self::GetObject => Self::GetObjectVersion,
            Self::GetObjectAttributes => Self::GetObjectVersionAttributes,
            Self::GetObjectTagging => Self::GetObjectVersionTagging,
            Self::GetObjectAcl => Self::GetObjectVersionAcl,
            Self::PutObjectAcl => Self::PutObjectVersionAcl,
            Self::PutObjectTagging => Self::PutObjectVersionTagging,
            Self::DeleteObjectTagging => Self::DeleteObjectVersionTagging,
            Self::DeleteObject => Self::DeleteObjectVersion,
            other => other,
        }
    }

    /// Whether it sees, sets or removes the bucket's policy itself.
    pub fn is_about_policy(self) -> bool {
        matches!(
            self,
            Self::GetBucketPolicy
                | Self::PutBucketPolicy
                | Self::DeleteBucketPolicy
                | Self::GetBucketPolicyStatus
        )
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3:{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_named_as_s3_names_them() {
        assert_eq!(Action::GetObject.to_string(), "s3:GetObject");
        assert_eq!(Action::PutBucketCORS.to_string(), "s3:PutBucketCORS");
        let mut names: Vec<_> = Action::ALL.iter().map(|action| action.name().to_ascii_lowercase()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Action::ALL.len());
    }

    #[test]
    fn a_version_has_an_action_of_the_same_level_and_right() {
        for action in Action::ALL {
            let version = action.of_version();
            assert_eq!((version.level(), version.right()), (action.level(), action.right()), "{action}");
            assert_eq!(version.of_version(), version);
        }
    }
}
