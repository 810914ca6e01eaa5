//! What owners set on buckets: CORS, lifecycle rules, tags, ownership, public access, ACLs, object lock.

use crate::server::{Client, Server, unsigned};

async fn bucket(s3: &Client, name: &str) {
    s3.put(&format!("/{name}"), b"").await.ok();
}

const RULES: &str = "<CORSConfiguration>\
    <CORSRule><AllowedOrigin>http://*.example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod>\
    <AllowedMethod>PUT</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds></CORSRule>\
    <CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>\
    </CORSConfiguration>";

#[tokio::test]
async fn browsers_are_told_what_the_rules_grant() {
    let server = Server::start().await;
    let s3 = server.root();
    bucket(&s3, "pages").await;
    assert_eq!(s3.get("/pages?cors").await.error(), (404, "NoSuchCORSConfiguration".into()));
    s3.put("/pages?cors", RULES.as_bytes()).await.ok();
    let read = s3.get("/pages?cors").await.ok();
    assert_eq!(read.all("AllowedMethod"), ["GET", "PUT", "GET"]);
    assert_eq!(read.xml("MaxAgeSeconds"), Some("600".into()));

    let preflight = async |origin: &str, method: &str, asked: &str| {
        let mut headers = vec![("Origin", origin), ("Access-Control-Request-Method", method)];
        if !asked.is_empty() {
            headers.push(("Access-Control-Request-Headers", asked));
        }
        unsigned(server.address, "OPTIONS", "/pages/k", &headers).await
    };
    let granted = preflight("http://a.example.com", "PUT", "X-Amz-Date, x-amz-meta-a").await;
    assert_eq!(granted.status, 200, "{}", granted.text());
    assert_eq!(granted.header("access-control-allow-origin"), Some("http://a.example.com"));
    assert_eq!(granted.header("access-control-allow-methods"), Some("GET, PUT"));
    assert_eq!(granted.header("access-control-allow-headers"), Some("x-amz-date, x-amz-meta-a"));
    assert_eq!(granted.header("access-control-expose-headers"), Some("ETag"));
    assert_eq!(granted.header("access-control-max-age"), Some("600"));
    assert!(granted.header("vary").unwrap().contains("Origin"));
    let open = preflight("http://other", "GET", "").await;
    assert_eq!(open.header("access-control-allow-origin"), Some("*"));
    assert_eq!(open.header("access-control-allow-credentials"), None);
    for (origin, method, asked) in
        [("http://other", "PUT", ""), ("http://a.example.com", "DELETE", ""), ("http://other", "GET", "x-y")]
    {
        let refused = preflight(origin, method, asked).await;
        assert_eq!(refused.error(), (403, "AccessForbidden".into()), "{origin} {method} {asked}");
        // minio-go compares S3's words, which are spelt so.
        assert!(
            refused.xml("Message").unwrap().contains("because the evalution of Origin, request method /")
        );
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
    assert_eq!(
        unsigned(server.address, "OPTIONS", "/pages/k", &[]).await.error(),
        (400, "BadRequest".into())
    );
    let origin = ("Origin", "http://a.example.com");
    assert_eq!(
        unsigned(server.address, "OPTIONS", "/pages", &[origin]).await.error(),
        (400, "BadRequest".into())
    );
    let method = ("Access-Control-Request-Method", "GET");
    let unknown = unsigned(server.address, "OPTIONS", "/none-such/k", &[origin, method]).await;
    assert_eq!(unknown.error(), (404, "NoSuchBucket".into()));
    for (method, asked) in [("get", ""), ("PATCH", ""), ("GET", "x-a,invalid header"), ("GET", "X(Custom)")] {
        let bad = preflight("http://other", method, asked).await;
        assert_eq!(bad.error(), (400, "BadRequest".into()), "{method} {asked}");
    }

    // The request itself: its refusal can be read too, and without an origin nothing is said.
    let denied = unsigned(server.address, "GET", "/pages/k", &[origin]).await;
    assert_eq!(denied.status, 403);
    assert_eq!(denied.header("access-control-allow-origin"), Some("http://a.example.com"));
    let signed = s3.call("GET", "/pages").unsigned_header("origin", "http://other").send().await.ok();
    assert_eq!(signed.header("access-control-allow-origin"), Some("*"));
    assert_eq!(s3.get("/pages").await.ok().header("access-control-allow-origin"), None);

    assert_eq!(s3.call("DELETE", "/pages?cors").send().await.status, 204);
    assert_eq!(preflight("http://other", "GET", "").await.error(), (403, "AccessForbidden".into()));
    for bad in [
        "<CORSConfiguration/>",
        "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>PATCH</AllowedMethod>\
         </CORSRule></CORSConfiguration>",
    ] {
        assert_eq!(s3.put("/pages?cors", bad.as_bytes()).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn lifecycle_rules_read_back_and_show_on_objects() {
    let server = Server::start().await;
    let s3 = server.root();
    bucket(&s3, "rules").await;
    let rule = |inner: &str| format!("<LifecycleConfiguration><Rule>{inner}</Rule></LifecycleConfiguration>");
    let put = async |inner: &str| s3.put("/rules?lifecycle", rule(inner).as_bytes()).await;
    let good = "<ID>one</ID><Status>Enabled</Status><Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key>\
        <Value>v</Value></Tag></And></Filter><Expiration><Days>3</Days></Expiration>\
        <Transition><Days>1</Days><StorageClass>GLACIER_IR</StorageClass></Transition>";
    put(good).await.ok();
    let read = s3.get("/rules?lifecycle").await.ok();
    for part in ["<ID>one</ID>", "<Days>3</Days>", "<Prefix>a/</Prefix>", "GLACIER_IR", "<And>"] {
        assert!(read.text().contains(part), "{part}: {}", read.text());
    }
    let tagged = s3.call("PUT", "/rules/a/1").header("x-amz-tagging", "k=v").body("x").send().await.ok();
    let expiration = tagged.header("x-amz-expiration").unwrap();
    assert!(
        expiration.starts_with("expiry-date=\"") && expiration.ends_with("00:00:00 GMT\", rule-id=\"one\"")
    );
    assert_eq!(s3.call("HEAD", "/rules/a/1").send().await.ok().header("x-amz-expiration"), Some(expiration));
    assert_eq!(s3.put("/rules/b", b"x").await.ok().header("x-amz-expiration"), None);
    for (bad, code) in [
        ("<Status>Enabled</Status><Filter/>", "InvalidRequest"),
        ("<Status>enabled</Status><Filter/><Expiration><Days>1</Days></Expiration>", "MalformedXML"),
        ("<Status>Enabled</Status><Expiration><Days>1</Days></Expiration>", "MalformedXML"),
        ("<Status>Enabled</Status><Filter/><Expiration><Days>0</Days></Expiration>", "InvalidArgument"),
        (
            "<Status>Enabled</Status><Filter/><Expiration><Date>2030-01-01T01:00:00Z</Date></Expiration>",
            "InvalidArgument",
        ),
        (
            "<Status>Enabled</Status><Filter/><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass>\
             </Transition>",
            "InvalidStorageClass",
        ),
    ] {
        assert_eq!(put(bad).await.error(), (400, code.into()), "{bad}");
    }
    assert!(s3.get("/rules?lifecycle").await.ok().text().contains("<ID>one</ID>"), "the old ones stand");
    assert_eq!(s3.call("DELETE", "/rules?lifecycle").send().await.status, 204);
    assert_eq!(s3.call("DELETE", "/rules?lifecycle").send().await.status, 204);
    assert_eq!(s3.get("/rules?lifecycle").await.error(), (404, "NoSuchLifecycleConfiguration".into()));
    assert_eq!(s3.call("HEAD", "/rules/a/1").send().await.ok().header("x-amz-expiration"), None);
}

#[tokio::test]
async fn tags_ownership_and_public_access_are_kept() {
    let server = Server::start().await;
    let s3 = server.root();
    bucket(&s3, "kept").await;
    let tags = "<Tagging><TagSet><Tag><Key>team</Key><Value>a b</Value></Tag></TagSet></Tagging>";
    let put = s3.put("/kept?tagging", tags.as_bytes()).await;
    assert_eq!((put.status, put.text().as_str()), (204, ""), "S3 answers this put alone so");
    assert_eq!(s3.get("/kept?tagging").await.ok().xml("Value"), Some("a b".into()));
    assert_eq!(s3.call("DELETE", "/kept?tagging").send().await.status, 204);
    assert_eq!(s3.get("/kept?tagging").await.error(), (404, "NoSuchTagSet".into()));

    assert_eq!(
        s3.get("/kept?ownershipControls").await.ok().xml("ObjectOwnership"),
        Some("BucketOwnerEnforced".into())
    );
    let owned = |how: &str| {
        format!(
            "<OwnershipControls><Rule><ObjectOwnership>{how}</ObjectOwnership></Rule></OwnershipControls>"
        )
    };
    s3.put("/kept?ownershipControls", owned("BucketOwnerEnforced").as_bytes()).await.ok();
    let refused = s3.put("/kept?ownershipControls", owned("ObjectWriter").as_bytes()).await;
    assert_eq!(refused.error(), (501, "NotImplemented".into()));
    assert_eq!(s3.call("DELETE", "/kept?ownershipControls").send().await.status, 204);
    let absent = s3.get("/kept?ownershipControls").await;
    assert_eq!(absent.error(), (404, "OwnershipControlsNotFoundError".into()));

    let read = s3.get("/kept?publicAccessBlock").await.ok();
    assert_eq!(read.xml("IgnorePublicAcls"), Some("true".into()));
    assert_eq!(read.xml("RestrictPublicBuckets"), Some("false".into()));
    let block = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>\
        <RestrictPublicBuckets>false</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
    let acl = async || s3.call("PUT", "/kept/k").header("x-amz-acl", "public-read").body("x").send().await;
    assert_eq!(acl().await.error(), (400, "AccessControlListNotSupported".into()));
    s3.put("/kept?publicAccessBlock", block.as_bytes()).await.ok();
    assert_eq!(acl().await.error(), (403, "AccessDenied".into()), "as the owner asked for");
    let read = s3.get("/kept?publicAccessBlock").await.ok();
    assert_eq!(read.xml("RestrictPublicBuckets"), Some("false".into()));
    assert_eq!(s3.call("DELETE", "/kept?publicAccessBlock").send().await.status, 204);
    let absent = s3.get("/kept?publicAccessBlock").await;
    assert_eq!(absent.error(), (404, "NoSuchPublicAccessBlockConfiguration".into()));
    assert_eq!(acl().await.error(), (400, "AccessControlListNotSupported".into()));
}

#[tokio::test]
async fn there_is_one_acl_and_only_that_is_accepted() {
    let server = Server::start().await;
    let s3 = server.root();
    bucket(&s3, "acls").await;
    s3.put("/acls/k", b"x").await.ok();
    for target in ["/acls?acl", "/acls/k?acl"] {
        let read = s3.get(target).await.ok();
        assert_eq!(read.xml("Permission"), Some("FULL_CONTROL".into()));
        let owner = read.xml("ID").unwrap();
        let with =
            async |name: &str, value: &str| s3.call("PUT", target).header(name, value).send().await.error();
        let unsupported = (400, "AccessControlListNotSupported".to_owned());
        for (name, value, status) in [
            ("x-amz-acl", "private".to_owned(), 200),
            ("x-amz-acl", "bucket-owner-full-control".to_owned(), 200),
            ("x-amz-grant-full-control", format!("id=\"{owner}\""), 200),
            ("x-amz-acl", "public-read".to_owned(), 400),
            ("x-amz-grant-read", format!("id=\"{owner}\""), 400),
            ("x-amz-grant-full-control", "id=\"other\"".to_owned(), 400),
        ] {
            let answer = with(name, &value).await;
            assert_eq!(answer.0, status, "{name}: {value}");
            assert!(status == 200 || answer == unsupported);
        }
        let policy = |id: &str, permission: &str| {
            format!(
                "<AccessControlPolicy><Owner><ID>{owner}</ID></Owner><AccessControlList><Grant>\
                 <Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">\
                 <ID>{id}</ID></Grantee><Permission>{permission}</Permission></Grant></AccessControlList>\
                 </AccessControlPolicy>"
            )
        };
        s3.put(target, policy(&owner, "FULL_CONTROL").as_bytes()).await.ok();
        assert_eq!(s3.put(target, policy("other", "READ").as_bytes()).await.error(), unsupported);
        let anonymous = format!(
            "<AccessControlPolicy><Owner><ID>{owner}</ID></Owner><AccessControlList/></AccessControlPolicy>"
        );
        assert_eq!(
            s3.put(target, anonymous.as_bytes()).await.error(),
            unsupported,
            "the owner's grant stays"
        );
        assert_eq!(s3.put(target, b"").await.status, 400);
    }
}

#[tokio::test]
async fn locked_versions_stay_whoever_asks() {
    let server = Server::start().await;
    let s3 = server.root();
    s3.call("PUT", "/locked").header("x-amz-bucket-object-lock-enabled", "true").send().await.ok();
    assert_eq!(s3.get("/locked?versioning").await.ok().xml("Status"), Some("Enabled".into()));
    let suspend = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
    let refused = s3.put("/locked?versioning", suspend.as_bytes()).await;
    assert_eq!(refused.error(), (409, "InvalidBucketState".into()));
    let default = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>\
        <DefaultRetention><Mode>GOVERNANCE</Mode><Years>1</Years></DefaultRetention></Rule>\
        </ObjectLockConfiguration>";
    s3.put("/locked?object-lock", default.as_bytes()).await.ok();
    let empty = s3.put("/locked?object-lock", b"").await;
    assert_eq!(empty.error(), (400, "MissingRequestBodyError".into()));
    assert_eq!(s3.get("/locked?object-lock").await.ok().xml("Years"), Some("1".into()));

    let put = s3.put("/locked/k", b"kept").await.ok();
    let version = put.header("x-amz-version-id").unwrap().to_owned();
    let target = format!("/locked/k?versionId={version}");
    let head = s3.call("HEAD", "/locked/k").send().await.ok();
    assert_eq!(head.header("x-amz-object-lock-mode"), Some("GOVERNANCE"));
    assert!(head.header("x-amz-object-lock-retain-until-date").unwrap().ends_with('Z'));
    assert_eq!(s3.get("/locked/k?legal-hold").await.error(), (404, "NoSuchObjectLockConfiguration".into()));

    let denied = (403, "AccessDenied".to_owned());
    assert_eq!(s3.call("DELETE", &*target).send().await.error(), denied);
    // A body that got lost takes no retention away.
    for document in ["retention", "legal-hold"] {
        let empty = s3.call("PUT", format!("/locked/k?{document}"));
        let empty = empty.header("x-amz-bypass-governance-retention", "true").send().await;
        assert_eq!(empty.error(), (400, "MalformedXML".into()), "{document}");
    }
    assert!(s3.get("/locked/k?retention").await.ok().xml("RetainUntilDate").is_some());
    // Bypassing takes the right to administer.
    let ordinary = server.tenant("default", "read,write,delete").await;
    let bypass = async |client: &Client| {
        let call = client.call("DELETE", &*target).header("x-amz-bypass-governance-retention", "true");
        call.send().await.error()
    };
    assert_eq!(bypass(&ordinary).await, denied);
    let hold = |status: &str| format!("<LegalHold><Status>{status}</Status></LegalHold>");
    s3.put("/locked/k?legal-hold", hold("ON").as_bytes()).await.ok();
    assert_eq!(bypass(&s3).await, denied, "a legal hold has no bypass");
    s3.put("/locked/k?legal-hold", hold("OFF").as_bytes()).await.ok();
    assert_eq!(s3.get("/locked/k?legal-hold").await.ok().xml("Status"), Some("OFF".into()));

    // A delete without version hides it; the version stays and reads.
    s3.call("DELETE", "/locked/k").send().await.ok();
    assert_eq!(s3.get(&target).await.ok().text(), "kept");
    assert_eq!(bypass(&s3).await.0, 204);
    assert_eq!(s3.get(&target).await.status, 404);

    // Compliance is for good, through either header or request.
    let until = "2099-01-01T00:00:00.000Z";
    let put = s3
        .call("PUT", "/locked/c")
        .header("x-amz-object-lock-mode", "COMPLIANCE")
        .header("x-amz-object-lock-retain-until-date", until)
        .body("x")
        .send()
        .await
        .ok();
    let version = put.header("x-amz-version-id").unwrap().to_owned();
    assert_eq!(s3.get("/locked/c?retention").await.ok().xml("RetainUntilDate"), Some(until.into()));
    let shorter = "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2098-01-01T00:00:00Z</RetainUntilDate>\
        </Retention>";
    let shortened = s3
        .call("PUT", "/locked/c?retention")
        .header("x-amz-bypass-governance-retention", "true")
        .body(shorter)
        .send()
        .await;
    assert_eq!(shortened.error(), denied);
    let delete = s3
        .call("DELETE", format!("/locked/c?versionId={version}"))
        .header("x-amz-bypass-governance-retention", "true")
        .send()
        .await;
    assert_eq!(delete.error(), denied);
    let past = "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2001-01-01T00:00:00Z</RetainUntilDate>\
        </Retention>";
    assert_eq!(s3.put("/locked/c?retention", past.as_bytes()).await.error(), (400, "InvalidArgument".into()));
}

#[tokio::test]
async fn settings_take_the_right_to_administer() {
    let server = Server::start().await;
    let admin = server.tenant("acme", "read,write,delete,admin").await;
    let ordinary = server.tenant("acme", "read,write,delete").await;
    let stranger = server.tenant("evil", "read,write,delete,admin").await;
    bucket(&ordinary, "owned").await;
    let tags = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>";
    assert_eq!(ordinary.put("/owned?tagging", tags.as_bytes()).await.error(), (403, "AccessDenied".into()));
    assert_eq!(stranger.put("/owned?tagging", tags.as_bytes()).await.error(), (403, "AccessDenied".into()));
    admin.put("/owned?tagging", tags.as_bytes()).await.ok();
    assert_eq!(ordinary.get("/owned?tagging").await.ok().xml("Key"), Some("k".into()));
}
