//! A client that progenitor generated of openapi.json moves bytes through the server at NATIVE_URL.

use futures_util::TryStreamExt as _;
use reqwest::header::{HeaderMap, HeaderValue};

progenitor::generate_api!(spec = "openapi.json", interface = Builder, tags = Merged);

const SPACE: &str = "generated-rust";
const TENANT: &str = "default";
const KEY: &str = "docs/ä b%2F?.bin";

fn client(token: &str, owner: Option<&'static str>) -> Client {
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", HeaderValue::try_from(token).unwrap());
    if let Some(owner) = owner {
        headers.insert("x-meta-owner", HeaderValue::from_static(owner));
    }
    let http = reqwest::Client::builder().no_proxy().default_headers(headers).build().unwrap();
    Client::new_with_client(&std::env::var("NATIVE_URL").unwrap(), http)
}

async fn bytes_of(answer: ResponseValue<ByteStream>) -> Vec<u8> {
    let pieces: Vec<_> = answer.into_inner().into_inner().try_collect().await.unwrap();
    pieces.concat()
}

/// The answer is a problem of the generated type.
async fn refused<T>(answer: Result<ResponseValue<T>, Error<ByteStream>>, status: u16, code: &str) {
    let Err(Error::ErrorResponse(refusal)) = answer else { panic!("not refused") };
    assert_eq!(refusal.status().as_u16(), status);
    let problem: types::Problem = serde_json::from_slice(&bytes_of(refusal).await).unwrap();
    assert_eq!((problem.code.as_str(), problem.status), (code, i32::from(status)));
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let content: Vec<u8> = (0..1_u32 << 20).map(|at| (at % 251) as u8).collect();
    let token = std::env::var("TOKEN").unwrap();
    let api = client(&token, None);
    let put = |by: &'static Client, bytes: Vec<u8>| by.put_object_by_key().namespace(SPACE).tenant(TENANT).key(KEY).body(bytes);
    let [plain, owned]: [&'static Client; 2] =
        [Box::leak(Box::new(client(&token, None))), Box::leak(Box::new(client(&token, Some("me"))))];
    let get = || api.get_object_by_key().namespace(SPACE).tenant(TENANT).key(KEY);

    let made = put(owned, content.clone()).if_none_match("*").send().await.unwrap().into_inner();
    assert_eq!((made.size_bytes, made.metadata["owner"].as_str()), (content.len() as i64, "me"));

    let list = api.list_objects().namespace(SPACE).tenant(TENANT).prefix("docs/").limit(10_u32);
    let listed = list.send().await.unwrap().into_inner();
    let [only] = listed.objects.as_slice() else { panic!("{listed:?}") };
    assert_eq!((only.key.as_ref().unwrap().as_str(), &only.etag), (KEY, &made.etag));

    assert_eq!(bytes_of(get().send().await.unwrap()).await, content);
    let part = get().range("bytes=250-260").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(bytes_of(part).await, content[250..261]);
    let by_id = api.get_object().id(made.id).x_tenant(TENANT).send().await.unwrap();
    assert_eq!(bytes_of(by_id).await, content);

    let metadata = [("owner".to_owned(), None), ("team".to_owned(), Some("search".to_owned()))];
    let change = types::PatchBody::builder().metadata(Some(metadata.into_iter().collect()));
    let patched = api.patch_object().id(made.id).x_tenant(TENANT).body(change).send().await.unwrap().into_inner();
    assert_eq!(patched.metadata.into_iter().collect::<Vec<_>>(), [("team".to_owned(), "search".to_owned())]);

    refused(put(plain, b"late".to_vec()).if_none_match("*").send().await, 412, "precondition_failed").await;
    let replaced = put(plain, b"new".to_vec()).if_match(made.etag.clone()).send().await.unwrap();
    assert_eq!(replaced.size_bytes, 3);
    refused(put(plain, b"older".to_vec()).if_match(made.etag).send().await, 412, "precondition_failed").await;

    let key: types::CreateUploadBodyKey = "parts.bin".parse().unwrap();
    let tenant: types::CreateUploadBodyTenant = TENANT.parse().unwrap();
    let wanted = types::CreateUploadBody::builder().namespace(SPACE).tenant(Some(tenant)).key(Some(key));
    let upload = api.create_upload().body(wanted).send().await.unwrap().into_inner();
    let part = api.put_part().id(upload.id).number(1_u32).x_tenant(TENANT).body(content.clone());
    let sent = part.send().await.unwrap().into_inner();
    let claim = types::PartClaimBody { part_number: std::num::NonZeroU64::MIN, etag: Some(sent.etag) };
    let parts = types::CompleteBody::builder().parts(Some(vec![claim]));
    let whole = api.complete_upload().id(upload.id).x_tenant(TENANT).body(parts).send().await.unwrap();
    assert_eq!(whole.size_bytes, content.len() as i64);

    let delete = api.delete_object_by_key().namespace(SPACE).tenant(TENANT).key(KEY);
    assert_eq!(delete.send().await.unwrap().status(), 204);
    refused(get().send().await, 404, "object_not_found").await;
    let stranger = client("nothing", None);
    refused(stranger.list_objects().namespace(SPACE).tenant(TENANT).send().await, 401, "unauthenticated").await;
    assert_eq!(api.admin_whoami().send().await.unwrap().tenant.as_str(), TENANT);
    println!("rust: bytes went both ways");
}
