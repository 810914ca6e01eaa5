//! Signatures of POST forms: version 4, and version 2 where the operator allows it. What is signed is the
//! policy, as it was sent. Every client may send a signed form until its policy expires.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use juststorage_core::application::access::Access;
use juststorage_core::domain::principal::Principal;
use ring::hmac;
use s3s::{S3Error, S3Result};

use super::{look_up, sigv2_is_off};
use crate::errors::{Refusal, fail, refusal, wrong_argument};
use crate::wire::signatures::claims::{credential, is_date};
use crate::wire::signatures::mac;

/// Finds a field by its name in lower case.
pub(crate) type Field<'f> = &'f (dyn Fn(&str) -> Option<&'f str> + Sync);

/// Whether the form claims an identity: then its fields must prove it.
pub(crate) fn proves(field: Field<'_>) -> bool {
    const PROOF: [&str; 7] = [
        "policy",
        "signature",
        "awsaccesskeyid",
        "x-amz-signature",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-security-token",
    ];
    PROOF.iter().any(|name| field(name).is_some())
}

/// The signer of the form's policy. `sigv2` is whether signatures of version 2 are accepted.
pub(crate) async fn verify(access: &Access, sigv2: bool, field: Field<'_>) -> S3Result<Principal> {
    let policy = match field("policy") {
        None if !proves(field) => {
            let message = "Access Denied: a signed policy is required.";
            return Err(fail(StatusCode::FORBIDDEN, "AccessDenied", message));
        }
        policy => policy.ok_or_else(|| missing("policy"))?,
    };
    if field("x-amz-security-token").is_some() {
        return Err(refusal(Refusal::invalid_token()));
    }
    if field("x-amz-signature").is_some() || field("x-amz-algorithm").is_some() {
        return version_4(access, policy, field).await;
    }
    if field("signature").is_some() || field("awsaccesskeyid").is_some() {
        if !sigv2 {
            return Err(refusal(sigv2_is_off()));
        }
        return version_2(access, policy, field).await;
    }
    Err(missing("x-amz-signature"))
}

fn missing(field: &str) -> S3Error {
    wrong_argument(
        field,
        "",
        format!(
            "Bucket POST must contain a field named '{field}'. If it is specified, please check the order of the \
             fields: it must stand before the file."
        ),
    )
}

fn mismatch() -> S3Error {
    fail(
        StatusCode::FORBIDDEN,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your key and \
         signing method.",
    )
}

async fn version_2(access: &Access, policy: &str, field: Field<'_>) -> S3Result<Principal> {
    let access_key = field("awsaccesskeyid").ok_or_else(|| missing("AWSAccessKeyId"))?;
    let signature = field("signature").ok_or_else(|| missing("signature"))?;
    let identity = look_up(access, access_key).await?;
    let signature = STANDARD.decode(signature.trim()).map_err(|_| mismatch())?;
    let key = mac::version_2_key(&identity.secret_key);
    hmac::verify(&key, policy.as_bytes(), &signature).map_err(|_| mismatch())?;
    Ok(identity.principal)
}

async fn version_4(access: &Access, policy: &str, field: Field<'_>) -> S3Result<Principal> {
    let value = |name: &'static str| field(name).filter(|v| !v.is_empty()).ok_or_else(|| missing(name));
    let signature = value("x-amz-signature")?;
    let algorithm = value("x-amz-algorithm")?;
    if algorithm != "AWS4-HMAC-SHA256" {
        let why = "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"";
        return Err(wrong_argument("x-amz-algorithm", algorithm, why));
    }
    let date = value("x-amz-date")?;
    if !is_date(date) {
        let why = "X-Amz-Date must be formatted via ISO8601 Long format";
        return Err(wrong_argument("X-Amz-Date", date, why));
    }
    let named = value("x-amz-credential")?;
    let malformed = |why: String| wrong_argument("x-amz-credential", named, why);
    let (access_key, day, region) = credential(named).map_err(malformed)?;
    if !date.starts_with(&day) {
        return Err(malformed(format!("Invalid credential date \"{day}\": it is not that of X-Amz-Date.")));
    }
    let identity = look_up(access, &access_key).await?;
    let signature = hex::decode(signature.trim()).map_err(|_| mismatch())?;
    let key = mac::version_4_key(&identity.secret_key, &format!("{day}/{region}/s3/aws4_request"));
    hmac::verify(&key, policy.as_bytes(), &signature).map_err(|_| mismatch())?;
    Ok(identity.principal)
}
