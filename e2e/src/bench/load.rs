//! A closed loop: every connection sends its next request when the last one is answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::process::Process;

pub(super) type Outgoing = Request<Full<Bytes>>;

/// What one turn of a closed loop came to.
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) elapsed: Duration,
    /// Processor time that what is measured took, where that is known.
    pub(super) processor: Duration,
    microseconds: Histogram<u64>,
}

impl Load {
    pub(super) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds of processor time for each request.
    pub(super) fn processor_microseconds(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.requests as f64
    }

    /// Milliseconds below which this share of the requests was answered.
    pub(super) fn milliseconds(&self, share: f64) -> f64 {
        self.microseconds.value_at_quantile(share) as f64 / 1_000.0
    }
}

/// Connections that are kept over several turns.
pub(super) struct Connections(Vec<SendRequest<Full<Bytes>>>);

impl Connections {
    /// Speaks HTTP/1.1 over these streams.
    pub(super) async fn over(streams: Vec<TcpStream>) -> Result<Self> {
        let handshakes = streams.into_iter().map(|stream| async {
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            anyhow::Ok(sender)
        });
        Ok(Self(try_join_all(handshakes).await?))
    }

    /// Sends what `next` yields on all connections until it yields no more. Any answer but 200 is an error.
    pub(super) async fn run(&mut self, next: impl Fn() -> Option<Outgoing>) -> Result<Load> {
        let started = Instant::now();
        let loops = self.0.iter_mut().map(|sender| one(sender, &next));
        let histograms = try_join_all(loops).await?;
        let mut all = histogram()?;
        for histogram in histograms {
            all.add(histogram)?;
        }
        Ok(Load {
            requests: all.len(),
            elapsed: started.elapsed(),
            processor: Duration::ZERO,
            microseconds: all,
        })
    }

    /// As [`Connections::repeat`], with the processor time that `process` takes meanwhile.
    pub(super) async fn repeat_on(
        &mut self,
        process: Process,
        request: &Outgoing,
        time: Duration,
    ) -> Result<Load> {
        let before = process.cpu_time()?;
        let load = self.repeat(request, time).await?;
        let processor = process.cpu_time()? - before;
        Ok(Load { processor, ..load })
    }

    /// As [`Connections::run`], with one request again and again for this long.
    pub(super) async fn repeat(&mut self, request: &Outgoing, time: Duration) -> Result<Load> {
        let end = Instant::now() + time;
        self.run(|| (Instant::now() < end).then(|| request.clone()))
            .await
    }
}

async fn one(
    sender: &mut SendRequest<Full<Bytes>>,
    next: &impl Fn() -> Option<Outgoing>,
) -> Result<Histogram<u64>> {
    let mut histogram = histogram()?;
    while let Some(request) = next() {
        let started = Instant::now();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(
            status == StatusCode::OK,
            "{status}: {}",
            String::from_utf8_lossy(&body)
        );
        let microseconds = u64::try_from(started.elapsed().as_micros())?;
        histogram.saturating_record(microseconds);
    }
    Ok(histogram)
}

/// 1 µs to 60 s, to three digits.
fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, 60_000_000, 3).context("histogram bounds")
}
