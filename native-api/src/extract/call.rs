//! The parts of a request's head that every call needs.

use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, Query, RawPathParams, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri};
use juststorage_core::application::metrics::NamespaceLabel;
use juststorage_core::domain::address::{Namespace, Tenant};
use juststorage_core::domain::context::Origin;
use juststorage_core::domain::invalid::Invalid;
use juststorage_core::domain::multipart::{PartNumber, UploadId};
use juststorage_core::domain::object::ObjectId;
use serde::de::DeserializeOwned;

use crate::problem::{Failure, Problem};

/// A request's head, and a slot in which a handler stores the namespace of the request.
pub(crate) struct Call {
    /// Its method.
    pub(crate) method: Method,
    /// Its path and query.
    pub(crate) uri: Uri,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Where it comes from.
    pub(crate) origin: Origin,
    label: LabelSlot,
}

/// Filled by the handler, read by [`label_namespace`].
#[derive(Clone, Default)]
struct LabelSlot(Arc<OnceLock<Arc<str>>>);

impl Call {
    /// Stores the namespace of the request.
    pub(crate) fn about(&self, namespace: &Namespace) {
        // A request is about one namespace: the first that is named.
        let _ = self.label.0.set(namespace.as_str().into());
    }

    /// A header that may be sent once, as UTF-8.
    pub(crate) fn header(&self, name: &'static str) -> Result<Option<&str>, Invalid> {
        header(&self.headers, name)
    }

    /// A header that must be sent.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, Failure> {
        self.header(name)?.ok_or_else(|| Problem::missing_header(name, "").into())
    }

    /// The tenant in `X-Tenant`.
    pub(crate) fn tenant(&self) -> Result<Option<Tenant>, Invalid> {
        self.header("X-Tenant")?.map(Tenant::new).transpose()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let label = parts.extensions.get::<LabelSlot>().cloned().unwrap_or_default();
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let origin = parts.extensions.get().copied().unwrap_or_default();
        Ok(Self { method, uri, headers: parts.headers.clone(), origin, label })
    }
}

/// The header `name` as UTF-8; refused if it is sent twice or is not UTF-8.
pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h str>, Invalid> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Invalid::new(name, "must be sent once"));
    }
    std::str::from_utf8(value.as_bytes()).map(Some).map_err(|_| Invalid::new(name, "must be UTF-8"))
}

/// Adds the namespace that the handler stored to the response's extensions, if the answer shows that it exists. So
/// the values of the label are bounded by existing namespaces, not by requests.
pub(crate) async fn label_namespace(mut request: Request, next: Next) -> Response {
    let slot = LabelSlot::default();
    request.extensions_mut().insert(slot.clone());
    let mut response = next.run(request).await;
    let status = response.status();
    let known = status.is_success()
        || matches!(
            status,
            StatusCode::NOT_MODIFIED | StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE
        );
    if let Some(namespace) = slot.0.get().filter(|_| known) {
        response.extensions_mut().insert(NamespaceLabel(namespace.clone()));
    }
    response
}

/// The query, read into `T`.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => {
                Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_query", error.body_text()).into())
            }
        }
    }
}

/// An object's id in the path.
pub(crate) struct IdPath(pub(crate) ObjectId);

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        Ok(Self(ObjectId::parse(&segment(parts, state, "id").await?)?))
    }
}

/// An upload's id in the path.
pub(crate) struct UploadPath(pub(crate) UploadId);

impl<S: Send + Sync> FromRequestParts<S> for UploadPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let id = UploadId::parse(&segment(parts, state, "id").await?);
        Ok(Self(id.ok_or_else(|| Invalid::new("id", "must be a UUID"))?))
    }
}

/// A part's number in the path.
pub(crate) struct PartPath(pub(crate) PartNumber);

impl<S: Send + Sync> FromRequestParts<S> for PartPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        // A value that is no number is refused by the same rule as a number out of bounds.
        let number = segment(parts, state, "number").await?.parse().unwrap_or_default();
        Ok(Self(PartNumber::new(number)?))
    }
}

/// Everything that the path names, by the names of the route.
pub(crate) struct PathNames(Vec<(String, String)>);

impl PathNames {
    /// The value at `name`.
    pub(crate) fn get(&self, name: &'static str) -> Result<&str, Invalid> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| Invalid::new(name, "must be given"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathNames {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let captured = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Invalid::new("path", "must be percent-encoded UTF-8"))?;
        Ok(Self(captured.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}

async fn segment<S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &'static str,
) -> Result<String, Failure> {
    let unreadable = || Invalid::new(name, "must be percent-encoded UTF-8");
    let captured = RawPathParams::from_request_parts(parts, state).await.map_err(|_| unreadable())?;
    let found = captured.iter().find(|(captured, _)| *captured == name);
    Ok(found.map(|(_, value)| value.to_owned()).ok_or_else(unreadable)?)
}
