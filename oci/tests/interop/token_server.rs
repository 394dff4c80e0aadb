//! A token server as docker's registry wants one: tokens are JWTs, signed with a key whose certificate it knows.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Form, Json, Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::DecodePrivateKey as _;
use serde_json::{Value, json};

pub(crate) struct TokenServer {
    pub(crate) address: SocketAddr,
    /// PEM of the certificate that tokens are checked with.
    pub(crate) certificate: String,
}

struct Inner {
    key: SigningKey,
    certificate: Vec<u8>,
    authorization: String,
    refresh_token: String,
}

impl TokenServer {
    /// Lets this user push and pull, and whoever has the refresh token; anybody pull; and refuses wrong ones.
    pub(crate) async fn start(user: &str, password: &str, refresh_token: &str) -> Self {
        let pair = rcgen::KeyPair::generate().expect("a key");
        let parameters =
            rcgen::CertificateParams::new(vec!["token".to_owned()]).expect("parameters");
        let certificate = parameters.self_signed(&pair).expect("a certificate");
        let state = Arc::new(Inner {
            key: SigningKey::from_pkcs8_der(&pair.serialize_der()).expect("P-256"),
            certificate: certificate.der().to_vec(),
            authorization: format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
            refresh_token: refresh_token.to_owned(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new()
            .route("/token", routing::get(token).post(exchange))
            .with_state(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            certificate: certificate.pem(),
        }
    }
}

async fn token(
    State(state): State<Arc<Inner>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let known = match headers.get("authorization") {
        Some(value) if *value == state.authorization => true,
        Some(_) => return Err(StatusCode::UNAUTHORIZED),
        None => false,
    };
    let access = query.get("scope").map(|scope| access(scope, known));
    Ok(Json(
        json!({ "token": state.token(&access.into_iter().collect::<Vec<_>>()) }),
    ))
}

/// An identity token (OAuth 2 calls it a refresh token) for one that lasts a minute.
async fn exchange(
    State(state): State<Arc<Inner>>,
    Form(fields): Form<HashMap<String, String>>,
) -> Result<Json<Value>, StatusCode> {
    let is = |name: &str, value: &str| fields.get(name).is_some_and(|field| field == value);
    if !is("grant_type", "refresh_token") || !is("refresh_token", &state.refresh_token) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let access = fields.get("scope").map(|scope| access(scope, true));
    let token = state.token(&access.into_iter().collect::<Vec<_>>());
    Ok(Json(json!({ "access_token": token })))
}

/// `repository:NAME:ACTIONS` as a claim, less what the asker may not.
fn access(scope: &str, known: bool) -> Value {
    let mut parts = scope.splitn(3, ':');
    let (kind, name) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let asked = parts.next().unwrap_or_default().split(',');
    let actions: Vec<_> = asked.filter(|action| known || *action == "pull").collect();
    json!({ "type": kind, "name": name, "actions": actions })
}

impl Inner {
    fn token(&self, access: &[Value]) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        let header =
            json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate)]});
        let claims = json!({
            "iss": "test", "aud": "test", "sub": "somebody", "jti": "1",
            "iat": now, "nbf": now - 10, "exp": now + 60, "access": access,
        });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}
