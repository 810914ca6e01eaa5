//! Listeners and their connections, from the accept to a graceful end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::arrival::{Activity, Arrival};
use super::head::{READ_BYTES_MAX, READ_LINES_MAX};
use super::{Front, Linger, Lingering, Spelling, Tls};
use crate::failure::Failure;

/// How long sent bytes may stay unacknowledged: a client that stops reading an answer, or whose machine is
/// gone, holds its request's resources no longer than this. In milliseconds, as the system takes it.
const UNACKNOWLEDGED_MAX_MS: u32 = 120_000;

/// How long a client may take over the handshake of TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after an accept that failed because the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound address that accepts connections once it is served.
pub struct Listener {
    socket: TcpListener,
    front: Front,
    address: SocketAddr,
    tls: Option<Tls>,
    idle_timeout: Duration,
    spelling: Spelling,
}

impl Listener {
    /// Binds `address` for `front`. Port 0 takes a free one. `idle_timeout` is how long a client may take over
    /// a request's header, and how long a connection may lie idle.
    pub async fn bind(front: Front, address: SocketAddr, idle_timeout: Duration) -> Result<Self, Failure> {
        let bound = async {
            let socket = TcpListener::bind(address).await?;
            let address = socket.local_addr()?;
            Ok::<_, std::io::Error>((socket, address))
        };
        let (socket, address) = bound.await.map_err(|error| {
            Failure::unable(format!("listen on {address} for the {} front", front.as_str()), error)
        })?;
        let spelling = Spelling::learn().await?;
        Ok(Self { socket, front, address, tls: None, idle_timeout, spelling })
    }

    /// Speaks TLS with every client, if given.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The address, with the port that it got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves with `service` from now on.
    pub fn serve<S>(self, service: S) -> Server
    where
        S: Service<Request<Lingering<Incoming>>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let (stop, insist, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        let server = Server { stop: stop.clone(), insist: insist.clone(), tasks: tasks.clone() };
        let connections = tasks.clone();
        tasks.spawn(async move {
            let builder = connection_builder(self.front, self.idle_timeout);
            loop {
                let accepted = tokio::select! {
                    () = stop.cancelled() => return,
                    accepted = self.socket.accept() => accepted,
                };
                match accepted {
                    Ok((stream, peer)) => {
                        let connection = Connection {
                            peer,
                            builder: builder.clone(),
                            idle_timeout: self.idle_timeout,
                            spelling: self.spelling.clone(),
                            stop: stop.clone(),
                            insist: insist.clone(),
                        };
                        let (tls, service) = (self.tls.as_ref().map(Tls::acceptor), service.clone());
                        connections.spawn(connection.serve(stream, tls, service));
                    }
                    Err(error) => {
                        tracing::warn!(%error, front = self.front.as_str(), "connection not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        server
    }
}

fn connection_builder(front: Front, idle_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .max_buf_size(READ_BYTES_MAX)
        .max_headers(READ_LINES_MAX);
    match front {
        // S3 clients speak HTTP/1.1 over plain TCP, and the Host header they sign is not in HTTP/2.
        Front::S3 => builder.http1_only(),
        Front::Native => {
            builder
                .http2()
                .timer(TokioTimer::new())
                .keep_alive_interval(idle_timeout)
                .keep_alive_timeout(idle_timeout)
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
    builder: auto::Builder<TokioExecutor>,
    idle_timeout: Duration,
    spelling: Spelling,
    stop: CancellationToken,
    insist: CancellationToken,
}

impl Connection {
    async fn serve<S>(self, stream: TcpStream, tls: Option<TlsAcceptor>, service: S)
    where
        S: Service<Request<Lingering<Incoming>>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "connection not prepared");
        }
        let first = tokio::select! {
            first = tokio::time::timeout(self.idle_timeout, stream.readable()) => first,
            () = self.stop.cancelled() => return,
        };
        if !matches!(first, Ok(Ok(()))) {
            return;
        }
        let Some(acceptor) = tls else { return self.speak(stream, service).await };
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)) => shaken,
            () = self.stop.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.speak(stream, service).await,
            Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "no TLS"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    /// Speaks HTTP until either side ends it.
    async fn speak<S>(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S)
    where
        S: Service<Request<Lingering<Incoming>>, Response = Response<Body>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send + 'static,
    {
        let activity = Activity::new();
        let arrival = Arrival {
            inner: Linger(service),
            peer: self.peer,
            activity: activity.clone(),
            spelling: self.spelling.clone(),
        };
        let service = TowerToHyperService::new(arrival);
        let mut connection = std::pin::pin!(self.builder.serve_connection(TokioIo::new(io), service));
        let mut looks = tokio::time::interval(self.idle_timeout);
        let mut ending = false;
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
                // Answers that are still being sent go on after a graceful end.
                _ = looks.tick(), if !ending => if activity.idle_for(self.idle_timeout) {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                },
                () = self.insist.cancelled() => return,
            }
        }
    }
}

/// Small answers leave at once instead of waiting for an acknowledgement (Nagle), and a peer that is gone is
/// noticed.
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
    /// Accepts no more connections and lets requests finish until `insist` completes; those that are still
    /// under way then are cut off.
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
