//! Writing to a registry: a blob in two requests, a manifest in one.

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Response, Url};

use super::answer::shown;
use super::auth::Access;
use super::http::{Http, address};
use super::patience::Patience;
use crate::manifest::{Descriptor, RawManifest};
use crate::{Error, Pointer};

impl Http {
    /// Stores a blob of the repository `name`.
    pub(super) async fn put_blob(
        &self,
        name: &str,
        blob: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        let mut patience = Patience::new(&self.limits);
        // Both requests anew: an upload that went wrong in the middle need not be there any more.
        while let Err(error) = self.put_blob_once(name, blob, bytes).await {
            patience.after(error).await?;
        }
        Ok(())
    }

    async fn put_blob_once(
        &self,
        name: &str,
        blob: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        let start = address(&self.base, &format!("/v2/{name}/blobs/uploads/"));
        let begun = || self.client.post(start.clone()).body(Bytes::new());
        let mut target = self.upload_target(&self.send_once(Access::Push, begun).await?)?;
        target
            .query_pairs_mut()
            .append_pair("digest", &blob.digest.to_string());
        let request = || {
            self.client
                .put(target.clone())
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(bytes.clone())
        };
        if target.origin() == self.base.origin() {
            self.send_once(Access::Push, request).await?;
        } else {
            self.send_elsewhere(request()).await?;
        }
        Ok(())
    }

    /// Stores a manifest of the repository `name`.
    pub(super) async fn put_manifest(
        &self,
        name: &str,
        pointer: &Pointer,
        manifest: &RawManifest,
    ) -> Result<(), Error> {
        let kind = HeaderValue::from_str(&manifest.media_type)
            .map_err(|_| Error::malformed("media type", "expected visible ASCII"))?;
        let target = address(&self.base, &format!("/v2/{name}/manifests/{pointer}"));
        let request = || {
            self.client
                .put(target.clone())
                .header(CONTENT_TYPE, kind.clone())
                .body(manifest.bytes.clone())
        };
        let mut patience = Patience::new(&self.limits);
        while let Err(error) = self.send_once(Access::Push, request).await {
            patience.after(error).await?;
        }
        Ok(())
    }

    /// Where the registry wants the bytes: at itself, or at a store that it delegates to.
    fn upload_target(&self, answer: &Response) -> Result<Url, Error> {
        let malformed =
            |reason: &str| Error::malformed("the registry's Location of an upload", reason);
        let location = answer
            .headers()
            .get(LOCATION)
            .ok_or_else(|| malformed("there is none"))?;
        let location = location
            .to_str()
            .map_err(|_| malformed("expected visible ASCII"))?;
        let target = if location.starts_with('/') {
            answer.url().join(location)
        } else {
            Url::parse(location)
        };
        let target = target.map_err(|_| malformed("expected a URL"))?;
        match (self.base.scheme(), target.scheme()) {
            (_, "https") | ("http", "http") => Ok(target),
            ("https", "http") => Err(Error::Redirect {
                url: shown(answer.url()),
                reason: "the upload would go from https to http".to_owned(),
            }),
            _ => Err(malformed("it is not of http")),
        }
    }
}
