use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tower::Service;

/// The names that the application's DNS answers.
pub type Names = BTreeMap<String, Ipv4Addr>;

/// Dials any destination through one sidecar.
///
/// Without root there is no iptables; instead a PROXY line tells Envoy the original destination.
#[derive(Clone, Debug)]
pub struct Dialer {
    outbound: SocketAddr,
    names: Arc<Names>,
}

impl Dialer {
    /// Dials through the sidecar whose virtualOutbound is at `outbound`.
    #[must_use]
    pub fn new(outbound: SocketAddr, names: Names) -> Self {
        Self {
            outbound,
            names: Arc::new(names),
        }
    }

    /// What the application's DNS answers for this host.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] for names that nobody knows.
    pub fn lookup(&self, host: &str) -> io::Result<Ipv4Addr> {
        if let Ok(address) = host.parse() {
            return Ok(address);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let unknown =
            || io::Error::new(io::ErrorKind::NotFound, format!("no address for {host:?}"));
        self.names.get(&name).copied().ok_or_else(unknown)
    }

    /// Opens a connection whose original destination is `destination`.
    ///
    /// # Errors
    /// When the sidecar does not listen.
    pub async fn dial(&self, destination: SocketAddrV4) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.outbound).await?;
        stream.set_nodelay(true)?;
        let SocketAddr::V4(source) = stream.local_addr()? else {
            return Err(io::Error::other("the sidecar has no IPv4 address"));
        };
        let line = format!(
            "PROXY TCP4 {} {} {} {}\r\n",
            source.ip(),
            destination.ip(),
            source.port(),
            destination.port()
        );
        stream.write_all(line.as_bytes()).await?;
        Ok(stream)
    }

    async fn connect(self, uri: Uri) -> io::Result<TokioIo<TcpStream>> {
        let address = self.lookup(uri.host().unwrap_or_default())?;
        let destination = SocketAddrV4::new(address, uri.port_u16().unwrap_or(80));
        self.dial(destination).await.map(TokioIo::new)
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
