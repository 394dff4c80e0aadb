//! Writing to a registry, by `oci-client`.

use bytes::Bytes;
use futures::stream;
use oci_client::Reference;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::token_cache::{RegistryOperation, RegistryToken, RegistryTokenType};
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret as _;

use super::RegistryOptions;
use super::auth::{Access, Authorization};
use super::http::{Http, failure, shown};
use crate::error::excerpt;
use crate::manifest::{Descriptor, RawManifest};
use crate::{Error, Pointer};

/// Bytes handed to the connection at a time.
const PIECE: usize = 64 << 10;

pub(super) struct Uploader {
    client: oci_client::Client,
    host: String,
    repository: String,
}

enum Upload<'a> {
    Blob(&'a Descriptor, &'a Bytes),
    Manifest(&'a Pointer, &'a RawManifest, HeaderValue),
}

impl Uploader {
    pub(super) fn new(
        host: &str,
        repository: &str,
        options: &RegistryOptions,
    ) -> Result<Self, Error> {
        let ca = options.ca.iter().map(|pem| Certificate {
            encoding: CertificateEncoding::Pem,
            data: pem.clone(),
        });
        let config = ClientConfig {
            protocol: if options.plain_http {
                ClientProtocol::Http
            } else {
                ClientProtocol::Https
            },
            // One request instead of three for a blob, and streamed; every registry must take it.
            use_monolithic_push: true,
            extra_root_certificates: ca.collect(),
            connect_timeout: Some(options.limits.idle),
            read_timeout: Some(options.limits.idle),
            // Tokens are renewed here, when the registry refuses one.
            default_token_expiration_secs: 24 * 60 * 60,
            user_agent: concat!("lazymesh/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = config
            .try_into()
            .map_err(|e: OciDistributionError| Error::malformed("TLS set-up", e))?;
        Ok(Self {
            client,
            host: host.to_owned(),
            repository: repository.to_owned(),
        })
    }

    pub(super) async fn blob(
        &self,
        http: &Http,
        blob: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        self.authorized(http, &Upload::Blob(blob, bytes)).await
    }

    pub(super) async fn manifest(
        &self,
        http: &Http,
        pointer: &Pointer,
        manifest: &RawManifest,
    ) -> Result<(), Error> {
        let kind = HeaderValue::from_str(&manifest.media_type)
            .map_err(|e| Error::malformed("media type", e))?;
        self.authorized(http, &Upload::Manifest(pointer, manifest, kind))
            .await
    }

    async fn once(&self, upload: &Upload<'_>) -> Result<(), OciDistributionError> {
        match upload {
            Upload::Blob(blob, bytes) => {
                let (target, digest) = (self.reference("latest"), blob.digest.to_string());
                self.client
                    .push_blob_stream(&target, pieces((*bytes).clone()), &digest, Some(blob.size))
                    .await?;
            }
            Upload::Manifest(pointer, manifest, kind) => {
                // A digest is passed off as a tag: both make the same URL, and when a registry sends no Location (AWS
                // ECR) oci-client 0.18 panics on a reference that has no tag.
                let target = self.reference(&pointer.to_string());
                self.client
                    .push_manifest_raw(&target, manifest.bytes.clone(), kind.clone())
                    .await?;
            }
        }
        Ok(())
    }

    fn reference(&self, tag: &str) -> Reference {
        Reference::with_tag(self.host.clone(), self.repository.clone(), tag.to_owned())
    }

    /// Runs an upload as whoever the registry wants us to be, and again when it was refused or had bad luck.
    async fn authorized(&self, http: &Http, upload: &Upload<'_>) -> Result<(), Error> {
        let mut challenged = false;
        let mut attempt = 0;
        self.present_authorization(http).await;
        loop {
            let Err(error) = self.once(upload).await else {
                return Ok(());
            };
            let error = meaning(http, error);
            if matches!(error, Error::Unauthorized { .. }) && !challenged {
                challenged = true;
                self.ask_for_challenge(http).await?;
                self.present_authorization(http).await;
                continue;
            }
            attempt += 1;
            let Some(pause) = http.pause_after(&error, attempt) else {
                return Err(error);
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Learns from `/v2/` how to authenticate, since `oci-client` does not hand on the challenge it got.
    async fn ask_for_challenge(&self, http: &Http) -> Result<(), Error> {
        let mut url = http.base.clone();
        url.set_path("/v2/");
        let answer = http.client.get(url).send().await;
        let answer = answer.map_err(|e| failure(&shown(&http.base), http.limits.idle, e))?;
        if answer.status() == reqwest::StatusCode::UNAUTHORIZED {
            return http.auth.answer(http, Access::Push, &answer).await;
        }
        Err(http.unauthorized(http.auth.describe(reqwest::StatusCode::UNAUTHORIZED)))
    }

    /// Fills `oci-client`'s token cache, so that it never runs its own, unbounded exchange with a token server.
    async fn present_authorization(&self, http: &Http) {
        let Some(authorization) = http.auth.granted(Access::Push).await else {
            return;
        };
        let (auth, token) = match authorization {
            Authorization::Bearer(token) => {
                let token = token.expose_secret().to_owned();
                (
                    RegistryAuth::Bearer(token.clone()),
                    RegistryTokenType::Bearer(RegistryToken::Token { token }),
                )
            }
            Authorization::Basic { username, password } => {
                let password = password.expose_secret().to_owned();
                let auth = RegistryAuth::Basic(username.clone(), password.clone());
                (auth, RegistryTokenType::Basic(username, password))
            }
        };
        self.client.store_auth_if_needed(&self.host, &auth).await;
        self.client
            .tokens
            .insert(&self.reference("latest"), RegistryOperation::Push, token)
            .await;
    }
}

fn pieces(
    bytes: Bytes,
) -> impl futures::Stream<Item = Result<Bytes, OciDistributionError>> + Send + 'static {
    stream::unfold(bytes, |mut rest| async move {
        let piece = rest.split_to(PIECE.min(rest.len()));
        (!piece.is_empty()).then_some((Ok(piece), rest))
    })
}

fn meaning(http: &Http, error: OciDistributionError) -> Error {
    match error {
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::ServerError {
            code: 401 | 403, ..
        } => http.unauthorized(http.auth.describe(reqwest::StatusCode::UNAUTHORIZED)),
        OciDistributionError::ServerError { code: 429, .. } => Error::TooManyRequests {
            registry: http.registry(),
            retry_after: None,
        },
        OciDistributionError::ServerError { code, url, message } => {
            let url = reqwest::Url::parse(&url).map_or_else(|_| http.registry(), |url| shown(&url));
            Error::Status {
                url,
                status: code,
                message: excerpt(&message),
            }
        }
        OciDistributionError::RequestError(error) => {
            failure(&shown(&http.base), http.limits.idle, error)
        }
        other => Error::malformed("answer to an upload", other),
    }
}
