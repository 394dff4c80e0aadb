use std::sync::Arc;

use anyhow::{Context, Result, bail};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Application, Call, Ledger, Transport, handler};
use crate::certificates::identity_of;

/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

pub(super) async fn accept(
    listener: TcpListener,
    transport: Transport,
    application: Application,
    ledger: Arc<Ledger>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (transport, ledger) = (transport.clone(), Arc::clone(&ledger));
        tokio::spawn(async move {
            // A refused handshake or a broken connection is the caller's to notice.
            let _ = connection(stream, &transport, application, ledger).await;
        });
    }
}

async fn connection(
    stream: TcpStream,
    transport: &Transport,
    application: Application,
    ledger: Arc<Ledger>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let address = stream.local_addr()?;
    // A server that speaks first and has no sidecar does not wait for what the client says.
    let greets_plain = application == Application::Greeter && matches!(transport, Transport::Plain);
    let tls = !greets_plain && speaks_tls(&stream).await?;
    match (transport, tls) {
        (Transport::Strict(tls) | Transport::Permissive(tls), true) => {
            let stream = TlsAcceptor::from(Arc::clone(tls)).accept(stream).await?;
            let peer = Some(peer(&stream)?);
            serve(stream, application, Call { peer, address }, ledger).await
        }
        (Transport::Permissive(_) | Transport::Plain, false) => {
            let peer = None;
            serve(stream, application, Call { peer, address }, ledger).await
        }
        (Transport::Strict(_), false) => bail!("plain text to a STRICT workload at {address}"),
        (Transport::Plain, true) => bail!("TLS to a workload without a sidecar at {address}"),
    }
}

async fn speaks_tls(stream: &TcpStream) -> Result<bool> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    Ok(first == [TLS_HANDSHAKE])
}

fn peer(stream: &TlsStream<TcpStream>) -> Result<String> {
    let (_, session) = stream.get_ref();
    let certificates = session.peer_certificates().unwrap_or_default();
    identity_of(certificates.first().context("no client certificate")?)
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    application: Application,
    call: Call,
    ledger: Arc<Ledger>,
) -> Result<()> {
    match application {
        Application::Http => serve_http(stream, call, ledger).await,
        Application::Greeter => greet(stream, &call, &ledger).await,
    }
}

async fn greet(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    call: &Call,
    ledger: &Ledger,
) -> Result<()> {
    ledger.record(call);
    let greeting = format!("hello from {}\n", ledger.name());
    stream.write_all(greeting.as_bytes()).await?;
    stream.flush().await?;
    let (mut from, mut to) = tokio::io::split(stream);
    tokio::io::copy(&mut from, &mut to).await?;
    Ok(to.shutdown().await?)
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    call: Call,
    ledger: Arc<Ledger>,
) -> Result<()> {
    let service =
        service_fn(move |request| handler::handle(request, call.clone(), Arc::clone(&ledger)));
    let mut server = auto::Builder::new(TokioExecutor::new());
    // As in an Envoy in front of the workload: hyper alone refuses more than 200.
    server.http2().max_concurrent_streams(None);
    server
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await
        .map_err(anyhow::Error::from_boxed)
}
