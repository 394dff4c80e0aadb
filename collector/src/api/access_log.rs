//! Takes the access logs of sidecars: gRPC, `envoy.service.accesslog.v3.AccessLogService`.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use http::{Request, Response};
use lazymesh_core::Workload;
use lazymesh_protocol::Source;
use tokio::sync::{Semaphore, watch};
use tokio::time::{interval, timeout};
use tonic::server::Grpc;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::api::unread::{Counted, Share, Unread};
use crate::ingest::access_log::{
    AccessLogs, Calls, StreamAccessLogsMessage, StreamAccessLogsResponse, source,
};
use crate::ingest::{Admitted, Closed, Door, Pace};
use crate::runtime::clock::now_ms;

const PATH: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
/// Most streams; further ones are told to come back.
const STREAMS: usize = 4_096;
/// Largest message: a node with its list of extensions, 60 KB, what Envoy gathers, 16 KB, and one entry with the longest path
/// that it takes.
const MAX_MESSAGE_BYTES: usize = 192 * 1024;
/// Time for the first message of a stream, which Envoy opens to send one.
const FIRST: Duration = Duration::from_secs(10);
/// How long calls are counted before they are learned.
const GATHER: Duration = Duration::from_secs(1);

/// What access logs go through.
pub(crate) struct LogStations {
    pub(crate) door: Door,
    pub(crate) access_logs: AccessLogs,
    /// Turns true when the collector shuts down.
    pub(crate) stopped: watch::Receiver<bool>,
}

/// State of the route.
#[derive(Clone)]
struct Service {
    stations: Arc<LogStations>,
    pace: Arc<Pace>,
    streams: Arc<Semaphore>,
    unread: Arc<Unread>,
}

/// The router of the listener for access logs.
pub(crate) fn routes(stations: LogStations) -> Router {
    Router::new().route(PATH, post(stream)).with_state(Service {
        stations: Arc::new(stations),
        pace: Arc::default(),
        streams: Arc::new(Semaphore::new(STREAMS)),
        unread: Arc::default(),
    })
}

async fn stream(State(service): State<Service>, request: Request<Body>) -> Response<Body> {
    // Who calls is known before a byte of a message is read.
    let admitted = match service.stations.door.admit(request.headers()) {
        Ok(admitted) => admitted,
        Err(closed) => return Status::from(closed).into_http(),
    };
    let Ok(_stream) = Arc::clone(&service.streams).try_acquire_owned() else {
        return Status::resource_exhausted("there are as many streams as there may be").into_http();
    };
    let codec = ProstCodec::<StreamAccessLogsResponse, StreamAccessLogsMessage>::default();
    let grpc = Grpc::new(codec).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let share = Share::of(&service.unread);
    let request = request.map(|body| {
        let share = Arc::clone(&share);
        Body::new(Counted { body, share })
    });
    let take = |request: tonic::Request<Messages>| {
        let messages = request.into_inner();
        service.take(&admitted, &share, messages)
    };
    let answer = { grpc }.client_streaming(service_fn(take), request).await;
    answer.map(Body::new)
}

type Messages = Streaming<StreamAccessLogsMessage>;
type Taken = tonic::Response<StreamAccessLogsResponse>;

impl Service {
    /// Learns from a stream until it ends, or the collector does.
    async fn take(
        &self,
        admitted: &Admitted,
        unread: &Share,
        mut messages: Messages,
    ) -> Result<Taken, Status> {
        let first = timeout(FIRST, messages.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no message came"))?;
        let Some(first) = first? else {
            return Ok(Taken::new(StreamAccessLogsResponse {}));
        };
        let source = self.source(admitted, &first)?;
        let workload = Workload::new(source.namespace.as_str(), source.workload.as_str());
        let workload = workload.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let mut stopped = self.stations.stopped.clone();
        let mut tick = interval(GATHER);
        let (mut calls, mut next) = (Calls::default(), Some(first));
        loop {
            if let Some(message) = next.take() {
                unread.clear();
                let entries = calls.add(message);
                let wait = self.pace.wait(&workload, entries, Instant::now());
                // Or until the collector shuts down.
                let _ = timeout(wait, stopped.wait_for(|stopped| *stopped)).await;
            }
            // However the stream ends, what has come until then counts.
            let ended = !calls.are_many()
                && tokio::select! {
                    message = messages.message() => {
                        next = message.ok().flatten();
                        next.is_none()
                    }
                    _ = tick.tick() => unread.is_late(Instant::now()),
                    _ = stopped.wait_for(|stopped| *stopped) => true,
                };
            if next.is_some() {
                continue;
            }
            let learned = self.stations.access_logs.learn(&source, calls, now_ms());
            learned.await.map_err(unavailable)?;
            if ended {
                return Ok(Taken::new(StreamAccessLogsResponse {}));
            }
            calls = Calls::default();
        }
    }

    /// The workload that a stream is of, by the caller's word and certificate.
    fn source(
        &self,
        admitted: &Admitted,
        message: &StreamAccessLogsMessage,
    ) -> Result<Source, Status> {
        let identifier = message.identifier.as_ref();
        let node = identifier.and_then(|identifier| identifier.node.as_ref());
        let source = node.and_then(source).ok_or_else(|| {
            Status::invalid_argument("the node's metadata do not name a workload, as Istio's do")
        })?;
        self.stations.door.check(admitted, &source)?;
        Ok(source)
    }
}

impl From<Closed> for Status {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::NotReady(missing) => unavailable(missing),
            Closed::Refused(refusal) => Self::permission_denied(refusal.to_string()),
            Closed::Crowded(crowded) => Self::resource_exhausted(crowded.to_string()),
        }
    }
}

fn unavailable(error: impl Display) -> Status {
    Status::unavailable(error.to_string())
}
