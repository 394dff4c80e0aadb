//! Tells a connection whose turn it is: the client's, until its request is whole, then the collector's.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use tower::ServiceExt;

use crate::runtime::serve::places::Connection;

/// A router on one connection.
pub(super) struct Turns {
    pub(super) router: Router,
    pub(super) connection: Arc<Connection>,
}

impl Service<Request<Incoming>> for Turns {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = Arc::clone(&self.connection);
        let request = request.map(|body| Body::new(Receiving::new(body, &connection)));
        let answer = self.router.clone().oneshot(request);
        Box::pin(async move {
            let answer = answer.await;
            connection.answered();
            answer
        })
    }
}

/// The body of a request that is on its way.
struct Receiving {
    body: Incoming,
    connection: Arc<Connection>,
}

impl Receiving {
    fn new(body: Incoming, connection: &Arc<Connection>) -> Self {
        let connection = Arc::clone(connection);
        let receiving = Self { body, connection };
        receiving.look();
        receiving
    }

    fn look(&self) {
        if self.body.is_end_stream() {
            self.connection.working();
        }
    }
}

impl HttpBody for Receiving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        match &frame {
            Poll::Ready(None) => this.connection.working(),
            Poll::Ready(Some(Ok(_))) => this.look(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
