//! Reads and writes a connection, each step within its time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::runtime::serve::places::Connection;

/// Time for a request to arrive, from its first byte on.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time in which a client must take in some of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of one read: how far a connection can read past its limits, or past a request.
pub(super) const CHUNK: usize = 4 * 1024;

/// A connection that is given up when its client neither writes what it began nor reads what it asked for.
pub(super) struct Socket {
    stream: TcpStream,
    connection: Arc<Connection>,
    receive: Timer,
    write: Timer,
}

/// A time-out that starts when it is first looked at.
#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll<T>(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn stop(&mut self) {
        self.0 = None;
    }
}

impl Socket {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            connection,
            receive: Timer::default(),
            write: Timer::default(),
        }
    }

    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.connection.set_deaf(result.is_pending());
        if result.is_pending() {
            return self.write.poll(WRITE_TIMEOUT, cx);
        }
        self.write.stop();
        result
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.connection.is_half_received() {
            this.receive.stop();
        }
        let mut chunk = [0; CHUNK];
        let most = CHUNK.min(buffer.remaining());
        let mut part = ReadBuf::new(chunk.get_mut(..most).unwrap_or_default());
        match Pin::new(&mut this.stream).poll_read(cx, &mut part) {
            Poll::Pending if this.connection.is_half_received() => {
                this.receive.poll(RECEIVE_TIMEOUT, cx)
            }
            Poll::Ready(Ok(())) => {
                buffer.put_slice(part.filled());
                this.connection.received(part.filled().len());
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
