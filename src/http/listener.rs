//! Listeners and their connections, from the accept to a graceful end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use juststorage_native_api::Origins;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::activity::Activity;
use super::arrival::Arrival;
use super::connections::Slot;
use super::head::{READ_BYTES_MAX, READ_LINES_MAX};
use super::linger::Linger;
use super::reserved::Reserved;
use super::sending::{Noting, Streams};
use super::{Connections, Front, Lingering, Patience, Patient, Proxies, Spelling, Tls, counted};
use crate::exit_error::ExitError;

/// How long sent bytes may stay unacknowledged: a client that stops reading an answer, or whose machine is
/// gone, holds its request's resources no longer than this. In milliseconds, as the system takes it.
const UNACKNOWLEDGED_MAX_MS: u32 = 120_000;

/// Requests under way on one HTTP/2 connection. A client that wants more opens another connection.
const STREAMS_MAX: u32 = 64;

/// Streams that a client may open and reset before the server sees them; more end the connection (rapid reset).
const RESETS_UNSEEN_MAX: usize = 64;

/// Streams that the server may refuse or reset because of errors of the client; more end the connection. A client
/// that does not know [`STREAMS_MAX`] yet opens a hundred at once, and some are refused.
const RESETS_MAX: usize = 256;

/// Time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after an accept that failed because the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound address that accepts connections once it is served.
pub struct Listener {
    socket: TcpListener,
    front: Front,
    address: SocketAddr,
    tls: Option<Tls>,
    proxies: Proxies,
    origins: Arc<Origins>,
    times: Times,
    connections: Arc<Connections>,
    spelling: Spelling,
}

/// How long the server waits for clients.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Time to send a request's headers, and time that a connection may be idle.
    pub idle: Duration,
    /// The least rate of a body, and the longest stall of a client.
    pub patience: Patience,
}

impl Listener {
    /// Binds `address` for `front`. Port 0 takes a free port. Its connections count in `connections`.
    pub async fn bind(
        front: Front,
        address: SocketAddr,
        times: Times,
        connections: Arc<Connections>,
    ) -> Result<Self, ExitError> {
        let bound = async {
            let socket = TcpListener::bind(address).await?;
            let address = socket.local_addr()?;
            Ok::<_, std::io::Error>((socket, address))
        };
        let (socket, address) = bound.await.map_err(|error| {
            ExitError::unable(format!("listen on {address} for the {} front", front.as_str()), error)
        })?;
        let spelling = Spelling::learn().await?;
        let (proxies, origins) = (Proxies::default(), Arc::default());
        Ok(Self { socket, front, address, tls: None, proxies, origins, times, connections, spelling })
    }

    /// Speaks TLS with every client if `tls` is given.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Trusts these proxies to name their clients.
    #[must_use]
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// Lets pages of these origins read the answers that come before the native front, too.
    #[must_use]
    pub fn with_origins(self, origins: Origins) -> Self {
        Self { origins: Arc::new(origins), ..self }
    }

    /// The address, with the actual port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to serve with `service`.
    pub fn serve<S>(self, service: S) -> Server
    where
        S: Service<Request<Lingering<Patient<Incoming>>>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let (stop, insist, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        let server = Server { stop: stop.clone(), insist: insist.clone(), tasks: tasks.clone() };
        let connections = tasks.clone();
        tasks.spawn(async move {
            let builder = connection_builder(self.front, self.times);
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = self.socket.accept() => accepted,
                };
                match accepted {
                    Ok((stream, peer)) => {
                        let activity = Activity::new();
                        let Some(place) = self.connections.admit(self.front, &activity) else {
                            tracing::debug!(%peer, front = self.front.as_str(), "connection refused: too many");
                            continue;
                        };
                        let connection = Connection {
                            peer,
                            proxies: self.proxies.clone(),
                            origins: self.origins.clone(),
                            builder: builder.clone(),
                            times: self.times,
                            activity,
                            place,
                            spelling: self.spelling.clone(),
                            stop: stop.clone(),
                            insist: insist.clone(),
                        };
                        let (tls, service) = (self.tls.as_ref().map(Tls::acceptor), service.clone());
                        connections.spawn(connection.serve(stream, tls, service));
                    }
                    Err(error) => {
                        tracing::warn!(%error, front = self.front.as_str(), "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        server
    }
}

fn connection_builder(front: Front, times: Times) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams { stall: times.patience.stall });
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(times.idle)
        .max_buf_size(READ_BYTES_MAX)
        .max_headers(READ_LINES_MAX);
    match front {
        // S3 clients speak HTTP/1.1 over plain TCP, and the Host header they sign is not in HTTP/2.
        Front::S3 => builder.http1_only(),
        Front::Native => {
            builder
                .http2()
                .timer(TokioTimer::new())
                .keep_alive_interval(times.idle)
                .keep_alive_timeout(times.idle)
                .max_concurrent_streams(STREAMS_MAX)
                .max_pending_accept_reset_streams(RESETS_UNSEEN_MAX)
                .max_local_error_reset_streams(RESETS_MAX)
                .initial_stream_window_size(512 << 10)
                .initial_connection_window_size(1 << 20)
                .max_send_buf_size(512 << 10)
                .max_header_list_size(64 << 10);
            builder
        }
    }
}

/// One accepted connection.
struct Connection {
    peer: SocketAddr,
    proxies: Proxies,
    origins: Arc<Origins>,
    builder: auto::Builder<Streams>,
    times: Times,
    activity: Arc<Activity>,
    place: Slot,
    spelling: Spelling,
    stop: CancellationToken,
    insist: CancellationToken,
}

impl Connection {
    async fn serve<S>(self, stream: TcpStream, tls: Option<TlsAcceptor>, service: S)
    where
        S: Service<Request<Lingering<Patient<Incoming>>>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "a connection could not be prepared");
        }
        let first = tokio::select! {
            first = tokio::time::timeout(self.times.idle, stream.readable()) => first,
            () = self.stop.cancelled() => return,
            () = self.place.leave.cancelled() => return,
        };
        if !matches!(first, Ok(Ok(()))) {
            return;
        }
        let Some(acceptor) = tls else { return self.speak(stream, false, service).await };
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)) => shaken,
            () = self.stop.cancelled() => return,
            () = self.place.leave.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.speak(stream, true, service).await,
            Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    /// Speaks HTTP until either side ends it.
    async fn speak<S>(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, tls: bool, service: S)
    where
        S: Service<Request<Lingering<Patient<Incoming>>>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let Times { idle, patience } = self.times;
        let activity = self.activity;
        let probes_only = self.place.probes_only();
        let arrival = Arrival {
            inner: Linger {
                inner: Reserved { inner: service, probes_only },
                unwanted: self.place.unwanted(),
            },
            peer: self.peer,
            tls,
            proxies: self.proxies.clone(),
            origins: self.origins.clone(),
            activity: activity.clone(),
            spelling: self.spelling.clone(),
            patience,
            ends: probes_only,
        };
        let service = TowerToHyperService::new(arrival);
        let io = TokioIo::new(Noting { io, activity: activity.clone() });
        let mut connection = std::pin::pin!(self.builder.serve_connection(io, service));
        let mut looks = tokio::time::interval(idle.min(patience.stall / 2));
        let mut ending = false;
        // Deadline for an idle connection that was asked to end: the client may never read the rest.
        let mut gone_by = None;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        // Clients come and go in all sorts of ways; the access log has what matters.
                        tracing::debug!(%error, "connection ended");
                    }
                    return;
                }
                () = self.stop.cancelled(), if !ending => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = looks.tick() => {
                    if activity.blocked_for(patience.stall) {
                        counted::answer_cut();
                        tracing::debug!(peer = %self.peer, "connection cut off: its client reads no bytes");
                        return;
                    }
                    // Answers that are still being sent go on after a graceful end.
                    if !ending && activity.idle_for(idle) {
                        ending = true;
                        gone_by = Some(Instant::now() + patience.stall);
                        connection.as_mut().graceful_shutdown();
                    }
                    if gone_by.is_some_and(|by| by <= Instant::now()) {
                        return;
                    }
                }
                () = self.place.leave.cancelled() => return,
                () = self.insist.cancelled() => return,
            }
        }
    }
}

/// Sends small answers at once instead of waiting for an acknowledgement (Nagle), and detects a lost peer.
fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_user_timeout(stream, UNACKNOWLEDGED_MAX_MS)?;
    Ok(())
}

/// A front that is being served.
pub struct Server {
    stop: CancellationToken,
    insist: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Accepts no more connections and lets requests finish until `insist` completes; then cuts off the rest.
    pub async fn shut_down(self, insist: impl Future<Output = ()>) {
        self.stop.cancel();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => return,
            () = insist => {}
        }
        // One task is the listener's; it is gone by now.
        tracing::warn!(connections = self.tasks.len(), "connections cut off");
        self.insist.cancel();
        self.tasks.wait().await;
    }
}
