//! Asking a registry within bounds: authentication, redirects, patience.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, RANGE};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, redirect};

use super::RegistryOptions;
use super::answer::{failure, message, retry_after, shown};
use super::auth::{Access, Authenticator};
use super::patience::Patience;
use crate::{Error, Limits};

pub(super) struct Http {
    pub(super) client: reqwest::Client,
    /// For token servers. A token request may carry a secret in its body, which reqwest sends on with a redirect.
    pub(super) token_client: reqwest::Client,
    pub(super) base: Url,
    pub(super) limits: Limits,
    pub(super) auth: Authenticator,
}

impl Http {
    pub(super) fn new(
        host: &str,
        repository: &str,
        options: RegistryOptions,
    ) -> Result<Self, Error> {
        let scheme = if options.plain_http { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/"))
            .map_err(|_| Error::malformed("host of the registry", "expected HOST[:PORT]"))?;
        let most = options.limits.redirects;
        let client = client_with(&options, redirects(most))?;
        let token_client = client_with(&options, redirects_at_home(most))?;
        let auth = Authenticator::new(repository, options.credentials);
        Ok(Self {
            client,
            token_client,
            base,
            limits: options.limits,
            auth,
        })
    }

    pub(super) async fn get(
        &self,
        path: &str,
        accept: &[&str],
        offset: u64,
    ) -> Result<Response, Error> {
        self.send(Access::Pull, |client, base| {
            let request = client
                .get(address(base, path))
                .header(ACCEPT, accept.join(", "));
            if offset == 0 {
                request
            } else {
                request.header(RANGE, format!("bytes={offset}-"))
            }
        })
        .await
    }

    pub(super) async fn head(&self, path: &str) -> Result<Response, Error> {
        self.send(Access::Pull, |client, base| {
            client.request(Method::HEAD, address(base, path))
        })
        .await
    }

    /// Host and port, as people write it.
    pub(super) fn registry(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Sends a request until it is answered well, or that has no prospect any more.
    async fn send(
        &self,
        access: Access,
        request: impl Fn(&reqwest::Client, &Url) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let mut patience = Patience::new(&self.limits);
        loop {
            match self
                .send_once(access, || request(&self.client, &self.base))
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(error) => patience.after(error).await?,
            }
        }
    }

    /// Sends a request, and again if the registry wants to know who we are.
    pub(super) async fn send_once(
        &self,
        access: Access,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, Error> {
        let answer = self
            .exchange(self.authorized(access, request()).await)
            .await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.judge(answer).await;
        }
        self.auth.answer(self, access, &answer).await?;
        let answer = self
            .exchange(self.authorized(access, request()).await)
            .await?;
        self.judge(answer).await
    }

    /// Sends a request that is none of the registry's: without credentials.
    pub(super) async fn send_elsewhere(&self, request: RequestBuilder) -> Result<Response, Error> {
        let answer = self.exchange(request).await?;
        self.judge(answer).await
    }

    async fn authorized(&self, access: Access, request: RequestBuilder) -> RequestBuilder {
        match self.auth.current(access).await {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        }
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Response, Error> {
        let answer = request.send().await;
        answer.map_err(|error| failure(&shown(&self.base), self.limits.idle, error))
    }

    async fn judge(&self, answer: Response) -> Result<Response, Error> {
        let status = answer.status();
        let url = shown(answer.url());
        match status {
            status if status.is_success() => Ok(answer),
            StatusCode::NOT_FOUND => Err(Error::NotFound { what: url }),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.unauthorized(self.auth.describe(status)))
            }
            StatusCode::TOO_MANY_REQUESTS => Err(self.busy(retry_after(&answer))),
            StatusCode::SERVICE_UNAVAILABLE if retry_after(&answer).is_some() => {
                Err(self.busy(retry_after(&answer)))
            }
            status => Err(Error::Status {
                url,
                status: status.as_u16(),
                message: message(answer).await,
            }),
        }
    }

    fn busy(&self, retry_after: Option<Duration>) -> Error {
        Error::TooManyRequests {
            registry: self.registry(),
            retry_after,
        }
    }

    pub(super) fn unauthorized(&self, detail: String) -> Error {
        Error::Unauthorized {
            registry: self.registry(),
            detail,
        }
    }
}

fn client_with(
    options: &RegistryOptions,
    redirects: redirect::Policy,
) -> Result<reqwest::Client, Error> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("lazymesh/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.limits.idle)
        .read_timeout(options.limits.idle)
        .redirect(redirects);
    if let Some(pem) = &options.ca {
        let unreadable = |_| Error::malformed("CA certificates", "expected certificates in PEM");
        builder = builder
            .tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).map_err(unreadable)?);
    }
    builder
        .build()
        .map_err(|_| Error::malformed("CA certificates", "expected certificates that TLS can use"))
}

/// A path below the registry. Paths are made of checked names and digests.
pub(super) fn address(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url
}

/// Follows at most `most` redirects and none from https to http. reqwest itself drops `Authorization` when host or
/// port change.
fn redirects(most: usize) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        let downgrade = attempt.url().scheme() != "https"
            && attempt
                .previous()
                .last()
                .is_some_and(|previous| previous.scheme() == "https");
        if downgrade {
            attempt.error("from https to http")
        } else if attempt.previous().len() > most {
            attempt.error("too many of them")
        } else {
            attempt.follow()
        }
    })
}

/// Follows at most `most` redirects, and none to another scheme, host or port.
fn redirects_at_home(most: usize) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        let is_elsewhere = attempt
            .previous()
            .last()
            .is_some_and(|previous| previous.origin() != attempt.url().origin());
        if is_elsewhere {
            attempt.error("a token request stays at its server")
        } else if attempt.previous().len() > most {
            attempt.error("too many of them")
        } else {
            attempt.follow()
        }
    })
}
