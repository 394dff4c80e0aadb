//! Streams what happens, as server-sent events.
//!
//! A stream reads from the history at its client's pace and keeps little itself: who is slow is told how much was missed, and
//! who reads nothing is dropped as on every connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::HeaderMap;
use lazymesh_core::{Revert, Witness, Workload};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Admin;
use crate::api::extract::Query;
use crate::api::problem::Problem;
use crate::api::responses::ListProblems;
use crate::api::views::{WitnessView, WorkloadRef};
use crate::history::{EventId, Happening, History, What};
use crate::publish::sink::Published;

/// Most streams; further ones are told to come back.
const STREAMS: usize = 32;
/// Most events that a stream takes out of the history at once.
const PAGE: usize = 64;
const LAST_EVENT_ID: &str = "last-event-id";

/// The history, and the room for those who follow it.
pub(crate) struct Events {
    history: Arc<History>,
    streams: Arc<Semaphore>,
}

impl Events {
    pub(crate) fn new(history: Arc<History>) -> Self {
        Self {
            history,
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }
}

pub(crate) fn routes() -> OpenApiRouter<Admin> {
    OpenApiRouter::default().routes(routes!(events))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Whether the stream goes on after what has happened.
    #[param(value_type = Option<bool>, default = true)]
    watch: Option<String>,
}

/// Something that happened; the `data` of an event of the stream.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventView {
    /// As the stream's `id`; absent for `missed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// As the stream's `event`.
    kind: EventKind,
    /// Milliseconds since 1970; absent for `missed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    workload: Option<WorkloadRef>,
    /// Which egress host, as a Sidecar names it, or which host outside the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    /// Who saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    witness: Option<WitnessView>,
    /// Which Sidecar, `<namespace>/<name>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sidecar: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How many hosts it has, or how many events were missed where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// What happened.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum EventKind {
    /// A workload called a host of the mesh for the first time.
    Learned,
    /// A workload called a host outside the mesh for the first time.
    LearnedExternal,
    /// All that a workload had learned went.
    Forgotten,
    /// Nobody has seen a workload call a host of the mesh for long, so it left the workload's scope.
    Expired,
    /// No filter of a workload has called for long, so it has its full scope.
    FiltersSilent,
    /// One of them has called again.
    FiltersBack,
    /// A Sidecar changed.
    Published,
    /// A Sidecar went.
    Withdrawn,
    /// Something went wrong with a workload of a canary, so its namespace has its full scope.
    Reverted,
    /// A canary that failed is tried again.
    Resumed,
    /// Events are gone that came after the last one of this client.
    Missed,
}

impl EventKind {
    fn word(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::LearnedExternal => "learned-external",
            Self::Forgotten => "forgotten",
            Self::Expired => "expired",
            Self::FiltersSilent => "filters-silent",
            Self::FiltersBack => "filters-back",
            Self::Published => "published",
            Self::Withdrawn => "withdrawn",
            Self::Reverted => "reverted",
            Self::Resumed => "resumed",
            Self::Missed => "missed",
        }
    }
}

impl EventView {
    fn of(kind: EventKind) -> Self {
        Self {
            id: None,
            kind,
            at_ms: None,
            workload: None,
            host: None,
            witness: None,
            sidecar: None,
            detail: None,
            count: None,
        }
    }

    fn missed(count: Option<u64>) -> Self {
        Self {
            count,
            ..Self::of(EventKind::Missed)
        }
    }

    fn new(id: EventId, happening: &Happening) -> Self {
        let workload = |kind, source: &Workload| Self {
            workload: Some(source.into()),
            ..Self::of(kind)
        };
        let learned = |kind, source, host: String, witness: Witness| Self {
            host: Some(host),
            witness: Some(witness.into()),
            ..workload(kind, source)
        };
        let sidecar = |kind, place: &Published| Self {
            sidecar: Some(format!("{}/{}", place.namespace, place.name)),
            ..Self::of(kind)
        };
        let canary = |kind, revert: &Revert| Self {
            workload: Some((&revert.workload).into()),
            detail: Some(revert.symptom.to_string()),
            ..Self::of(kind)
        };
        let what = match &happening.what {
            What::Learned {
                source,
                host,
                witness,
            } => learned(EventKind::Learned, source, host.to_string(), *witness),
            What::LearnedExternal {
                source,
                host,
                witness,
            } => learned(EventKind::LearnedExternal, source, host.clone(), *witness),
            What::Forgotten { source } => workload(EventKind::Forgotten, source),
            What::FiltersSilent { source } => workload(EventKind::FiltersSilent, source),
            What::FiltersBack { source } => workload(EventKind::FiltersBack, source),
            What::Expired { source, host } => Self {
                host: Some(host.to_string()),
                ..workload(EventKind::Expired, source)
            },
            What::Published { place, hosts } => Self {
                count: Some(*hosts as u64),
                ..sidecar(EventKind::Published, place)
            },
            What::Withdrawn { place } => sidecar(EventKind::Withdrawn, place),
            What::Reverted { revert } => canary(EventKind::Reverted, revert),
            What::Resumed { revert } => canary(EventKind::Resumed, revert),
        };
        Self {
            id: Some(id.to_string()),
            at_ms: Some(happening.at_ms),
            ..what
        }
    }
}

impl From<EventView> for Event {
    fn from(view: EventView) -> Self {
        let event = Self::default().event(view.kind.word());
        let event = match &view.id {
            Some(id) => event.id(id),
            None => event,
        };
        // Strings and numbers always have a JSON form.
        event.data(serde_json::to_string(&view).unwrap_or_default())
    }
}

/// What one client is still to get.
struct Feed {
    history: Arc<History>,
    newest: watch::Receiver<Option<u64>>,
    /// The number of the last event that was taken out of the history.
    place: u64,
    waiting: VecDeque<EventView>,
    watch: bool,
    _stream: OwnedSemaphorePermit,
}

impl Feed {
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            self.fill();
            if let Some(event) = self.waiting.pop_front() {
                return Some((Ok(event.into()), self));
            }
            if !self.watch {
                return None;
            }
            let place = self.place;
            let is_newer = |newest: &Option<u64>| newest.is_none_or(|newest| newest > place);
            let newest = *self.newest.wait_for(is_newer).await.ok()?;
            newest?;
        }
    }

    fn fill(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        let page = self.history.after(self.place, PAGE);
        self.place += page.missed + page.events.len() as u64;
        if page.missed > 0 {
            self.waiting.push_back(EventView::missed(Some(page.missed)));
        }
        let events = page.events.iter();
        self.waiting
            .extend(events.map(|(id, happening)| EventView::new(*id, happening)));
    }
}

/// Follow what happens
///
/// Server-sent events, from the oldest that is remembered, or behind `last-event-id`, which a client sends that comes back. Who comes
/// back too late, or reads too slowly, gets an event `missed` first. The `data` of each is an `EventView`.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "follow_events",
    tag = "graph",
    params(
        EventsQuery,
        ("last-event-id" = Option<String>, Header, description = "`id` of the last event that the client has"),
    ),
    responses((status = 200, description = "The stream", content_type = "text/event-stream", body = String), ListProblems),
)]
async fn events(
    State(events): State<Arc<Events>>,
    Query(EventsQuery { watch }): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let watch = match watch.as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(Problem::field("watch", "expected true or false")),
    };
    let Events { history, streams } = &*events;
    let stream = Arc::clone(streams).try_acquire_owned();
    let stream = stream.map_err(|_| Problem::overloaded())?;
    let last = last_event_id(&headers)?;
    let place = last.map(|last| history.place(last));
    // Of what an earlier run has told since then nobody knows.
    let is_lost = place == Some(None);
    let feed = Feed {
        history: Arc::clone(history),
        newest: history.follow(),
        place: place.flatten().unwrap_or_else(|| history.start()),
        waiting: is_lost
            .then(|| EventView::missed(None))
            .into_iter()
            .collect(),
        watch,
        _stream: stream,
    };
    let events = stream::unfold(feed, Feed::next);
    Ok(Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    let id = id.ok_or_else(|| {
        Problem::field(LAST_EVENT_ID, "expected the id of an event, as it was sent")
    });
    id.map(Some)
}
