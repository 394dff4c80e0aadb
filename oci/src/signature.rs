//! Signatures as cosign makes them with a key pair, made and checked without any service on the network.
//!
//! What is signed is a small JSON document that holds the digest of the manifest ("simple signing"). It is the layer
//! of an image under the tag `sha256-<digest>.sig`, the signature an annotation of that layer; several signers share
//! one such image. Every version of cosign verifies these, so they are what is made here. cosign itself makes bundles
//! since version 3: see `bundle.rs`.
//!
//! Nothing here looks into a transparency log: with cosign that is
//! `cosign verify --key … --insecure-ignore-tlog=true`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::artifact::ImageConfig;
use crate::manifest::{Descriptor, Manifest};
use crate::repository::find_manifest;
use crate::{
    Artifact, Digest, Error, PrivateKey, PublicKey, Repository, bundle, fetch, media, push,
    referrers,
};

const PAYLOAD_TYPE: &str = "cosign container image signature";
/// Bytes of a payload that are worth reading; ours has 250.
const MOST_PAYLOAD: u64 = 64 << 10;

/// Why a key or signature is of no use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// Bytes that should hold a key.
    #[error("not {0}")]
    NotAKey(&'static str),
    /// An encrypted key without its password.
    #[error("the private key is encrypted and needs its password")]
    PasswordNeeded,
    /// An encrypted key with another password.
    #[error("the password does not open the private key")]
    WrongPassword,
    /// Nobody has signed.
    #[error("{0} has no signature")]
    None(Digest),
    /// Somebody else has signed, or something else was signed.
    #[error("none of the {count} signatures of {digest} is a valid one by this key")]
    Invalid {
        /// The manifest.
        digest: Digest,
        /// Signatures looked at.
        count: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Payload {
    critical: Critical,
    optional: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference")]
    reference: String,
}

#[derive(Serialize, Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: Digest,
}

/// Signs the manifest `digest` and stores the signature beside those there are. True if something was sent.
///
/// `name` is what the signer calls the repository; cosign writes it into the payload, and nobody checks it.
///
/// # Errors
/// When the signature is not known to be stored.
pub async fn sign(
    repository: &dyn Repository,
    digest: &Digest,
    name: &str,
    key: &PrivateKey,
) -> Result<bool, Error> {
    let payload = payload(digest, name);
    let layer = Descriptor::of(media::SIMPLE_SIGNING, &payload)
        .annotated(media::COSIGN_SIGNATURE, key.sign(&payload));
    let work = async {
        let mut layers = existing(repository, digest).await?;
        if layers.iter().any(|(known, _)| *known == layer) {
            return Ok(false);
        }
        layers.push((layer, payload));
        let artifact = image_of(layers);
        let pushed = push::store(
            repository,
            &referrers::signature_tag(digest),
            &artifact,
            &fetch::unobserved,
        )
        .await?;
        Ok(pushed.uploads > 0)
    };
    repository.limits().within("sign", work).await
}

/// Checks that somebody with the private half of `key` signed the manifest `digest`, in either of cosign's ways: under
/// its tag, or in a bundle that refers to the manifest.
///
/// # Errors
/// [`SignatureError::None`] or [`SignatureError::Invalid`] if not, and whatever kept us from finding out.
pub async fn verify_signature(
    repository: &dyn Repository,
    digest: &Digest,
    key: &PublicKey,
) -> Result<(), Error> {
    let work = async {
        let tagged = existing(repository, digest).await?;
        let valid = |(layer, payload): &(Descriptor, Bytes)| is_valid(layer, payload, digest, key);
        if tagged.iter().any(valid) {
            return Ok(());
        }
        let bundled = bundle::verdicts(repository, digest, key).await?;
        if bundled.contains(&true) {
            return Ok(());
        }
        let error = match tagged.len() + bundled.len() {
            0 => SignatureError::None(*digest),
            count => SignatureError::Invalid {
                digest: *digest,
                count,
            },
        };
        Err(error.into())
    };
    repository.limits().within("verify", work).await
}

fn is_valid(layer: &Descriptor, payload: &[u8], digest: &Digest, key: &PublicKey) -> bool {
    let Some(signature) = layer.annotations.get(media::COSIGN_SIGNATURE) else {
        return false;
    };
    let Ok(signed) = serde_json::from_slice::<Payload>(payload) else {
        return false;
    };
    key.verifies(payload, signature)
        && signed.critical.kind == PAYLOAD_TYPE
        && signed.critical.image.digest == *digest
}

async fn existing(
    repository: &dyn Repository,
    digest: &Digest,
) -> Result<Vec<(Descriptor, Bytes)>, Error> {
    let Some(raw) = find_manifest(repository, &referrers::signature_tag(digest)).await? else {
        return Ok(Vec::new());
    };
    let Manifest { layers, .. } = raw.image(repository.limits())?;
    let mut signatures = Vec::new();
    for layer in layers
        .into_iter()
        .filter(|layer| layer.media_type == media::SIMPLE_SIGNING)
    {
        if layer.size > MOST_PAYLOAD {
            return Err(Error::TooLarge {
                what: "signed payload".to_owned(),
                limit: MOST_PAYLOAD,
            });
        }
        let payload = fetch::blob(repository, &layer).await?;
        signatures.push((layer, payload));
    }
    Ok(signatures)
}

fn payload(digest: &Digest, name: &str) -> Bytes {
    let payload = Payload {
        critical: Critical {
            identity: Identity {
                reference: name.to_owned(),
            },
            image: Image { digest: *digest },
            kind: PAYLOAD_TYPE.to_owned(),
        },
        optional: None,
    };
    // A struct of strings always serialises.
    serde_json::to_vec(&payload).unwrap_or_default().into()
}

fn image_of(layers: Vec<(Descriptor, Bytes)>) -> Artifact {
    let diff_ids = layers.iter().map(|(layer, _)| layer.digest).collect();
    Artifact::image(layers, &ImageConfig::new("", "", diff_ids), BTreeMap::new())
}
