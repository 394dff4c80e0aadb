//! Signatures in sigstore bundles: what cosign makes since version 3, as referrers of what they sign.
//!
//! A bundle holds a DSSE envelope, that an in-toto statement, and that the digest of the signed manifest. Only bundles signed
//! with a key pair count; certificates and proofs of a transparency log are not looked at.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazymesh_core::fit_json;
use serde::Deserialize;

use crate::manifest::Descriptor;
use crate::{Digest, Error, Pointer, PublicKey, Repository, evidence, fetch, media, referrers};

/// The version of the format behind this does not matter: what is read is in all of them.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle";
/// What cosign says with `sign`. Its `attest` makes bundles too, which do not say that the artifact is as it should be.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
/// Bytes of a bundle that are worth reading; cosign's have some hundreds, with proofs of a log some thousands.
const MOST_BUNDLE: u64 = 256 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: std::collections::BTreeMap<String, String>,
}

/// Whether an entry in a list of referrers is a bundle.
pub(crate) fn is_bundle(referrer: &Descriptor) -> bool {
    let kind = referrer.artifact_type.as_deref().unwrap_or_default();
    kind.starts_with(MEDIA_TYPE)
}

/// For each bundle about the manifest `digest`, whether it is a signature of it by `key`.
pub(crate) async fn verdicts(
    repository: &dyn Repository,
    digest: &Digest,
    key: &PublicKey,
) -> Result<Vec<bool>, Error> {
    let mut verdicts = Vec::new();
    for referrer in referrers::referrers(repository, digest).await? {
        if is_bundle(&referrer) {
            let bundle = read(repository, digest, &referrer).await;
            // Anybody can attach one that cannot be read; it is no signature, and no reason to stop.
            verdicts.push(bundle.is_ok_and(|bundle| is_valid(&bundle, digest, key)));
        }
    }
    Ok(verdicts)
}

async fn read(
    repository: &dyn Repository,
    digest: &Digest,
    referrer: &Descriptor,
) -> Result<Bundle, Error> {
    let raw = repository
        .manifest(&Pointer::Digest(referrer.digest))
        .await?;
    let manifest = raw.image(repository.limits())?;
    evidence::check_subject(&manifest, digest)?;
    let layer = manifest
        .layers
        .first()
        .filter(|layer| layer.size <= MOST_BUNDLE);
    let layer = layer.ok_or_else(|| Error::malformed("bundle", "no layer of a bundle's size"))?;
    let bytes = fetch::blob(repository, layer).await?;
    fit_json(&bytes).map_err(|e| Error::malformed("bundle", e))
}

fn is_valid(bundle: &Bundle, digest: &Digest, key: &PublicKey) -> bool {
    let envelope = &bundle.dsse_envelope;
    let Ok(payload) = STANDARD.decode(&envelope.payload) else {
        return false;
    };
    let signed = authenticated(&envelope.payload_type, &payload);
    envelope
        .signatures
        .iter()
        .any(|signature| key.verifies(&signed, &signature.sig))
        && envelope.payload_type == media::IN_TOTO
        && serde_json::from_slice(&payload).is_ok_and(|statement| is_about(&statement, digest))
}

fn is_about(statement: &Statement, digest: &Digest) -> bool {
    let hex = digest.hex();
    statement.predicate_type == SIGNED
        && statement
            .subject
            .iter()
            .any(|subject| subject.digest.get("sha256") == Some(&hex))
}

/// DSSE's pre-authentication encoding: the type is signed along, each part with its length.
fn authenticated(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let header = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [header.as_bytes(), payload].concat()
}
