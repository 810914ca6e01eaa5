#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use http::{Request, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Answer, GuardedResolver, OutboundClient, OutboundFailure};
use crate::domain::reach::Reach;

const PATIENCE: Duration = Duration::from_secs(10);

/// A server that gives the same answer to every request and counts connections.
async fn server(at: &str, answer: impl Into<Vec<u8>>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let (address, seen) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let (answer, counted) = (answer.into(), seen.clone());
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(&answer).await;
                // An empty answer is one that never comes.
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (address, seen)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

fn reach(private: bool, networks: &[&str]) -> Reach {
    Reach::new(private, networks).unwrap()
}

async fn ask(resolver: GuardedResolver, url: &str) -> Result<Answer, OutboundFailure> {
    ask_for(resolver, url, PATIENCE).await
}

async fn ask_for(
    resolver: GuardedResolver,
    url: &str,
    patience: Duration,
) -> Result<Answer, OutboundFailure> {
    let request = Request::get(url).body(Full::new(Bytes::new())).unwrap();
    OutboundClient::new(resolver).unwrap().send(request, patience).await
}

#[tokio::test]
async fn an_address_is_reached_only_where_it_is_allowed() {
    let (address, seen) = server("127.0.0.1", OK).await;
    let port = address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0.0.0.0"] {
        let refused = ask(GuardedResolver::new(reach(false, &[])), &format!("http://{host}:{port}/")).await;
        assert!(matches!(refused, Err(OutboundFailure::OutOfReach(_))), "{host}: {refused:?}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "a refused address was connected to");
    let answer = ask(GuardedResolver::new(reach(true, &[])), &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(answer.unwrap().body, "ok");
    let refused =
        ask(GuardedResolver::new(reach(true, &[])), "http://169.254.169.254/latest/meta-data/").await;
    assert!(matches!(refused, Err(OutboundFailure::OutOfReach(_))), "{refused:?}");
}

/// DNS rebinding: a name that was checked leads somewhere else when it is used.
#[tokio::test]
async fn a_name_is_judged_by_where_it_leads_now() {
    let (allowed, seen) = server("127.0.0.2", OK).await;
    let (_inner, inside) = server("127.0.0.1", OK).await;
    let looks = Arc::<AtomicUsize>::default();
    let lookup = move |_: String| {
        let look = looks.fetch_add(1, Ordering::SeqCst);
        let address: IpAddr = if look == 0 { [127, 0, 0, 2].into() } else { [127, 0, 0, 1].into() };
        async move { Ok(vec![address]) }.boxed()
    };
    let resolver = GuardedResolver::with_lookup(reach(false, &["127.0.0.2"]), lookup);
    let url = format!("http://hooks.example:{}/", allowed.port());
    assert_eq!(ask(resolver.clone(), &url).await.unwrap().status, StatusCode::OK);
    let refused = ask(resolver, &url).await;
    assert!(matches!(refused, Err(OutboundFailure::OutOfReach(_))), "{refused:?}");
    assert_eq!((seen.load(Ordering::SeqCst), inside.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test]
async fn of_several_addresses_those_in_reach_are_used() {
    let lookup = |_: String| async { Ok(vec![[10, 0, 0, 1].into(), [1, 1, 1, 1].into()]) }.boxed();
    let found = GuardedResolver::with_lookup(reach(false, &[]), lookup).resolve("a.example").await.unwrap();
    assert_eq!(found, [IpAddr::from([1, 1, 1, 1])]);
    let lookup = |_: String| async { Ok(Vec::new()) }.boxed();
    assert!(GuardedResolver::with_lookup(reach(true, &[]), lookup).resolve("a.example").await.is_err());
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let (target, followed) = server("127.0.0.1", OK).await;
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{target}/\r\nContent-Length: 0\r\n\r\n");
    let (address, _) = server("127.0.0.1", redirect).await;
    let answer = ask(GuardedResolver::new(reach(true, &[])), &format!("http://{address}/")).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(followed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn no_answer_is_read_without_end_or_waited_for() {
    let long = [b"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n", &vec![b'x'; 100_000][..]].concat();
    let (address, _) = server("127.0.0.1", long).await;
    let answer = ask(GuardedResolver::new(reach(true, &[])), &format!("http://{address}/")).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (StatusCode::INTERNAL_SERVER_ERROR, 4096));
    let (address, _) = server("127.0.0.1", "").await;
    let short = Duration::from_millis(100);
    let waited = ask_for(GuardedResolver::new(reach(true, &[])), &format!("http://{address}/"), short).await;
    assert_eq!(waited, Err(OutboundFailure::TimedOut(short)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = listener.local_addr().unwrap();
    drop(listener);
    let refused = ask(GuardedResolver::new(reach(true, &[])), &format!("http://{gone}/")).await;
    assert!(matches!(refused, Err(OutboundFailure::Broken(_))), "{refused:?}");
}
