//! Serves a router on a listener, bounded in every direction.
//!
//! `axum::serve` has neither a time-out for headers nor a cap on connections, and both are needed on a port
//! that every sidecar of a mesh can reach. HTTP/1.1 only: that is what Envoy's callouts speak.

mod places;
mod request;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
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

/// Serves `router` until `stop` turns true or its sender is gone, then lets requests in flight finish.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    room: Room,
    mut stop: watch::Receiver<bool>,
) {
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
        let connection = graceful.watch(connection(stream, router.clone(), &place));
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

type Connection = http1::Connection<TokioIo<Socket>, Turns>;

fn connection(stream: TcpStream, router: Router, place: &Place) -> Connection {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let socket = Socket::new(stream, place.connection());
    let turns = Turns {
        router,
        connection: place.connection(),
    };
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        // It looks after a read, so a head may be as much longer as one read is.
        .max_buf_size(MAX_HEAD_BYTES - CHUNK)
        .serve_connection(TokioIo::new(socket), turns)
}
