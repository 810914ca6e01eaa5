//! The OpenAPI document: generated from the handlers, completed with the parts that many of them share.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Components, Object, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Header, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response, SecurityRequirement,
};
use utoipa::{IntoResponses, ToResponse as _, ToSchema as _};

use crate::problem::ProblemBody;
use crate::render::ObjectBody;

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

/// The document without calls.
pub(crate) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("JustStorage native API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Objects addressed by id or by namespace, tenant and key. Errors are RFC 9457 problem details \
             with a stable `code`.",
        ))
        .build();
    OpenApiBuilder::new().info(info).build()
}

/// Adds the parts that many calls share: the problem's response, credentials, the headers of reads and of created
/// objects, and the path parameters of calls by key.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    let bearer = Http::new(HttpAuthScheme::Bearer);
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer).into());
    let api_key = ApiKey::Header(ApiKeyValue::new("X-Api-Key"));
    components.security_schemes.insert("api_key".to_owned(), SecurityScheme::ApiKey(api_key).into());
    let (name, response) = ProblemBody::response();
    components.responses.insert(name.to_owned(), response);
    let mut schemas = Vec::new();
    <ProblemBody as utoipa::ToSchema>::schemas(&mut schemas);
    schemas.push((name.to_owned(), <ProblemBody as utoipa::PartialSchema>::schema()));
    components.schemas.extend(schemas);

    let paths = &mut document.paths.paths;
    if let Some(item) = paths.remove(BY_KEY.0) {
        paths.insert(BY_KEY.1.to_owned(), item);
    }
    for (path, item) in paths.iter_mut() {
        let by_id = path.contains("{id}");
        let by_key = path == BY_KEY.1;
        let reads = by_key || path == "/v1/objects/{id}";
        let protected = path.starts_with("/v1/") && path != "/v1/openapi.json";
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
            if protected {
                protect(operation);
            }
            if path == "/metrics" {
                protect(operation);
                // What comes is text, and no part of it is asked for.
                operation.responses.responses.remove("400");
            }
        }
    }
    document
}

/// The answers of every call under `/v1`, and its credentials: either kind, or none if authentication is disabled.
fn protect(operation: &mut Operation) {
    for status in ["400", "401", "403", "429", "500", "503"] {
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
        ("X-Meta-*", "User metadata: one header for each name"),
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
