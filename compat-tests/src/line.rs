//! A line between a server and what it asks over TCP: as long as a test says, and as bad.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Longest piece that is read at once, in bytes.
const PIECE: usize = 64 * 1024;

/// Pieces of one connection that are on their way.
const ON_THE_WAY: usize = 4096;

/// What a line does to what it carries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Each byte of an answer arrives so much later. Requests go on at once.
    pub delay: Duration,
    /// Of a thousand pieces of a request, so many are the connection's last, and do not arrive: nothing comes of the
    /// request, or half of it.
    pub lost_requests: u64,
    /// Of a thousand pieces of an answer, so many are the connection's last, and do not arrive: what was asked for was
    /// done.
    pub lost_answers: u64,
}

/// A line that ends when this is dropped.
#[derive(Debug)]
pub struct Line {
    address: String,
    lost: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Line {
    /// A line to `target`, a host and a port.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn to(target: &str, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let lost = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(carry(listener, target.to_owned(), manner, lost.clone()));
        Self { address, lost, task }
    }

    /// The host and the port where it begins.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How often something was lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Carries each connection to `target`, for ever. Counts in `lost` what does not arrive.
pub async fn carry(listener: TcpListener, target: String, manner: Manner, lost: Arc<AtomicU64>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (target, lost) = (target.clone(), lost.clone());
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(target).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let requests = pass(from_client, to_server, Duration::ZERO, manner.lost_requests, &lost);
            let answers = pass(from_server, to_client, manner.delay, manner.lost_answers, &lost);
            let (mut requests, mut answers) = (std::pin::pin!(requests), std::pin::pin!(answers));
            // Where one direction breaks, both do.
            tokio::select! {
                ended = &mut requests => if ended { answers.await; },
                ended = &mut answers => if ended { requests.await; },
            }
        });
    }
}

/// A number below 1000, another one each time.
fn chance() -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(1);
    let seed = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)) % 1000
}

/// Passes on what comes, each piece so much later, and the end of it. Whether it came to its end.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    lost_of_1000: u64,
    lost: &AtomicU64,
) -> bool {
    let (send, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let read = async move {
        loop {
            let mut piece = vec![0; PIECE];
            match from.read(&mut piece).await {
                Ok(length) if length > 0 => piece.truncate(length),
                _ => return true,
            }
            if chance() < lost_of_1000 {
                lost.fetch_add(1, Ordering::Relaxed);
                return false;
            }
            if send.send((Instant::now() + delay, piece)).await.is_err() {
                return false;
            }
        }
    };
    let write = async move {
        while let Some((at, piece)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&piece).await.is_err() {
                return false;
            }
        }
        true
    };
    let (read, written) = tokio::join!(read, write);
    read && written
}
