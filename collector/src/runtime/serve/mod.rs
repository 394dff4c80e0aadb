//! Serves a router on a listener, bounded in every direction.
//!
//! `axum::serve` has neither a time-out for headers nor a cap on connections, and both are needed on a port
//! that every sidecar of a mesh can reach. A listener speaks either HTTP/1.1, as Envoy's callouts do, or HTTP/2, as gRPC does.

mod places;
mod request;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) use self::places::Room;

use self::places::{Place, Places};
use self::request::Turns;
use self::socket::{CHUNK, Socket};

/// Time for which a connection may be idle: long enough for Envoy's pools, for who closes what a pool takes for open
/// costs a request. What has begun to send a request has less, and idle connections go first when places are short.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time that requests in flight have once the collector shuts down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Pause after a failed accept (out of file descriptors, mostly), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Most streams of one HTTP/2 connection; Envoy opens another where it needs more.
const MAX_STREAMS: u32 = 128;
/// What a stream, and a connection, may send before it is read. That of a connection has room for all of its streams', so
/// that one which is not read keeps no other waiting.
const STREAM_WINDOW: u32 = 16 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS;
/// Largest header block of a stream, in bytes.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Serves `router` in HTTP/1.1 until `stop` turns true or its sender is gone, then lets requests in flight finish.
pub(crate) async fn http1(
    listener: TcpListener,
    router: Router,
    room: Room,
    stop: watch::Receiver<bool>,
) {
    let speak = |stream, place: &Place| {
        let turns = Turns {
            router: router.clone(),
            connection: place.connection(),
        };
        let socket = Socket::new(stream, place.connection());
        conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            // It looks after a read, so a head may be as much longer as one read is.
            .max_buf_size(MAX_HEAD_BYTES - CHUNK)
            .serve_connection(TokioIo::new(socket), turns)
    };
    serve(listener, speak, room, stop).await;
}

/// As [`http1`], in HTTP/2 without TLS. Each stream has its own window, so no connection is short of memory for another; who
/// is gone without a word is found out by a ping.
pub(crate) async fn http2(
    listener: TcpListener,
    router: Router,
    room: Room,
    stop: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let speak = |stream, _: &Place| {
        conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEADER_BYTES)
            .keep_alive_interval(IDLE_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service.clone())
    };
    serve(listener, speak, room, stop).await;
}

/// Serves connections, as `speak` makes them of sockets.
async fn serve<C>(
    listener: TcpListener,
    speak: impl Fn(TcpStream, &Place) -> C,
    room: Room,
    mut stop: watch::Receiver<bool>,
) where
    C: GracefulConnection<Error = hyper::Error> + Send + 'static,
{
    let places = Places::new(room);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Some((stream, place)) = accepted else {
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let connection = graceful.watch(speak(stream, &place));
        tokio::spawn(async move {
            tokio::select! {
                result = connection => if let Err(error) = result {
                    tracing::debug!(%error, "connection failed");
                },
                () = place.taken_back() => tracing::debug!("a connection that kept others waiting is closed"),
            }
        });
    }
    drop(listener);
    let open = graceful.count();
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(open, "requests were still in flight at shutdown");
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Places>) -> Option<(TcpStream, Place)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            let place = places.take(peer.ip()).await;
            Some((stream, place))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
