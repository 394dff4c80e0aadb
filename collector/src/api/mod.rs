//! REST, on two routers: ingest for filters, admin for people and programs.
//!
//! Handlers translate between HTTP and the view, and each takes only what it needs; no rule of lazymesh is in here.

mod access_log;
mod always_visible;
mod aside;
mod body;
mod canaries;
mod events;
mod explain;
mod external_hosts;
mod extract;
mod graph;
mod host;
mod ingest;
mod openapi;
mod operations;
mod page;
mod plan;
mod problem;
mod responses;
mod services;
mod sidecars;
mod token;
mod unread;
mod views;
mod walk;
mod workloads;

use std::sync::Arc;

use axum::error_handling::HandleErrorLayer;
use axum::extract::FromRef;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{BoxError, Router};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use utoipa_axum::router::OpenApiRouter;

pub use self::openapi::document;
pub use self::problem::{PROBLEM_JSON, Problem};
pub use self::token::{Token, TokenError};

pub(crate) use self::access_log::{LogStations, routes as access_log};
pub(crate) use self::events::Events;
pub(crate) use self::ingest::{Ingest, Stations};
use self::problem::Kind;
use self::token::Guard;
use crate::canary::Canaries;
use crate::learn::Forgetter;
use crate::publish::scopes::PublishedScopes;
use crate::runtime::metrics::Metrics;
use crate::runtime::readiness::Readiness;
use crate::state::SharedView;

/// Most requests that the admin port works on at once; further ones are told to come back.
const ADMIN_REQUESTS: usize = 64;

/// State of the admin routes.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) view: Arc<SharedView>,
    pub(crate) published: Arc<PublishedScopes>,
    pub(crate) forgetter: Arc<Forgetter>,
    pub(crate) canaries: Arc<Canaries>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) events: Arc<Events>,
}

impl FromRef<Admin> for Arc<Events> {
    fn from_ref(admin: &Admin) -> Self {
        Self::clone(&admin.events)
    }
}

impl FromRef<Admin> for Arc<SharedView> {
    fn from_ref(admin: &Admin) -> Self {
        Self::clone(&admin.view)
    }
}

impl FromRef<Admin> for Arc<PublishedScopes> {
    fn from_ref(admin: &Admin) -> Self {
        Self::clone(&admin.published)
    }
}

impl FromRef<Admin> for Arc<Canaries> {
    fn from_ref(admin: &Admin) -> Self {
        Self::clone(&admin.canaries)
    }
}

impl FromRef<Admin> for Arc<Forgetter> {
    fn from_ref(admin: &Admin) -> Self {
        Self::clone(&admin.forgetter)
    }
}

fn described_probes() -> OpenApiRouter<Arc<Readiness>> {
    operations::liveness().merge(operations::readiness())
}

fn admin_routes() -> OpenApiRouter<Admin> {
    workloads::routes()
        .merge(services::routes())
        .merge(graph::routes())
        .merge(events::routes())
        .merge(sidecars::routes())
        .merge(plan::routes())
        .merge(canaries::routes())
        .merge(explain::routes())
        .merge(always_visible::routes())
        .merge(external_hosts::routes())
        .merge(operations::routes())
}

/// The router of the ingest listener.
pub(crate) fn ingest(ingest: Ingest) -> Router {
    let readiness = Arc::clone(ingest.readiness());
    let (routes, _) = ingest::routes().split_for_parts();
    let (liveness, _) = operations::liveness().split_for_parts();
    with_fallbacks(
        routes
            .with_state(ingest)
            .merge(liveness.with_state(readiness)),
    )
}

/// The router of the admin listener. With a token, everything but the probes asks for it.
pub(crate) fn admin(admin: Admin, token: Option<Token>) -> Router {
    let (mut routes, _) = admin_routes().split_for_parts();
    if let Some(token) = token {
        let metrics = Arc::clone(&admin.metrics);
        let guard = Arc::new(Guard { token, metrics });
        routes = routes.route_layer(from_fn_with_state(guard, token::require));
    }
    let (probes, _) = described_probes().split_for_parts();
    let readiness = Arc::clone(&admin.readiness);
    let routes = shedding(routes.with_state(admin), ADMIN_REQUESTS);
    with_fallbacks(routes.merge(probes.with_state(readiness)))
}

/// A router that takes only what is meant for this machine.
pub(crate) fn for_this_machine(router: Router) -> Router {
    router.layer(from_fn(host::require_local))
}

/// The router of the port for probes.
pub(crate) fn probes(readiness: Arc<Readiness>) -> Router {
    with_fallbacks(operations::probes().with_state(readiness))
}

/// Answers what is more than `requests` at once with 503, at once: waiting would only make it later.
fn shedding(routes: Router, requests: usize) -> Router {
    let layers = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(overloaded))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(requests));
    routes.route_layer(layers)
}

async fn overloaded(_: BoxError) -> Problem {
    Problem::overloaded()
}

fn with_fallbacks(routes: Router) -> Router {
    routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
}

async fn no_such_path() -> Problem {
    Problem::new(
        Kind::NotFound,
        "this listener has no such path; GET /openapi.json on the admin port lists them all",
    )
}

async fn no_such_method() -> Problem {
    Problem::new(
        Kind::MethodNotAllowed,
        "the header `allow` lists the methods that this path has",
    )
}
