//! Storage classes: by which name an object was asked for, it is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use juststorage_core::application::objects::ObjectRef;
use juststorage_core::application::ports::metadata::SpaceRef;
use juststorage_core::domain::action::Action;
use juststorage_core::domain::address::{BucketName, Key, Tenant};
use juststorage_core::domain::principal::Principal;
use juststorage_core::domain::storage_class::StorageClass;

use crate::server::Server;

/// mint's awscli and minio-go ask for it, and AWS takes it still.
#[tokio::test]
async fn a_class_is_read_back_by_the_name_it_was_asked_for() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/classes", b"").await.ok();
    for class in ["REDUCED_REDUNDANCY", "GLACIER_IR", "STANDARD_IA", "STANDARD"] {
        let put = s3.call("PUT", "/classes/k").header("x-amz-storage-class", class).body("x");
        put.send().await.ok();
        let shown = (class != "STANDARD").then_some(class);
        for method in ["GET", "HEAD"] {
            let read = s3.call(method, "/classes/k").send().await.ok();
            assert_eq!(read.header("x-amz-storage-class"), shown, "{method} {class}");
        }
        for query in ["", "?list-type=2", "?versions"] {
            let listed = s3.get(&format!("/classes{query}")).await.ok();
            assert_eq!(listed.all("StorageClass"), [class], "{query}");
        }
        let attributes = s3.call("GET", "/classes/k?attributes");
        let attributes = attributes.header("x-amz-object-attributes", "StorageClass").send().await.ok();
        assert_eq!(attributes.xml("StorageClass").as_deref(), Some(class));
        // What changes something else leaves it.
        let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
        s3.put("/classes/k?tagging", tags.as_bytes()).await.ok();
        assert_eq!(s3.get("/classes").await.ok().all("StorageClass"), [class]);
        // A copy has the class that it asks for, and not its source's.
        for (asked, copied) in [(None, "STANDARD"), (Some("REDUCED_REDUNDANCY"), "REDUCED_REDUNDANCY")] {
            let copy = s3.call("PUT", "/classes/copy").header("x-amz-copy-source", "/classes/k");
            let copy = match asked {
                Some(class) => copy.header("x-amz-storage-class", class),
                None => copy,
            };
            copy.send().await.ok();
            let listed = s3.get("/classes?prefix=copy").await.ok();
            assert_eq!(listed.all("StorageClass"), [copied], "a copy of {class}");
        }
        s3.call("DELETE", "/classes/copy").send().await.ok();

        let upload = s3.call("POST", "/classes/k?uploads").header("x-amz-storage-class", class);
        let id = upload.send().await.ok().xml("UploadId").unwrap();
        assert_eq!(s3.get("/classes?uploads").await.ok().all("StorageClass"), [class]);
        let target = format!("/classes/k?uploadId={id}");
        assert_eq!(s3.get(&target).await.ok().xml("StorageClass").as_deref(), Some(class));
        let part = s3.put(&format!("{target}&partNumber=1"), b"part").await.ok();
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part></CompleteMultipartUpload>",
            part.header("etag").unwrap()
        );
        s3.call("POST", target).body(list).send().await.ok();
        let head = s3.call("HEAD", "/classes/k").send().await.ok();
        assert_eq!(head.header("x-amz-storage-class"), shown, "of an upload");
    }
    let onto_itself = s3
        .call("PUT", "/classes/k")
        .header("x-amz-copy-source", "/classes/k")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY");
    onto_itself.send().await.ok();
    assert_eq!(s3.get("/classes").await.ok().all("StorageClass"), ["REDUCED_REDUNDANCY"]);
    for class in ["GLACIER", "DEEP_ARCHIVE", "ONEZONE_IA", "INTELLIGENT_TIERING", "OUTPOSTS", "SNOW", "x"] {
        let put = s3.call("PUT", "/classes/k").header("x-amz-storage-class", class).body("x").send().await;
        assert_eq!(put.error(), (400, "InvalidStorageClass".into()), "{class}");
        assert_eq!(put.xml("StorageClassRequested").as_deref(), Some(class));
    }
}

/// What is stored with less redundancy on S3 is hot here: no byte lies anywhere else.
#[tokio::test]
async fn reduced_redundancy_is_hot() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.put("/hot", b"").await.ok();
    let put = s3.call("PUT", "/hot/k").header("x-amz-storage-class", "REDUCED_REDUNDANCY").body("x");
    put.send().await.ok();
    let url = s3.presign("PUT", "/hot/presigned?x-amz-storage-class=REDUCED_REDUNDANCY");
    s3.call("PUT", url).body("y").send().await.ok();
    assert_eq!(s3.get("/hot").await.ok().all("StorageClass"), ["REDUCED_REDUNDANCY"; 2]);
    let rules = "<LifecycleConfiguration><Rule><ID>a</ID><Filter/><Status>Enabled</Status><Transition><Days>1</Days>\
         <StorageClass>REDUCED_REDUNDANCY</StorageClass></Transition></Rule></LifecycleConfiguration>";
    let md5 = STANDARD.encode(<md5::Md5 as md5::Digest>::digest(rules.as_bytes()));
    let moved = s3.call("PUT", "/hot?lifecycle").header("content-md5", &md5).body(rules).send().await;
    assert_eq!(moved.error(), (400, "InvalidStorageClass".into()), "nothing moves to it, as on S3");
    let who = Principal::unrestricted("test", Tenant::new("default").unwrap());
    let place = SpaceRef::Bucket(BucketName::new("hot").unwrap());
    for key in ["k", "presigned"] {
        let object = ObjectRef::Key { place: place.clone(), key: Key::new(key).unwrap(), version: None };
        assert_eq!(
            server.store.object(&who, Action::GetObject, &object).await.unwrap().class,
            StorageClass::Hot,
            "{key}"
        );
    }
}
