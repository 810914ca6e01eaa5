use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::server::{Answer, Client, Options, Server, raw};

fn sign(client: &Client, text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(client.secret_key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

async fn signed(client: &Client, method: &str, path: &str, at: SystemTime, amz: &str) -> Answer {
    signed_over(client, method, path, path, at, amz).await
}

/// A request for `path` whose signature is over `resource`.
async fn signed_over(
    client: &Client,
    method: &str,
    path: &str,
    resource: &str,
    at: SystemTime,
    amz: &str,
) -> Answer {
    let date = httpdate::fmt_http_date(at);
    let amz_line = if amz.is_empty() { String::new() } else { format!("{amz}\n") };
    let signature = sign(client, &format!("{method}\n\n\n{date}\n{amz_line}{resource}"));
    let amz = if amz.is_empty() { String::new() } else { format!("{amz}\r\n") };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ndate: {date}\r\n{amz}content-length: 0\r\n\
         authorization: AWS {}:{signature}\r\n\r\n",
        client.access_key
    );
    raw(client.address, request.as_bytes(), false).await
}

#[tokio::test]
async fn headers_and_urls_of_version_2_are_verified() {
    let server = Server::start_with(Options { sigv2: true, ..Options::default() }).await;
    let s3 = server.root();
    let now = SystemTime::now();
    signed(&s3, "PUT", "/aged", now, "").await.ok();
    signed(&s3, "PUT", "/aged/k", now, "x-amz-meta-a:1").await.ok();
    assert_eq!(signed(&s3, "GET", "/aged/k", now, "").await.ok().header("x-amz-meta-a"), Some("1"));
    // botocore signs the path of a bucket with a slash behind it, and sends it without.
    signed_over(&s3, "PUT", "/slashed", "/slashed/", now, "x-amz-acl:private").await.ok();
    signed_over(&s3, "GET", "/slashed?versioning", "/slashed/?versioning", now, "").await.ok();
    let other = signed_over(&s3, "GET", "/slashed", "/aged/", now, "").await;
    assert_eq!(other.error(), (403, "SignatureDoesNotMatch".into()));
    let wrong = Client { secret_key: "wrong".into(), ..s3.clone() };
    assert_eq!(signed(&wrong, "GET", "/aged/k", now, "").await.error().1, "SignatureDoesNotMatch");
    let old = now - Duration::from_secs(3600);
    assert_eq!(signed(&s3, "GET", "/aged/k", old, "").await.error(), (403, "RequestTimeTooSkewed".into()));

    let url = |expires: u64| {
        let signature = sign(&s3, &format!("GET\n\n\n{expires}\n/aged/k"));
        let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC).to_string();
        format!("/aged/k?AWSAccessKeyId={}&Expires={expires}&Signature={signature}", s3.access_key)
    };
    let get = async |target: String| {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        raw(server.address, request.as_bytes(), false).await
    };
    let seconds = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    get(url(seconds + 60)).await.ok();
    assert_eq!(get(url(seconds - 60)).await.error(), (403, "AccessDenied".into()));
    let longer = url(seconds + 60).replace(&(seconds + 60).to_string(), &(seconds + 90).to_string());
    assert_eq!(get(longer).await.error().1, "SignatureDoesNotMatch");
}

/// libs3, iRODS and clients from before 2010 write their dates so.
#[tokio::test]
async fn dates_of_old_clients_are_verified_as_they_were_signed() {
    let server = Server::start_with(Options { sigv2: true, ..Options::default() }).await;
    let s3 = server.root();
    signed(&s3, "PUT", "/dated", SystemTime::now(), "").await.ok();
    let send = async |date: Option<&str>, amz: Option<&str>, (host, resource): (&str, &str), signed: &str| {
        let line = amz.map(|amz| format!("x-amz-date:{amz}\n")).unwrap_or_default();
        let signature = sign(&s3, &format!("GET\n\n\n{signed}\n{line}{resource}"));
        let date = date.map(|date| format!("date: {date}\r\n")).unwrap_or_default();
        let amz = amz.map(|amz| format!("x-amz-date: {amz}\r\n")).unwrap_or_default();
        let path = if host == "x" { resource } else { "/" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{date}{amz}\
             authorization: AWS {}:{signature}\r\n\r\n",
            s3.access_key
        );
        raw(server.address, request.as_bytes(), false).await
    };
    let forms = |at: SystemTime| {
        let http = httpdate::fmt_http_date(at);
        let of = time::OffsetDateTime::from(at);
        let rfc_850 = time::macros::format_description!(
            "[weekday], [day]-[month repr:short]-[year repr:last_two] [hour]:[minute]:[second] GMT"
        );
        let asctime = time::macros::format_description!(
            "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
        );
        [
            http.replace("GMT", "+0000"),
            http.replace("GMT", "-0000"),
            of.format(rfc_850).unwrap(),
            of.format(asctime).unwrap(),
            http,
        ]
    };
    let by_path = ("x", "/dated");
    for form in forms(SystemTime::now()) {
        let in_date = send(Some(&form), None, by_path, &form).await;
        assert_eq!(in_date.status, 200, "date: {form}: {}", in_date.text());
        let in_amz = send(None, Some(&form), by_path, "").await;
        assert_eq!(in_amz.status, 200, "x-amz-date: {form}: {}", in_amz.text());
        let both = send(Some("Thu, 01 Jan 1970 00:00:00 GMT"), Some(&form), by_path, "").await;
        assert_eq!(both.status, 200, "both: {form}: {}", both.text());
        let hosted = send(None, Some(&form), ("dated.s3.test", "/dated/"), "").await;
        assert_eq!(hosted.status, 200, "at its host: {form}: {}", hosted.text());
        let other = send(Some(&form), None, by_path, "Thu, 01 Jan 1970 00:00:00 GMT").await;
        assert!(other.status >= 400, "{form}: another date was signed");
    }
    for form in forms(SystemTime::now() - Duration::from_secs(3600)) {
        for answer in
            [send(Some(&form), None, by_path, &form).await, send(None, Some(&form), by_path, "").await]
        {
            assert_eq!(answer.error(), (403, "RequestTimeTooSkewed".into()), "{form}");
        }
    }
}

#[tokio::test]
async fn version_2_is_refused_by_name_where_it_is_off() {
    let server = Server::start().await;
    let s3 = server.root();
    let header = signed(&s3, "GET", "/", SystemTime::now(), "").await;
    let request = "GET /b/k?AWSAccessKeyId=a&Expires=9999999999&Signature=x HTTP/1.1\r\nhost: x\r\n\
                   connection: close\r\n\r\n";
    let url = raw(server.address, request.as_bytes(), false).await;
    for answer in [header, url] {
        assert_eq!(answer.error(), (400, "InvalidRequest".into()));
        assert!(answer.text().contains("JUSTSTORAGE_S3_SIGV2=1"));
    }
}
