//! The OpenAPI document: generated from the handlers, completed with the parts that many of them share.
//!
//! - `schemas` gives every name that means the same everywhere (namespace, tenant, key) its rule, and takes out what no
//!   client can be generated from.
//! - `older` writes the same document as OpenAPI 3.0.3, for tools that do not read 3.1.
//!
//! `native-api/tests/api/document.rs` holds every call to the rules that generators need.

use std::collections::BTreeMap;

use serde_json::Value;

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Components, KnownFormat, Object, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Header, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response,
    SecurityRequirement, ServerBuilder,
};
use utoipa::{IntoResponses, PartialSchema, ToResponse as _, ToSchema};

use crate::problem::{CODES, ProblemBody};
use crate::render::ObjectBody;

mod older;
mod schemas;

/// Where the documents are served: 3.1, and the same as 3.0.3.
pub(crate) const PATHS: [&str; 2] = ["/v1/openapi.json", "/v1/openapi-3.0.json"];

/// An object's bytes, or a part's: `body = inline(Bytes)`. With `Vec<u8>` the document would ask for an array of numbers.
pub(crate) enum Bytes {}

impl PartialSchema for Bytes {
    fn schema() -> RefOr<Schema> {
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new().schema_type(Type::String).format(Some(binary)).into()
    }
}

impl ToSchema for Bytes {}

/// The path of the calls by key, as the router has it and as clients see it.
const BY_KEY: (&str, &str) =
    ("/v1/objects/by-key/{*address}", "/v1/objects/by-key/{namespace}/{tenant}/{key}");

/// Calls that name an id take the tenant from this header if no credentials are required.
const X_TENANT: &str = "The tenant, where it follows from neither credentials nor path: required for calls \
                        by id while authentication is disabled. An object of another tenant does not exist";

/// Refusals of some calls, in addition to those of every call; each is named in the list of a call's responses.
macro_rules! refusals {
    ($($(#[$says:meta])* $name:ident: $($status:literal),+;)+) => {
        $(
            $(#[$says])*
            pub(crate) enum $name {}

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    [$($status),+].map(|status: &str| (status.to_owned(), problem())).into()
                }
            }
        )+
    };
}

refusals! {
    /// It names something that may be missing.
    Names: "404";
    /// It writes where something may exist: with conditions, and concurrently with others.
    Replaces: "404", "409", "412";
    /// It finds something in the way.
    Conflicts: "409";
    /// It stores bytes.
    TakesBytes: "413", "507";
    /// Its body is JSON.
    TakesJson: "413", "415";
}

/// The document's text about the whole API.
const ABOUT: &str = "\
Objects addressed by id or by namespace, tenant and key, and administration of the store.

**User metadata** travels in headers: `X-Meta-<name>: <value>`, one for each name, on writes and reads. Names are
lower-cased; names and values together have at most 2048 bytes. OpenAPI has no word for a family of headers, so no
operation lists them: send them as additional headers. In JSON they are the member `metadata`.

**Errors** are RFC 9457 problem details with a stable `code`. Every call may also answer 408, 421 and 431, which are
about the connection and not about the call; they have the same form.

**Signed URLs** of `POST /v1/presign` need no credentials: use them as they are.";

/// The document without calls.
pub(crate) fn base() -> OpenApi {
    let license = LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).identifier(Some("MIT")).build();
    let info = InfoBuilder::new()
        .title("JustStorage native API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build();
    let here = ServerBuilder::new().url("/").description(Some("The server that has this document")).build();
    OpenApiBuilder::new().info(info).servers(Some([here])).build()
}

/// The documents of every call: OpenAPI 3.1, and the same as 3.0.3.
pub(crate) fn documents(calls: OpenApi) -> [Value; 2] {
    // A tree of text and numbers always serialises.
    let mut document = serde_json::to_value(complete(calls)).unwrap_or_default();
    schemas::settle(&mut document);
    if let Some(Value::Object(code)) = document.pointer_mut("/components/schemas/Problem/properties/code") {
        // Not `enum`: a client that knows no other codes would fail at the first new one.
        code.insert("x-extensible-enum".to_owned(), CODES.into());
    }
    let older = older::of(document.clone());
    [document, older]
}

/// Adds the parts that many calls share: the problem's response, credentials, the headers of reads and of created
/// objects, and the path parameters of calls by key.
fn complete(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    let bearer = Http::new(HttpAuthScheme::Bearer);
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer).into());
    let api_key = ApiKey::Header(ApiKeyValue::new("X-Api-Key"));
    components.security_schemes.insert("api_key".to_owned(), SecurityScheme::ApiKey(api_key).into());
    let (name, response) = ProblemBody::response();
    components.responses.insert(name.to_owned(), response);
    components.schemas.insert(name.to_owned(), ProblemBody::schema());

    let paths = &mut document.paths.paths;
    if let Some(item) = paths.remove(BY_KEY.0) {
        paths.insert(BY_KEY.1.to_owned(), item);
    }
    for (path, item) in paths.iter_mut() {
        let by_id = path.contains("{id}");
        let by_key = path == BY_KEY.1;
        let reads = by_key || path == "/v1/objects/{id}";
        let protected = path.starts_with("/v1/") && !PATHS.contains(&path.as_str());
        for operation in [&mut item.get, &mut item.head].into_iter().flatten().filter(|_| reads) {
            read(operation);
        }
        let all =
            [&mut item.get, &mut item.head, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in all.into_iter().flatten() {
            if by_key {
                add(operation, &path_parameters());
            }
            if by_id {
                add(operation, &[header_parameter("X-Tenant", X_TENANT)]);
            }
            locate(operation);
            operation.security = Some(Vec::new());
            if operation.request_body.is_some() {
                refuse(operation, "408");
            }
            if protected {
                protect(operation);
            }
            if path == "/metrics" {
                protect(operation);
                // The answer is text, and no part of it can be asked for.
                for status in ["400", "404"] {
                    operation.responses.responses.remove(status);
                }
            }
        }
    }
    document
}

/// The answers of every call under `/v1`, and its credentials: either kind, or none if authentication is disabled.
fn protect(operation: &mut Operation) {
    // 404 is also the answer about a tenant or a namespace that the credentials do not cover.
    for status in ["400", "401", "403", "404", "429", "500", "503"] {
        refuse(operation, status);
    }
    operation.security = Some(vec![
        SecurityRequirement::new("bearer", Vec::<String>::new()),
        SecurityRequirement::new("api_key", Vec::<String>::new()),
        SecurityRequirement::default(),
    ]);
}

/// Parameters and answers of reads.
fn read(operation: &mut Operation) {
    let parameters: Vec<_> = [
        (
            "Range",
            "`bytes=first-last`, `bytes=first-` or `bytes=-length`: a single range; anything else is ignored",
        ),
        ("If-Range", "The range counts only if this is the current tag"),
        ("If-Match", "Read only if the object has one of these tags"),
        ("If-None-Match", "Read only if the object has none of these tags; otherwise 304"),
        ("If-Modified-Since", "Read only if it was written after this time; otherwise 304"),
        ("If-Unmodified-Since", "Read only if it was not written after this time"),
    ]
    .into_iter()
    .map(|(name, description)| header_parameter(name, description))
    .collect();
    add(operation, &parameters);
    for status in ["412", "416"] {
        refuse(operation, status);
    }
    let headers = [
        ("ETag", "The entity tag"),
        ("Last-Modified", "When it was written"),
        ("Accept-Ranges", "`bytes`"),
        ("X-Object-Id", "The object's id"),
        ("X-Content-Hash", "`sha256:` and the hash of the whole object"),
        ("X-Storage-Class", "`hot` or `cold`"),
    ];
    let responses = &mut operation.responses.responses;
    if let Some(RefOr::T(whole)) = responses.get_mut("200") {
        whole.headers.extend(headers.map(|(name, text)| (name.to_owned(), header(text).into())));
        let mut partial = whole.clone();
        "The requested range".clone_into(&mut partial.description);
        let range = header("`bytes first-last/size`");
        partial.headers.insert("Content-Range".to_owned(), range.into());
        responses.insert("206".to_owned(), RefOr::T(partial));
    }
    let current = Response::new("The client's copy is current");
    responses.insert("304".to_owned(), RefOr::T(current));
}

fn refuse(operation: &mut Operation, status: &str) {
    operation.responses.responses.entry(status.to_owned()).or_insert_with(problem);
}

fn problem() -> RefOr<Response> {
    RefOr::Ref(Ref::from_response_name(ProblemBody::response().0))
}

/// The headers of a created object: its location and tag.
fn locate(operation: &mut Operation) {
    let object = RefOr::Ref(Ref::from_schema_name(ObjectBody::name()));
    if let Some(RefOr::T(made)) = operation.responses.responses.get_mut("201")
        && made
            .content
            .values()
            .any(|content| matches!(content, RefOr::T(content) if content.schema.as_ref() == Some(&object)))
    {
        let headers = [("Location", "Its path by id"), ("ETag", "Its entity tag")];
        made.headers.extend(headers.map(|(name, text)| (name.to_owned(), header(text).into())));
    }
}

fn add(operation: &mut Operation, parameters: &[Parameter]) {
    let known = operation.parameters.get_or_insert_default();
    for parameter in parameters {
        let named =
            |other: &RefOr<Parameter>| matches!(other, RefOr::T(other) if other.name == parameter.name);
        if !known.iter().any(named) {
            known.push(RefOr::T(parameter.clone()));
        }
    }
}

fn path_parameters() -> [Parameter; 3] {
    [
        ("namespace", "The service or collection"),
        ("tenant", "The tenant"),
        ("key", "The key, percent-encoded; `/` may stay as it is"),
    ]
    .map(|(name, description)| parameter(name, description, ParameterIn::Path, Required::True))
}

fn header_parameter(name: &str, description: &str) -> Parameter {
    parameter(name, description, ParameterIn::Header, Required::False)
}

fn parameter(name: &str, description: &str, place: ParameterIn, required: Required) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description))
        .schema(Some(Object::with_type(Type::String)))
        .build()
}

fn header(description: &str) -> Header {
    let mut header = Header::new(Object::with_type(Type::String));
    header.description = Some(description.to_owned());
    header
}
