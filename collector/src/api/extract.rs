//! Paths and queries, with problems instead of axum's plain-text refusals.

use axum::extract::FromRequestParts;
use http::request::Parts;
use lazymesh_core::{NameError, Workload};
use serde::de::DeserializeOwned;

use crate::api::problem::{Kind, Problem};

/// The query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::try_from_uri(&parts.uri);
        let query = query.map_err(|_| {
            Problem::new(
                Kind::MalformedRequest,
                "the query is not a list of known key=value pairs",
            )
        })?;
        Ok(Self(query.0))
    }
}

/// The last segment of a path: a namespace, whatever it is.
pub(crate) struct Namespace(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Namespace {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        Ok(Self(path.map_err(|_| malformed())?.0))
    }
}

/// The two last segments of a path: a namespace and a name, whatever they are.
pub(crate) struct Names {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Names {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<(String, String)>::from_request_parts(parts, state).await;
        let (namespace, name) = path.map_err(|_| malformed())?.0;
        Ok(Self { namespace, name })
    }
}

fn malformed() -> Problem {
    Problem::new(
        Kind::MalformedRequest,
        "the path is not percent-encoded UTF-8",
    )
}

/// [`Names`] that Kubernetes could have.
pub(crate) struct Named(pub(crate) Workload);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Names { namespace, name } = Names::from_request_parts(parts, state).await?;
        Workload::new(namespace, name)
            .map(Self)
            .map_err(|error| match error {
                NameError::Namespace => Problem::field("namespace", error.to_string()),
                _ => Problem::field("name", error.to_string()),
            })
    }
}
