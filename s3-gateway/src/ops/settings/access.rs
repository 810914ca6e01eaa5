//! ACLs, ownership and public access. Rights belong to credentials. ACLs grant access to others only if the operator
//! turned them on (decision 0013); otherwise these operations answer fixed values, or what the owner declared.

use http::StatusCode;
use juststorage_core::domain::acl::CannedAcl;
use juststorage_core::domain::settings::{
    BucketOwnerEnforced, Declared, PublicAccess, Setting, SpaceSettings,
};
use s3s::dto::{
    AccessControlPolicy, DeleteBucketOwnershipControlsInput, DeleteBucketOwnershipControlsOutput,
    DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput, GetBucketAclInput, GetBucketAclOutput,
    GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput, GetObjectAclInput, GetObjectAclOutput,
    GetPublicAccessBlockInput, GetPublicAccessBlockOutput, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, PublicAccessBlockConfiguration, PutBucketAclInput, PutBucketAclOutput,
    PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput, PutObjectAclInput, PutObjectAclOutput,
    PutPublicAccessBlockInput, PutPublicAccessBlockOutput,
};
use s3s::{S3Request, S3Response, S3Result};

use crate::acl::of_body;
use crate::api::Api;
use crate::auth::who;
use crate::dto::{acl, address, values};
use crate::errors::{fail, malformed_xml, not_implemented, translate};
use crate::ops::buckets::settings_of;
use crate::ops::found::find;

pub(crate) async fn bucket_acl(
    api: &Api,
    request: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    let (space, settings) = settings_of(api, &request, &request.input.bucket).await?;
    let owner = values::owner(&space.address.tenant);
    let acl = counting(api, &settings, settings.acl);
    Ok(S3Response::new(GetBucketAclOutput { grants: Some(acl::grants(acl, &owner)), owner: Some(owner) }))
}

pub(crate) async fn object_acl(
    api: &Api,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let object = find(api, &request, &reference).await?;
    let owner = values::owner(&object.address.tenant);
    let settings = api.store.settings_around(&object).await.map_err(translate)?;
    let grants = Some(acl::grants(counting(api, &settings, object.acl), &owner));
    Ok(S3Response::new(GetObjectAclOutput { grants, owner: Some(owner), ..GetObjectAclOutput::default() }))
}

/// The effective ACL: an ACL that grants nothing is not shown.
fn counting(api: &Api, settings: &SpaceSettings, acl: CannedAcl) -> CannedAcl {
    if api.store.heeds_acls() && settings.has_acls() { acl } else { CannedAcl::Private }
}

pub(crate) async fn put_bucket_acl(
    api: &Api,
    request: S3Request<PutBucketAclInput>,
) -> S3Result<S3Response<PutBucketAclOutput>> {
    let (bucket, policy) = (&request.input.bucket, request.input.access_control_policy.as_ref());
    let name = address::bucket(bucket)?;
    let acl = asked(api, &request, bucket, policy).await?;
    api.store.put_bucket_acl(who(&request)?, &name, acl).await.map_err(translate)?;
    Ok(S3Response::new(PutBucketAclOutput::default()))
}

pub(crate) async fn put_object_acl(
    api: &Api,
    request: S3Request<PutObjectAclInput>,
) -> S3Result<S3Response<PutObjectAclOutput>> {
    let (input, policy) = (&request.input, request.input.access_control_policy.as_ref());
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let acl = asked(api, &request, &input.bucket, policy).await?;
    api.store.put_object_acl(who(&request)?, &reference, acl).await.map_err(translate)?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

/// The ACL that a request asks for, in its headers (checked before) or in its body.
async fn asked<T>(
    api: &Api,
    request: &S3Request<T>,
    bucket: &str,
    policy: Option<&AccessControlPolicy>,
) -> S3Result<CannedAcl> {
    match policy {
        None if acl::says_anything(&request.headers) => Ok(acl::asked(&request.headers)),
        None => Err(malformed_xml("an ACL is expected, in a header or in the body")),
        Some(policy) => {
            let who = who(request)?;
            let owner = api.store.owner_of(who, &address::bucket(bucket)?).await.map_err(translate)?;
            of_body(&api.store, who, bucket, policy, owner.as_str()).await
        }
    }
}

pub(crate) async fn ownership(
    api: &Api,
    request: S3Request<GetBucketOwnershipControlsInput>,
) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
    let (_, settings) = settings_of(api, &request, &request.input.bucket).await?;
    // Where ACLs count, a bucket has them until its owner says otherwise.
    let none = api.store.heeds_acls() && settings.ownership.is_none();
    if none || settings.ownership == Some(Declared::Removed) {
        return Err(fail(
            StatusCode::NOT_FOUND,
            "OwnershipControlsNotFoundError",
            "The bucket ownership controls were not found",
        ));
    }
    let object_ownership = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
    let rules = vec![OwnershipControlsRule { object_ownership }];
    let ownership_controls = Some(OwnershipControls { rules });
    Ok(S3Response::new(GetBucketOwnershipControlsOutput { ownership_controls }))
}

pub(crate) async fn put_ownership(
    api: &Api,
    request: S3Request<PutBucketOwnershipControlsInput>,
) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    let [rule] = request.input.ownership_controls.rules.as_slice() else {
        return Err(malformed_xml("exactly one Rule is expected"));
    };
    match rule.object_ownership.as_str() {
        ObjectOwnership::BUCKET_OWNER_ENFORCED => {}
        ObjectOwnership::BUCKET_OWNER_PREFERRED | ObjectOwnership::OBJECT_WRITER => {
            return Err(not_implemented(
                "Object ownership other than BucketOwnerEnforced is not implemented.",
            ));
        }
        _ => return Err(malformed_xml("ObjectOwnership is not known")),
    }
    let setting = Setting::Ownership(Declared::Set(BucketOwnerEnforced));
    api.store.put_setting(who(&request)?, &bucket, setting).await.map_err(translate)?;
    Ok(S3Response::new(PutBucketOwnershipControlsOutput::default()))
}

pub(crate) async fn delete_ownership(
    api: &Api,
    request: S3Request<DeleteBucketOwnershipControlsInput>,
) -> S3Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    let setting = Setting::Ownership(Declared::Removed);
    api.store.put_setting(who(&request)?, &bucket, setting).await.map_err(translate)?;
    let output = DeleteBucketOwnershipControlsOutput::default();
    Ok(S3Response::new(output))
}

pub(crate) async fn public_access(
    api: &Api,
    request: S3Request<GetPublicAccessBlockInput>,
) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
    let (_, settings) = settings_of(api, &request, &request.input.bucket).await?;
    let said = match settings.public_access {
        None if !api.store.heeds_acls() => PublicAccess::DEFAULT,
        Some(Declared::Set(said)) => said,
        None | Some(Declared::Removed) => {
            return Err(fail(
                StatusCode::NOT_FOUND,
                "NoSuchPublicAccessBlockConfiguration",
                "The public access block configuration was not found",
            ));
        }
    };
    let public_access_block_configuration = Some(PublicAccessBlockConfiguration {
        block_public_acls: Some(said.block_public_acls),
        block_public_policy: Some(said.block_public_policy),
        ignore_public_acls: Some(said.ignore_public_acls),
        restrict_public_buckets: Some(said.restrict_public_buckets),
    });
    Ok(S3Response::new(GetPublicAccessBlockOutput { public_access_block_configuration }))
}

pub(crate) async fn put_public_access(
    api: &Api,
    request: S3Request<PutPublicAccessBlockInput>,
) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    let sent = &request.input.public_access_block_configuration;
    let said = PublicAccess {
        block_public_acls: sent.block_public_acls.unwrap_or_default(),
        ignore_public_acls: sent.ignore_public_acls.unwrap_or_default(),
        block_public_policy: sent.block_public_policy.unwrap_or_default(),
        restrict_public_buckets: sent.restrict_public_buckets.unwrap_or_default(),
    };
    let setting = Setting::PublicAccess(Declared::Set(said));
    api.store.put_setting(who(&request)?, &bucket, setting).await.map_err(translate)?;
    Ok(S3Response::new(PutPublicAccessBlockOutput::default()))
}

pub(crate) async fn delete_public_access(
    api: &Api,
    request: S3Request<DeletePublicAccessBlockInput>,
) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
    let bucket = address::bucket(&request.input.bucket)?;
    let setting = Setting::PublicAccess(Declared::Removed);
    api.store.put_setting(who(&request)?, &bucket, setting).await.map_err(translate)?;
    let output = DeletePublicAccessBlockOutput::default();
    Ok(S3Response::new(output))
}
