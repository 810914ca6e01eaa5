//! Signed URLs: their query and the target of their path.

use std::borrow::Cow;

use http::{Method, Uri};
use juststorage_core::application::access::{PresignRequest, PresignTarget, Presigned, PresignedCall};
use juststorage_core::application::error::Error;
use juststorage_core::domain::address::{Namespace, SpaceAddress, Tenant};
use juststorage_core::domain::bounds::UploadBounds;
use juststorage_core::domain::object::ObjectId;
use percent_encoding::percent_decode_str;

use super::KeyPath;

/// Expiry of the URL, in seconds since the epoch.
const EXPIRES: &str = "js-expires";
/// Its maker.
const MAKER: &str = "js-maker";
/// `namespace/tenant`, if the path has an id.
const SPACE: &str = "js-space";
/// The content type of the upload.
const CONTENT_TYPE: &str = "js-content-type";
/// Most bytes of the upload.
const SIZE_MAX: &str = "js-size-max";
/// `*`: the key must be free.
const IF_NONE_MATCH: &str = "js-if-none-match";
/// The signature.
const SIGNATURE: &str = "js-signature";

const BY_ID: &str = "/v1/objects/";

/// The content of a signed URL; `None` for a URL that is not signed. A signed URL that is invalid, or is for a call
/// that cannot be signed, is refused.
pub(super) fn of(method: &Method, uri: &Uri) -> Result<Option<(PresignRequest, Presigned)>, Error> {
    let Some(query) = uri.query().filter(|query| query.contains(SIGNATURE)) else { return Ok(None) };
    let value = |name: &str| {
        let mut values =
            query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
        // A parameter that occurs twice is ambiguous: it counts as missing.
        let value = values.next().filter(|_| values.next().is_none());
        value.and_then(|(_, value)| percent_decode_str(value).decode_utf8().ok())
    };
    let read = || {
        let signed = Presigned {
            expires: value(EXPIRES)?.parse().ok()?,
            maker: value(MAKER)?.into_owned(),
            signature: value(SIGNATURE)?.into_owned(),
        };
        let call = PresignedCall::of_method(method.as_str())?;
        let (space, target) = target(uri.path(), value(SPACE))?;
        let size_max = value(SIZE_MAX).map(|size| size.parse()).transpose().ok()?;
        let content_type = value(CONTENT_TYPE).map(Cow::into_owned);
        let if_none_match = value(IF_NONE_MATCH).is_some_and(|value| value == "*");
        let bounds = UploadBounds { content_type, size_max, if_none_match };
        Some((PresignRequest { call, space, target, bounds }, signed))
    };
    read().map(Some).ok_or(Error::Unauthenticated("the signed URL cannot be read"))
}

/// The query of a URL with the signature `signed`.
pub(crate) fn signed_query(request: &PresignRequest, signed: &Presigned) -> Vec<(&'static str, String)> {
    let mut query = vec![(EXPIRES, signed.expires.to_string()), (MAKER, signed.maker.clone())];
    if matches!(request.target, PresignTarget::Id(_)) {
        query.push((SPACE, format!("{}/{}", request.space.namespace, request.space.tenant)));
    }
    let UploadBounds { content_type, size_max, if_none_match } = &request.bounds;
    query.extend(content_type.clone().map(|content_type| (CONTENT_TYPE, content_type)));
    query.extend(size_max.map(|size| (SIZE_MAX, size.to_string())));
    query.extend(if_none_match.then(|| (IF_NONE_MATCH, "*".to_owned())));
    query.push((SIGNATURE, signed.signature.clone()));
    query
}

fn target(path: &str, space: Option<Cow<'_, str>>) -> Option<(SpaceAddress, PresignTarget)> {
    if let Ok(KeyPath { space, key }) = KeyPath::parse(path) {
        return Some((space, PresignTarget::Key(key)));
    }
    let id = ObjectId::parse(path.strip_prefix(BY_ID)?).ok()?;
    let space = space?;
    let (namespace, tenant) = space.split_once('/')?;
    let space = SpaceAddress::new(Namespace::new(namespace).ok()?, Tenant::new(tenant).ok()?);
    Some((space, PresignTarget::Id(id)))
}
