//! REST, on two routers: ingest for filters, admin for people and programs.
//!
//! Handlers translate between HTTP and [`Collector`]; no rule of lazymesh is in here.

mod body;
mod external_hosts;
mod extract;
mod graph;
mod ingest;
mod openapi;
mod operations;
mod page;
mod problem;
mod responses;
mod services;
mod sidecars;
mod token;
mod views;
mod workloads;

use std::sync::Arc;

use axum::error_handling::HandleErrorLayer;
use axum::{BoxError, Router};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use utoipa_axum::router::OpenApiRouter;

pub use self::openapi::document;
pub use self::problem::{PROBLEM_JSON, Problem};
pub use self::token::{Token, TokenError};

use self::ingest::Ingest;
use self::problem::Kind;
use crate::ingest::IngestIdentity;
use crate::state::Collector;

/// Most requests that the admin port works on at once; further ones are told to come back.
const ADMIN_REQUESTS: usize = 64;

fn ingest_routes() -> OpenApiRouter<Ingest> {
    ingest::routes()
}

fn admin_routes() -> OpenApiRouter<Arc<Collector>> {
    protected_routes()
        .merge(operations::liveness())
        .merge(operations::readiness())
}

fn protected_routes() -> OpenApiRouter<Arc<Collector>> {
    workloads::routes()
        .merge(services::routes())
        .merge(graph::routes())
        .merge(sidecars::routes())
        .merge(external_hosts::routes())
        .merge(operations::routes())
}

/// The router of the ingest listener.
pub fn ingest(collector: Arc<Collector>, identity: IngestIdentity) -> Router {
    let state = Ingest::new(Arc::clone(&collector), identity);
    let (routes, _) = ingest_routes().split_for_parts();
    let (liveness, _) = operations::liveness().split_for_parts();
    with_fallbacks(
        routes
            .with_state(state)
            .merge(liveness.with_state(collector)),
    )
}

/// The router of the admin listener. With a token, everything but the probes asks for it.
pub fn admin(collector: Arc<Collector>, token: Option<Token>) -> Router {
    let (mut routes, _) = protected_routes().split_for_parts();
    if let Some(token) = token {
        let token = axum::middleware::from_fn_with_state(Arc::new(token), token::require);
        routes = routes.route_layer(token);
    }
    let probes = operations::liveness().merge(operations::readiness());
    let (probes, _) = probes.split_for_parts();
    let routes = shedding(routes.with_state(Arc::clone(&collector)), ADMIN_REQUESTS);
    with_fallbacks(routes.merge(probes.with_state(collector)))
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
