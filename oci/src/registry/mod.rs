//! A repository of a registry that speaks the OCI distribution protocol.
//!
//! The words (references, manifests, descriptors, errors) are those of `oci-client`; the requests are made here, because
//! `oci-client` reads answers to their end however long they are, and does not show `Retry-After`.
//! `docs/adr/0005-oci-client.md` has the details.

mod answer;
mod auth;
mod http;
mod patience;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use reqwest::StatusCode;

use self::http::Http;
use crate::layout::check_digest;
use crate::manifest::{ACCEPTED, Descriptor, Index, RawManifest};
use crate::media;
use crate::repository::BlobStream;
use crate::{Credentials, Digest, Error, Limits, Pointer, Repository};

/// How to speak to a registry.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// Who we are.
    pub credentials: Credentials,
    /// http instead of https. Credentials then travel in clear.
    pub plain_http: bool,
    /// PEM certificates to trust besides those of the system.
    pub ca: Option<Vec<u8>>,
    /// Bounds on what is read and waited for.
    pub limits: Limits,
}

/// A repository of a registry.
pub struct Registry {
    repository: String,
    http: Arc<Http>,
}

impl Registry {
    /// The repository named `repository` of the registry at `host`. Nothing is asked yet.
    ///
    /// Installs ring as rustls's provider for this process unless there is one.
    ///
    /// # Errors
    /// When the host is none, or a certificate cannot be read.
    pub fn new(host: &str, repository: &str, options: RegistryOptions) -> Result<Self, Error> {
        // An error means that the program has chosen a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Arc::new(Http::new(host, repository, options)?);
        Ok(Self {
            repository: repository.to_owned(),
            http,
        })
    }

    fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.repository)
    }
}

#[async_trait]
impl Repository for Registry {
    fn limits(&self) -> &Limits {
        &self.http.limits
    }

    async fn manifest(&self, pointer: &Pointer) -> Result<RawManifest, Error> {
        let answer = self
            .http
            .get(&self.path(&format!("manifests/{pointer}")), ACCEPTED, 0)
            .await?;
        let media_type = content_type(&answer).unwrap_or_else(|| media::IMAGE_MANIFEST.to_owned());
        let what = format!("manifest {pointer}");
        let bytes = answer::read_bounded(answer, self.limits().manifest_bytes, &what).await?;
        let manifest = RawManifest { media_type, bytes };
        if let Pointer::Digest(digest) = pointer {
            check_digest(&manifest, *digest)?;
        }
        Ok(manifest)
    }

    async fn blob(&self, blob: &Descriptor, offset: u64) -> Result<BlobStream, Error> {
        let answer = self
            .http
            .get(
                &self.path(&format!("blobs/{}", blob.digest)),
                &["*/*"],
                offset,
            )
            .await?;
        let offset = if answer.status() == StatusCode::PARTIAL_CONTENT {
            offset
        } else {
            0
        };
        let (url, idle) = (answer::shown(answer.url()), self.limits().idle);
        let bytes = answer
            .bytes_stream()
            .map(move |piece| piece.map_err(|e| answer::failure(&url, idle, e)));
        Ok(BlobStream {
            offset,
            bytes: bytes.boxed(),
        })
    }

    async fn has_blob(&self, blob: &Descriptor) -> Result<bool, Error> {
        match self
            .http
            .head(&self.path(&format!("blobs/{}", blob.digest)))
            .await
        {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put_blob(&self, blob: &Descriptor, bytes: Bytes) -> Result<(), Error> {
        self.http.put_blob(&self.repository, blob, &bytes).await
    }

    async fn put_manifest(&self, pointer: &Pointer, manifest: &RawManifest) -> Result<(), Error> {
        self.http
            .put_manifest(&self.repository, pointer, manifest)
            .await
    }

    async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        let answer = self
            .http
            .get(&self.path(&format!("referrers/{subject}")), ACCEPTED, 0)
            .await;
        let answer = match answer {
            Ok(answer) if is_index(&answer) => answer,
            // No such API here: distribution 2 says 404, others answer a web page.
            Ok(_) | Err(Error::NotFound { .. }) => return Ok(None),
            Err(Error::Status {
                status: 400 | 405 | 406,
                ..
            }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes =
            answer::read_bounded(answer, self.limits().manifest_bytes, "list of referrers").await?;
        Ok(Some(
            Index::parse("list of referrers", &bytes, self.limits().referrers)?.manifests,
        ))
    }
}

fn is_index(answer: &reqwest::Response) -> bool {
    content_type(answer)
        .is_some_and(|kind| kind == oci_client::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE)
}

fn content_type(answer: &reqwest::Response) -> Option<String> {
    let value = answer
        .headers()
        .get(reqwest::header::CONTENT_TYPE)?
        .to_str()
        .ok()?;
    Some(value.split(';').next().unwrap_or(value).trim().to_owned())
}
