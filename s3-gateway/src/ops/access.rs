//! ACLs, ownership and public access: what is always so, and what an owner declared of it. Rights belong to
//! keys; nothing said here changes who may do what.

use http::StatusCode;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::settings::{BucketOwnerEnforced, Declared, PublicAccess, Setting};
use s3s::dto::{
    AccessControlPolicy, DeleteBucketOwnershipControlsInput, DeleteBucketOwnershipControlsOutput,
    DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput, GetBucketAclInput, GetBucketAclOutput,
    GetBucketOwnershipControlsInput, GetBucketOwnershipControlsOutput, GetObjectAclInput, GetObjectAclOutput,
    GetPublicAccessBlockInput, GetPublicAccessBlockOutput, Grant, Grantee, Grants, ObjectOwnership, Owner,
    OwnershipControls, OwnershipControlsRule, Permission, PublicAccessBlockConfiguration, PutBucketAclInput,
    PutBucketAclOutput, PutBucketOwnershipControlsInput, PutBucketOwnershipControlsOutput, PutObjectAclInput,
    PutObjectAclOutput, PutPublicAccessBlockInput, PutPublicAccessBlockOutput, Type,
};
use s3s::{S3Request, S3Response, S3Result};

use super::buckets::{settings_of, space_of};
use super::objects::find;
use crate::acl;
use crate::api::Api;
use crate::auth::who;
use crate::dto::{address, values};
use crate::errors::{fail, malformed_xml, not_implemented, translate};
use crate::xml_body;

/// The one grant there ever is: everything, to the owner.
fn owner_grants(owner: &Owner) -> Grants {
    let grantee = Grantee {
        display_name: owner.display_name.clone(),
        email_address: None,
        id: owner.id.clone(),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    let permission = Some(Permission::from_static(Permission::FULL_CONTROL));
    vec![Grant { grantee: Some(grantee), permission }]
}

pub(crate) async fn bucket_acl(
    api: &Api,
    request: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    let space = space_of(api, &request, &request.input.bucket).await?;
    let owner = values::owner(&space.address.tenant);
    Ok(S3Response::new(GetBucketAclOutput { grants: Some(owner_grants(&owner)), owner: Some(owner) }))
}

pub(crate) async fn object_acl(
    api: &Api,
    request: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let object = find(api, &request, &reference).await?;
    let owner = values::owner(&object.address.tenant);
    let grants = Some(owner_grants(&owner));
    Ok(S3Response::new(GetObjectAclOutput { grants, owner: Some(owner), ..GetObjectAclOutput::default() }))
}

/// Whether a policy says what is so: that the owner has everything, and nobody else anything.
fn says_private(policy: &AccessControlPolicy, owner: &Tenant) -> bool {
    let is_owner = |id: Option<&String>| id.is_some_and(|id| id == owner.as_str());
    let owned = policy.owner.as_ref().is_none_or(|named| is_owner(named.id.as_ref()));
    let mut grants = policy.grants.iter().flatten().peekable();
    owned
        && grants.peek().is_some()
        && grants.all(|grant| {
            let full = grant.permission.as_ref().is_some_and(|p| p.as_str() == Permission::FULL_CONTROL);
            full && grant.grantee.as_ref().is_some_and(|grantee| is_owner(grantee.id.as_ref()))
        })
}

pub(crate) async fn put_bucket_acl(
    api: &Api,
    request: S3Request<PutBucketAclInput>,
) -> S3Result<S3Response<PutBucketAclOutput>> {
    xml_body::verify(&request.extensions, &request.headers, false)?;
    let space = space_of(api, &request, &request.input.bucket).await?;
    check_policy(
        api,
        &request,
        &request.input.bucket,
        request.input.access_control_policy.as_ref(),
        &space.address.tenant,
    )
    .await?;
    Ok(S3Response::new(PutBucketAclOutput::default()))
}

pub(crate) async fn put_object_acl(
    api: &Api,
    request: S3Request<PutObjectAclInput>,
) -> S3Result<S3Response<PutObjectAclOutput>> {
    xml_body::verify(&request.extensions, &request.headers, false)?;
    let input = &request.input;
    let reference = address::object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let tenant = find(api, &request, &reference).await?.address.tenant;
    check_policy(api, &request, &input.bucket, input.access_control_policy.as_ref(), &tenant).await?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

/// Refuses an ACL in a body that says anything else than what is so. Headers were looked at before.
async fn check_policy<T>(
    api: &Api,
    request: &S3Request<T>,
    bucket: &str,
    policy: Option<&AccessControlPolicy>,
    owner: &Tenant,
) -> S3Result<()> {
    match policy {
        None if acl::says_anything(&request.headers) => Ok(()),
        None => Err(malformed_xml("an ACL is expected, in a header or in the body")),
        Some(policy) if says_private(policy, owner) => Ok(()),
        Some(_) => Err(acl::refusal(&api.store, who(request)?, Some(bucket)).await),
    }
}

pub(crate) async fn ownership(
    api: &Api,
    request: S3Request<GetBucketOwnershipControlsInput>,
) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
    let (_, settings) = settings_of(api, &request, &request.input.bucket).await?;
    if settings.ownership == Some(Declared::Removed) {
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
    xml_body::verify(&request.extensions, &request.headers, false)?;
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
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}

pub(crate) async fn public_access(
    api: &Api,
    request: S3Request<GetPublicAccessBlockInput>,
) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
    let (_, settings) = settings_of(api, &request, &request.input.bucket).await?;
    let said = match settings.public_access {
        None => PublicAccess::BLOCKED,
        Some(Declared::Set(said)) => said,
        Some(Declared::Removed) => {
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
    xml_body::verify(&request.extensions, &request.headers, false)?;
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
    Ok(S3Response::with_status(output, StatusCode::NO_CONTENT))
}
