//! Refuses requests that are meant for another host, on ports that ask nobody who they are: a web page whose name is made to
//! point to loopback ("DNS rebinding") would call them otherwise.

use std::net::IpAddr;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::HOST;
use http::uri::Authority;

use crate::api::problem::{Kind, Problem};

/// Lets through only what is for this machine.
pub(super) async fn require_local(request: Request, next: Next) -> Result<Response, Problem> {
    let target = request.uri().authority().map(Authority::as_str);
    let header = header(request.headers());
    if target.into_iter().chain(header).all(is_local) {
        return Ok(next.run(request).await);
    }
    Err(Problem::new(
        Kind::Misdirected,
        "the header `host` must be an address, localhost or a name without a dot",
    ))
}

/// The header; what is not text is for no host of ours.
fn header(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?;
    Some(host.to_str().unwrap_or("."))
}

/// Whether nobody else can have the name: it is an address, or has no domain that somebody could own.
fn is_local(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let host = authority.host().trim_end_matches('.');
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_bare = !host.is_empty() && !host.contains('.');
    address.parse::<IpAddr>().is_ok() || is_bare || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_can_own_are_local() {
        for (authority, expect) in [
            ("localhost", true),
            ("localhost:8481", true),
            ("127.0.0.1:8481", true),
            ("[::1]:8481", true),
            ("lazymesh-collector", true),
            ("a.localhost:80", true),
            ("evil.example:8481", false),
            ("evil.example.", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:8481", false),
            (".", false),
            ("a b", false),
            ("", false),
        ] {
            assert_eq!(is_local(authority), expect, "{authority:?}");
        }
    }
}
