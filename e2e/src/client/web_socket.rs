use std::net::SocketAddrV4;

use anyhow::{Context, Result};
use http::Uri;
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::Client;

impl Client {
    /// Opens a WebSocket at a `ws://` URL through the sidecar.
    ///
    /// # Errors
    /// When the upgrade is refused.
    pub async fn web_socket(&self, url: &str) -> Result<WebSocketStream<TcpStream>> {
        let uri: Uri = url.parse()?;
        let address = self.dialer.lookup(uri.host().unwrap_or_default())?;
        let stream = self
            .dialer
            .dial(SocketAddrV4::new(address, uri.port_u16().unwrap_or(80)))
            .await?;
        let (socket, _) = client_async(url, stream)
            .await
            .with_context(|| url.to_owned())?;
        Ok(socket)
    }
}
