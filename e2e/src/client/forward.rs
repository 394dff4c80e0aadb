use std::net::{SocketAddr, SocketAddrV4};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use super::Dialer;

/// Opens a local port whose every connection goes through the sidecar to `destination`: iptables for programs
/// that cannot say a PROXY line, such as curl. It stays open as long as the runtime.
///
/// # Errors
/// When no port is free.
pub async fn forward(dialer: Dialer, destination: SocketAddrV4) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(relay(stream, dialer.clone(), destination));
        }
    });
    Ok(address)
}

async fn relay(mut inner: TcpStream, dialer: Dialer, destination: SocketAddrV4) {
    if let Ok(mut outer) = dialer.dial(destination).await {
        // Either side may break off: that is theirs to notice.
        let _ = copy_bidirectional(&mut inner, &mut outer).await;
    }
}
