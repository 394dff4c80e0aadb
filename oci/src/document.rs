//! Documents about a module, as an artifact's referrers carry them.

use bytes::Bytes;
use lazymesh_documents::Reading;

use crate::error::excerpt;
use crate::{Digest, Error};

/// A document about an artifact, stored as one of its referrers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Media type, and with it the kind of the referrer: see [`crate::media`].
    pub media_type: String,
    /// File name to give it.
    pub title: String,
    /// The document itself.
    pub bytes: Bytes,
}

impl Document {
    /// Takes in a document about the module with the digest `module`. `name` is what its title starts with, such as
    /// `filter`.
    ///
    /// # Errors
    /// When it is neither a bill of materials nor provenance, or does not name this module by its SHA-256: then it was
    /// written about another one.
    pub fn about(
        module: &Digest,
        name: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<(Self, Reading), Error> {
        let bytes = bytes.into();
        let reading = read_about(module, &bytes)?;
        let document = Self {
            media_type: reading.kind.media_type().to_owned(),
            title: format!("{name}.{}", reading.kind.ending()),
            bytes,
        };
        Ok((document, reading))
    }
}

/// Reads a document, which must name `subject`: a module, or the manifest of an image.
pub(crate) fn read_about(subject: &Digest, bytes: &[u8]) -> Result<Reading, Error> {
    let reading =
        lazymesh_documents::read(bytes).map_err(|e| Error::Document(excerpt(&e.to_string())))?;
    if reading.subjects.contains(&subject.hex()) {
        return Ok(reading);
    }
    let reason = match reading.subjects.first() {
        Some(other) => format!("it is about sha256:{}", excerpt(other)),
        None => "it names no file by its SHA-256".to_owned(),
    };
    Err(Error::NotAbout {
        subject: *subject,
        reason,
    })
}
