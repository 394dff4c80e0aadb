//! Answering a registry's `WWW-Authenticate`: basic, or a bearer token from where the registry says.
//!
//! Credentials leave for two places only: the registry they are for, and the token server it names, which must speak
//! https if the registry does. A challenge from wherever a redirect led is not answered, and no redirect takes a request
//! for a token to another server.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_auth::ChallengeRef;
use http_auth::parser::ChallengeParser;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::RwLock;

use super::answer::{failure, read_bounded, shown};
use super::http::Http;
use crate::{Credentials, Error};

/// What a token is to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Pull,
    Push,
}

pub(super) struct Authenticator {
    repository: String,
    credentials: Credentials,
    granted: RwLock<HashMap<Access, HeaderValue>>,
}

struct Challenge {
    realm: Url,
    service: Option<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
}

impl Authenticator {
    pub(super) fn new(repository: &str, credentials: Credentials) -> Self {
        Self {
            repository: repository.to_owned(),
            credentials,
            granted: RwLock::default(),
        }
    }

    /// What to send in `Authorization`, once the registry has asked for it.
    pub(super) async fn current(&self, access: Access) -> Option<HeaderValue> {
        self.granted.read().await.get(&access).cloned()
    }

    /// What was tried, for an error.
    pub(super) fn describe(&self, status: StatusCode) -> String {
        let who = match &self.credentials {
            Credentials::Anonymous => "none were given".to_owned(),
            Credentials::Basic { username, .. } => format!("as user {username:?}"),
            Credentials::IdentityToken(_) => "with an identity token".to_owned(),
        };
        format!("{who}; status {}", status.as_u16())
    }

    /// Gets what the challenge in `answer` asks for.
    pub(super) async fn answer(
        &self,
        http: &Http,
        access: Access,
        answer: &Response,
    ) -> Result<(), Error> {
        if answer.url().origin() != http.base.origin() {
            let elsewhere = shown(answer.url());
            return Err(http.unauthorized(format!(
                "a redirect led to {elsewhere}, which asks for some of its own"
            )));
        }
        let authorization = match bearer_challenge(answer, http)? {
            Some(challenge) => bearer(&self.token(http, &challenge, access).await?),
            None => self.basic(),
        };
        let authorization =
            authorization.ok_or_else(|| http.unauthorized(self.describe(answer.status())))?;
        self.granted.write().await.insert(access, authorization);
        Ok(())
    }

    fn basic(&self) -> Option<HeaderValue> {
        let Credentials::Basic { username, password } = &self.credentials else {
            return None;
        };
        let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
        secret_header(&format!("Basic {pair}"))
    }

    async fn token(
        &self,
        http: &Http,
        challenge: &Challenge,
        access: Access,
    ) -> Result<SecretString, Error> {
        let actions = if access == Access::Push {
            "pull,push"
        } else {
            "pull"
        };
        let scope = format!("repository:{}:{actions}", self.repository);
        let mut fields = vec![("scope", scope.as_str())];
        if let Some(service) = &challenge.service {
            fields.push(("service", service));
        }
        let realm = challenge.realm.clone();
        let request = match &self.credentials {
            Credentials::Anonymous => http.client.get(realm).query(&fields),
            Credentials::Basic { username, password } => http
                .token_client
                .get(realm)
                .query(&fields)
                .basic_auth(username, Some(password.expose_secret())),
            Credentials::IdentityToken(token) => {
                fields.extend([("grant_type", "refresh_token"), ("client_id", "lazymesh")]);
                fields.push(("refresh_token", token.expose_secret()));
                http.token_client.post(realm).form(&fields)
            }
        };
        let url = shown(&challenge.realm);
        let answer = request
            .send()
            .await
            .map_err(|e| failure(&url, http.limits.idle, e))?;
        if !answer.status().is_success() {
            return Err(http.unauthorized(format!("{url}: {}", self.describe(answer.status()))));
        }
        let bytes = read_bounded(answer, http.limits.token_bytes, "token").await?;
        // The text of a serde error could quote the token.
        let unusable = || {
            Error::malformed(
                format!("token from {url}"),
                "no JSON object with a usable `token`",
            )
        };
        let answer: TokenAnswer = serde_json::from_slice(&bytes).map_err(|_| unusable())?;
        let token = answer.token.or(answer.access_token).ok_or_else(unusable)?;
        let usable = !token.expose_secret().is_empty()
            && token
                .expose_secret()
                .bytes()
                .all(|byte| byte.is_ascii_graphic());
        if usable { Ok(token) } else { Err(unusable()) }
    }
}

fn bearer(token: &SecretString) -> Option<HeaderValue> {
    secret_header(&format!("Bearer {}", token.expose_secret()))
}

/// None if the secret has characters that no header may have.
fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The bearer challenge among those in an answer; none if the registry wants another scheme.
fn bearer_challenge(answer: &Response, http: &Http) -> Result<Option<Challenge>, Error> {
    for header in answer.headers().get_all(WWW_AUTHENTICATE) {
        let Ok(text) = header.to_str() else { continue };
        for challenge in ChallengeParser::new(text).flatten() {
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                return realm_of(&challenge, http).map(Some);
            }
        }
    }
    Ok(None)
}

fn realm_of(challenge: &ChallengeRef<'_>, http: &Http) -> Result<Challenge, Error> {
    let malformed = |reason: &str| Error::malformed("the registry's WWW-Authenticate", reason);
    let field = |name: &str| {
        let (_, value) = challenge
            .params
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.to_unescaped())
    };
    let realm = field("realm").ok_or_else(|| malformed("no realm"))?;
    let realm = Url::parse(&realm).map_err(|_| malformed("expected a URL as realm"))?;
    if realm.scheme() != "https" && (realm.scheme() != "http" || http.base.scheme() == "https") {
        return Err(malformed("the token server does not speak https"));
    }
    Ok(Challenge {
        realm,
        service: field("service"),
    })
}
