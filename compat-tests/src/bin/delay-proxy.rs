//! A TCP proxy that answers late: each byte of an answer arrives `delay` after the server sent it, as over a line that is
//! so long and as wide as the machine allows.
//!
//! `delay-proxy LISTEN TARGET MILLISECONDS`, such as `delay-proxy 127.0.0.1:9001 127.0.0.1:9000 10`.
#![allow(clippy::expect_used, clippy::print_stderr)]

use std::time::Duration;

use juststorage_compat_tests::line::{Manner, carry};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [listen, target, delay] = arguments.as_slice() else {
        eprintln!("delay-proxy LISTEN TARGET MILLISECONDS");
        std::process::exit(2);
    };
    let delay = Duration::from_millis(delay.parse().expect("milliseconds"));
    let listener = TcpListener::bind(listen).await.expect("the address is free");
    carry(listener, target.clone(), Manner { delay, ..Manner::default() }, std::sync::Arc::default()).await;
}
