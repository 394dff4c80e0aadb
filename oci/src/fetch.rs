//! Reading blobs that nobody vouches for: every byte is counted and hashed on its way, and a transfer that was cut
//! goes on where it stopped.

use bytes::Bytes;
use futures::StreamExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::digest::Hasher;
use crate::manifest::{Descriptor, Manifest};
use crate::{Digest, Error, Repository};

/// Told how far a transfer is: content, bytes so far, bytes in all.
pub type Progress<'a> = &'a (dyn Fn(&Descriptor, u64) + Send + Sync);

/// For callers who do not look.
pub(crate) fn unobserved(_: &Descriptor, _: u64) {}

/// Writes a blob to `sink`. Only when this returns `Ok` is what was written the blob.
pub(crate) async fn blob_into(
    repository: &dyn Repository,
    blob: &Descriptor,
    sink: &mut (dyn AsyncWrite + Unpin + Send),
    progress: Progress<'_>,
) -> Result<(), Error> {
    let limits = repository.limits();
    if blob.size > limits.module_bytes {
        return Err(Error::TooLarge {
            what: what(blob),
            limit: limits.module_bytes,
        });
    }
    let mut transfer = Transfer {
        blob,
        hasher: Hasher::default(),
        received: 0,
        progress,
    };
    let mut attempt = 0;
    while let Err(error) = transfer.go_on(repository, sink).await {
        attempt += 1;
        if !error.is_transient() || attempt >= limits.attempts {
            return Err(error);
        }
        tracing::debug!(%error, blob = %blob.digest, received = transfer.received, "transfer was cut, going on");
        tokio::time::sleep(limits.pause(attempt)).await;
    }
    transfer.finish()
}

/// A whole blob in memory.
pub(crate) async fn blob(repository: &dyn Repository, blob: &Descriptor) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    blob_into(repository, blob, &mut bytes, &unobserved).await?;
    Ok(bytes.into())
}

/// Reads the blobs of `manifest`, without that of digest `read`, only to see that each is what it is said to be.
pub(crate) async fn check_others(
    repository: &dyn Repository,
    manifest: &Manifest,
    read: Option<&Digest>,
) -> Result<(), Error> {
    for blob in manifest.blobs() {
        if read != Some(&blob.digest) {
            blob_into(repository, blob, &mut tokio::io::sink(), &unobserved).await?;
        }
    }
    Ok(())
}

struct Transfer<'a> {
    blob: &'a Descriptor,
    hasher: Hasher,
    received: u64,
    progress: Progress<'a>,
}

impl Transfer<'_> {
    async fn go_on(
        &mut self,
        repository: &dyn Repository,
        sink: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<(), Error> {
        let mut answer = repository.blob(self.blob, self.received).await?;
        // A registry without ranges starts again: what is here already is skipped.
        let mut skip = self.received.saturating_sub(answer.offset);
        while let Some(piece) = answer.bytes.next().await {
            let piece = piece.map_err(|error| self.cut(error))?;
            let skipped = skip.min(piece.len() as u64);
            skip -= skipped;
            let fresh = piece.slice(usize::try_from(skipped).unwrap_or(piece.len())..);
            self.take(&fresh, sink).await?;
        }
        if self.received < self.blob.size {
            Err(self.truncated())
        } else {
            Ok(())
        }
    }

    async fn take(
        &mut self,
        piece: &[u8],
        sink: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<(), Error> {
        if self.received + piece.len() as u64 > self.blob.size {
            return Err(Error::TooLarge {
                what: what(self.blob),
                limit: self.blob.size,
            });
        }
        sink.write_all(piece)
            .await
            .map_err(Error::io("output".as_ref()))?;
        self.hasher.update(piece);
        self.received += piece.len() as u64;
        (self.progress)(self.blob, self.received);
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        let (expected, actual) = (self.blob.digest, self.hasher.finish());
        if expected == actual {
            Ok(())
        } else {
            Err(Error::DigestMismatch {
                what: what(self.blob),
                expected,
                actual,
            })
        }
    }

    fn cut(&self, error: Error) -> Error {
        if matches!(error, Error::Connection { .. }) {
            self.truncated()
        } else {
            error
        }
    }

    fn truncated(&self) -> Error {
        Error::Truncated {
            what: what(self.blob),
            received: self.received,
            expected: self.blob.size,
        }
    }
}

fn what(blob: &Descriptor) -> String {
    format!("blob {}", blob.digest)
}
