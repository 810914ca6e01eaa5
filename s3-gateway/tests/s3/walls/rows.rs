//! The table: every operation, who may do it, and what a stranger is told.

/// What an operation is tried on: as good as fresh for every try.
pub(super) struct Fixture {
    /// A bucket that holds an object.
    pub(super) bucket: String,
    /// A bucket that holds nothing.
    pub(super) empty: String,
    pub(super) upload: String,
    pub(super) etag: String,
}

/// What a stranger is told.
pub(super) enum Hidden {
    /// That it is not for him, and nothing of what is in it.
    Bucket,
    /// An empty list, for there is nothing of his.
    Empty,
    /// That the name is taken: the one thing about buckets that everybody may know.
    Taken,
}

pub(super) struct Row {
    pub(super) operation: &'static str,
    pub(super) rights: &'static [&'static str],
    pub(super) method: &'static str,
    pub(super) target: fn(&Fixture) -> String,
    pub(super) headers: fn(&Fixture) -> Vec<(&'static str, String)>,
    pub(super) body: fn(&Fixture) -> String,
    /// The status when it succeeds.
    pub(super) success: u16,
    pub(super) hidden: Hidden,
}

fn row(
    operation: &'static str,
    right: &'static [&'static str],
    method: &'static str,
    target: fn(&Fixture) -> String,
    success: u16,
) -> Row {
    Row {
        operation,
        rights: right,
        method,
        target,
        headers: |_| Vec::new(),
        body: |_| String::new(),
        success,
        hidden: Hidden::Bucket,
    }
}

const READ: &[&str] = &["read"];
const WRITE: &[&str] = &["write"];
const DELETE: &[&str] = &["delete"];
const ADMIN: &[&str] = &["admin"];

/// Operations that read a configuration, and what they answer where none is set.
const CONFIGURATIONS: &[(&str, &str, u16)] = &[
    ("GetBucketLocation", "location", 200),
    ("GetBucketVersioning", "versioning", 200),
    ("GetBucketAcl", "acl", 200),
    ("GetBucketOwnershipControls", "ownershipControls", 200),
    ("GetPublicAccessBlock", "publicAccessBlock", 200),
    ("GetBucketPolicy", "policy", 404),
    ("GetBucketPolicyStatus", "policyStatus", 404),
    ("GetBucketEncryption", "encryption", 404),
    ("GetBucketWebsite", "website", 404),
    ("GetBucketReplication", "replication", 404),
    ("GetBucketLogging", "logging", 200),
    ("GetBucketNotificationConfiguration", "notification", 200),
    ("GetBucketAccelerateConfiguration", "accelerate", 200),
    ("GetBucketRequestPayment", "requestPayment", 200),
    ("GetBucketCors", "cors", 404),
    ("GetBucketLifecycleConfiguration", "lifecycle", 404),
    ("GetBucketTagging", "tagging", 404),
    ("GetObjectLockConfiguration", "object-lock", 404),
];

#[allow(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row { hidden: Hidden::Empty, ..row("ListBuckets", &[], "GET", |_| "/".into(), 200) },
        row("ListMultipartUploads", READ, "GET", |f| format!("/{}?uploads", f.bucket), 200),
        row("ListObjectVersions", READ, "GET", |f| format!("/{}?versions", f.bucket), 200),
        row("ListObjectsV2", READ, "GET", |f| format!("/{}?list-type=2", f.bucket), 200),
        row("ListObjects", READ, "GET", |f| format!("/{}", f.bucket), 200),
        row("HeadBucket", READ, "HEAD", |f| format!("/{}", f.bucket), 200),
        Row {
            hidden: Hidden::Taken,
            ..row("CreateBucket", WRITE, "PUT", |f| format!("/{}-new", f.bucket), 200)
        },
        Row {
            body: |_| "<Delete><Object><Key>k</Key></Object></Delete>".into(),
            ..row("DeleteObjects", DELETE, "POST", |f| format!("/{}?delete", f.bucket), 200)
        },
        row("DeleteBucket", DELETE, "DELETE", |f| format!("/{}", f.empty), 204),
        row("ListParts", READ, "GET", |f| format!("/{}/u?uploadId={}", f.bucket, f.upload), 200),
        row("GetObjectTagging", READ, "GET", |f| format!("/{}/k?tagging", f.bucket), 200),
        row("GetObjectAcl", READ, "GET", |f| format!("/{}/k?acl", f.bucket), 200),
        Row {
            headers: |_| vec![("x-amz-object-attributes", "ETag".into())],
            ..row("GetObjectAttributes", READ, "GET", |f| format!("/{}/k?attributes", f.bucket), 200)
        },
        Row {
            body: |_| "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>".into(),
            ..row("PutBucketVersioning", &["admin"], "PUT", |f| format!("/{}?versioning", f.bucket), 200)
        },
        Row {
            body: |_| "<NotificationConfiguration/>".into(),
            ..row(
                "PutBucketNotificationConfiguration",
                ADMIN,
                "PUT",
                |f| format!("/{}?notification", f.bucket),
                200,
            )
        },
        row("GetObject", READ, "GET", |f| format!("/{}/k", f.bucket), 200),
        row("HeadObject", READ, "HEAD", |f| format!("/{}/k", f.bucket), 200),
        Row {
            body: |_| "part".into(),
            ..row(
                "UploadPart",
                WRITE,
                "PUT",
                |f| format!("/{}/u?partNumber=2&uploadId={}", f.bucket, f.upload),
                200,
            )
        },
        Row {
            headers: |f| vec![("x-amz-copy-source", format!("/{}/k", f.bucket))],
            ..row(
                "UploadPartCopy",
                &["read", "write"],
                "PUT",
                |f| format!("/{}/u?partNumber=2&uploadId={}", f.bucket, f.upload),
                200,
            )
        },
        Row {
            body: |_| "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>".into(),
            ..row("PutObjectTagging", WRITE, "PUT", |f| format!("/{}/k?tagging", f.bucket), 200)
        },
        Row { body: |_| "new".into(), ..row("PutObject", WRITE, "PUT", |f| format!("/{}/k", f.bucket), 200) },
        Row {
            headers: |f| vec![("x-amz-copy-source", format!("/{}/k", f.bucket))],
            ..row("CopyObject", &["read", "write"], "PUT", |f| format!("/{}/copied", f.bucket), 200)
        },
        row("CreateMultipartUpload", WRITE, "POST", |f| format!("/{}/v?uploads", f.bucket), 200),
        Row {
            body: |f| {
                format!(
                    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
                     </CompleteMultipartUpload>",
                    f.etag
                )
            },
            ..row(
                "CompleteMultipartUpload",
                WRITE,
                "POST",
                |f| format!("/{}/u?uploadId={}", f.bucket, f.upload),
                200,
            )
        },
        row(
            "AbortMultipartUpload",
            DELETE,
            "DELETE",
            |f| format!("/{}/u?uploadId={}", f.bucket, f.upload),
            204,
        ),
        row("DeleteBucketCors", ADMIN, "DELETE", |f| format!("/{}?cors", f.bucket), 204),
        row("DeleteBucketLifecycle", ADMIN, "DELETE", |f| format!("/{}?lifecycle", f.bucket), 204),
        row("DeleteBucketPolicy", ADMIN, "DELETE", |f| format!("/{}?policy", f.bucket), 204),
        Row {
            body: |f| {
                format!(
                    r#"{{"Statement":{{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::{}/public/*"}}}}"#,
                    f.bucket
                )
            },
            ..row("PutBucketPolicy", ADMIN, "PUT", |f| format!("/{}?policy", f.bucket), 204)
        },
        row("DeleteBucketTagging", ADMIN, "DELETE", |f| format!("/{}?tagging", f.bucket), 204),
        row(
            "DeleteBucketOwnershipControls",
            ADMIN,
            "DELETE",
            |f| format!("/{}?ownershipControls", f.bucket),
            204,
        ),
        row("DeletePublicAccessBlock", ADMIN, "DELETE", |f| format!("/{}?publicAccessBlock", f.bucket), 204),
        Row {
            body: |_| {
                "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin>\
                       <AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"
                    .into()
            },
            ..row("PutBucketCors", ADMIN, "PUT", |f| format!("/{}?cors", f.bucket), 200)
        },
        Row {
            body: |_| {
                "<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter/>\
                       <Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"
                    .into()
            },
            ..row(
                "PutBucketLifecycleConfiguration",
                ADMIN,
                "PUT",
                |f| format!("/{}?lifecycle", f.bucket),
                200,
            )
        },
        Row {
            body: |_| "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>".into(),
            ..row("PutBucketTagging", ADMIN, "PUT", |f| format!("/{}?tagging", f.bucket), 204)
        },
        Row {
            body: |_| {
                "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>\
                       </OwnershipControls>"
                    .into()
            },
            ..row(
                "PutBucketOwnershipControls",
                ADMIN,
                "PUT",
                |f| format!("/{}?ownershipControls", f.bucket),
                200,
            )
        },
        Row {
            body: |_| {
                "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
                       </PublicAccessBlockConfiguration>"
                    .into()
            },
            ..row("PutPublicAccessBlock", ADMIN, "PUT", |f| format!("/{}?publicAccessBlock", f.bucket), 200)
        },
        Row {
            headers: |_| vec![("x-amz-acl", "private".into())],
            ..row("PutBucketAcl", READ, "PUT", |f| format!("/{}?acl", f.bucket), 200)
        },
        Row {
            headers: |_| vec![("x-amz-acl", "private".into())],
            ..row("PutObjectAcl", WRITE, "PUT", |f| format!("/{}/k?acl", f.bucket), 200)
        },
        Row {
            body: |_| {
                "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>\
                       </ObjectLockConfiguration>"
                    .into()
            },
            ..row(
                "PutObjectLockConfiguration",
                ADMIN,
                "PUT",
                |f| format!("/{}-locked?object-lock", f.bucket),
                200,
            )
        },
        // Nothing holds the object: that is the answer.
        row("GetObjectRetention", READ, "GET", |f| format!("/{}-locked/k?retention", f.bucket), 404),
        row("GetObjectLegalHold", READ, "GET", |f| format!("/{}-locked/k?legal-hold", f.bucket), 404),
        Row {
            body: |_| {
                "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2098-01-01T00:00:00Z</RetainUntilDate>\
                       </Retention>"
                    .into()
            },
            ..row("PutObjectRetention", WRITE, "PUT", |f| format!("/{}-locked/k?retention", f.bucket), 200)
        },
        Row {
            body: |_| "<LegalHold><Status>ON</Status></LegalHold>".into(),
            ..row("PutObjectLegalHold", WRITE, "PUT", |f| format!("/{}-locked/k?legal-hold", f.bucket), 200)
        },
        row("DeleteObjectTagging", WRITE, "DELETE", |f| format!("/{}/k?tagging", f.bucket), 204),
        row("DeleteObject", DELETE, "DELETE", |f| format!("/{}/k", f.bucket), 204),
    ];
    macro_rules! configuration {
        ($($index:literal),*) => {
            $(rows.push(row(
                CONFIGURATIONS[$index].0,
                READ,
                "GET",
                |f| format!("/{}?{}", f.bucket, CONFIGURATIONS[$index].1),
                CONFIGURATIONS[$index].2,
            ));)*
        };
    }
    configuration!(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17);
    rows
}
