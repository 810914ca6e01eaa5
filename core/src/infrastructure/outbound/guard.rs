//! Names are looked up for each connection, and the addresses judged, not the name: a name that leads elsewhere at its next
//! look-up (DNS rebinding) is judged again. The peer of a connection is judged once more when it stands.

use std::future::{Future, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::domain::reach::{OutOfReach, Reach};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a connection may take to be made, all addresses of a name together.
const CONNECT: Duration = Duration::from_secs(5);

/// How names are looked up.
type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It is not known, or the name service does not answer.
    #[error("{host} cannot be looked up: {error}")]
    Unknown {
        /// The name.
        host: String,
        /// What the name service said.
        error: io::Error,
    },
    /// All its addresses are out of reach; this is the first one.
    #[error("{host}: {found}")]
    OutOfReach {
        /// The name.
        host: String,
        /// What it leads to.
        found: OutOfReach,
    },
}

/// Looks names up, and gives out only addresses within a reach. Cheap to clone.
///
/// For hyper-util it is the resolver of an [`HttpConnector`]; for the AWS SDK, [`Self::resolve`] is what a `ResolveDns` needs.
/// Both connect to an address in a URL without asking a resolver: such a host is judged by [`Reach::admit_host`].
#[derive(Clone)]
pub struct GuardedResolver {
    reach: Arc<Reach>,
    lookup: Lookup,
}

impl std::fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedResolver").field("reach", &self.reach).finish_non_exhaustive()
    }
}

impl GuardedResolver {
    /// Names as this machine looks them up.
    pub fn new(reach: Reach) -> Self {
        Self::with_lookup(reach, |host| {
            async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) }
                .boxed()
        })
    }

    /// Names as `lookup` looks them up, for tests.
    pub fn with_lookup(
        reach: Reach,
        lookup: impl Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self { reach: Arc::new(reach), lookup: Arc::new(lookup) }
    }

    /// The addresses of `host` that are within reach, at least one. An address in the place of a name is its own.
    pub async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let named = || host.to_owned();
        let found = (self.lookup)(named()).await;
        let found = found.map_err(|error| ResolveError::Unknown { host: named(), error })?;
        let (mut admitted, mut refused) = (Vec::with_capacity(found.len()), None);
        for address in found {
            match self.reach.admit(address) {
                Ok(()) => admitted.push(address),
                Err(out) => refused = refused.or(Some(out)),
            }
        }
        match refused {
            _ if !admitted.is_empty() => Ok(admitted),
            Some(found) => Err(ResolveError::OutOfReach { host: named(), found }),
            None => {
                Err(ResolveError::Unknown { host: named(), error: io::ErrorKind::AddrNotAvailable.into() })
            }
        }
    }
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.resolve(name.as_str()).await?;
            // The connector has the port.
            let found: Vec<_> = found.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(found.into_iter())
        })
    }
}

/// Makes TCP connections to addresses within a reach, and no others.
#[derive(Clone, Debug)]
pub struct GuardedConnector {
    tcp: HttpConnector<GuardedResolver>,
    reach: Arc<Reach>,
}

impl GuardedConnector {
    /// Over the addresses that `resolver` gives out.
    pub fn new(resolver: GuardedResolver) -> Self {
        let reach = resolver.reach.clone();
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        Self { tcp, reach }
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        if let Err(out) = self.reach.admit_host(to.host().unwrap_or_default()) {
            return Box::pin(ready(Err(out.into())));
        }
        let (connecting, reach) = (self.tcp.call(to), self.reach.clone());
        Box::pin(async move {
            let connection = connecting.await?;
            reach.admit(connection.inner().peer_addr()?.ip())?;
            Ok(connection)
        })
    }
}
