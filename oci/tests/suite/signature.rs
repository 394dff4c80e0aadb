//! Signing and verifying, against what cosign's own libraries make.

use bytes::Bytes;
use lazymesh_oci::{
    Artifact, Digest, Error, Expectations, Layout, Limits, Metadata, Pointer, PrivateKey,
    PublicKey, Repository as _, SignatureError, Variant, push, sign, verify, verify_signature,
};
use secrecy::SecretString;

use crate::support::{artifact, module};

const ENCRYPTED: &str = include_str!("../fixtures/cosign.key");
const PLAIN: &str = include_str!("../fixtures/plain.key");
const PUBLIC: &str = include_str!("../fixtures/cosign.pub");
const PAYLOAD: &str = include_str!("../fixtures/payload.json");
const SIGNATURE: &str = include_str!("../fixtures/payload.sig");
const NAME: &str = "example.com/lazymesh/filter";

fn private() -> PrivateKey {
    PrivateKey::from_pem(PLAIN, None).expect("a key")
}

fn public() -> PublicKey {
    PublicKey::from_pem(PUBLIC).expect("a key")
}

/// The artifact that the fixtures are about.
fn signed_elsewhere() -> Artifact {
    let metadata = Metadata {
        title: "filter.wasm".to_owned(),
        version: Some("0.1.0".to_owned()),
        ..Metadata::default()
    };
    Artifact::pack(&b"\0asm\x01\0\0\0"[..], &metadata, Variant::Wasm).expect("a module")
}

struct Store {
    layout: Layout,
    digest: Digest,
    _dir: tempfile::TempDir,
}

async fn store(artifact: &Artifact) -> Store {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = Layout::new(dir.path(), Limits::default());
    let pushed = push(&layout, "1", artifact, &|_, _| {})
        .await
        .expect("stored");
    Store {
        layout,
        digest: pushed.digest,
        _dir: dir,
    }
}

impl Store {
    async fn check(&self, key: &PublicKey) -> Result<(), SignatureError> {
        match verify_signature(&self.layout, &self.digest, key).await {
            Ok(()) => Ok(()),
            Err(Error::Signature(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    /// Media type, digest and size of the layers of the signature.
    async fn signatures(&self) -> serde_json::Value {
        let tag = Pointer::Tag(format!("sha256-{}.sig", self.digest.hex()));
        let manifest = self.layout.manifest(&tag).await.expect("a signature");
        serde_json::from_slice(&manifest.bytes).expect("JSON")
    }
}

#[test]
fn keys() {
    let check = |pem: &str, password: Option<&str>, expect: Result<(), SignatureError>| {
        let password = password.map(SecretString::from);
        let key = PrivateKey::from_pem(pem, password.as_ref());
        assert_eq!(
            key.as_ref().map(|_| ()).map_err(ToString::to_string),
            expect.map_err(|e| e.to_string())
        );
        key.ok()
            .inspect(|key| assert_eq!(key.public_key(), public()));
    };
    check(PLAIN, None, Ok(()));
    check(ENCRYPTED, Some("lazymesh"), Ok(()));
    check(ENCRYPTED, Some("other"), Err(SignatureError::WrongPassword));
    check(ENCRYPTED, None, Err(SignatureError::PasswordNeeded));
    check(
        PUBLIC,
        None,
        Err(SignatureError::NotAKey("PKCS#8 PEM of a private key")),
    );
    check(
        "",
        None,
        Err(SignatureError::NotAKey("PKCS#8 PEM of a private key")),
    );
    assert_eq!(
        PublicKey::from_pem(PLAIN),
        Err(SignatureError::NotAKey("PEM of a P-256 public key"))
    );
    assert_eq!(PublicKey::from_pem(&public().to_pem()), Ok(public()));
    assert_eq!(format!("{:?}", private()), "PrivateKey(…)");
}

#[tokio::test]
async fn what_we_sign_is_what_cosign_signs() {
    let store = store(&signed_elsewhere()).await;
    sign(&store.layout, &store.digest, NAME, &private())
        .await
        .expect("signed");
    let layer = &store.signatures().await["layers"][0];
    assert_eq!(layer["digest"], Digest::of(PAYLOAD.as_bytes()).to_string());
    // The same every time (RFC 6979); sigstore's Go library accepts it.
    assert_eq!(
        layer["annotations"]["dev.cosignproject.cosign/signature"],
        "MEYCIQCAchpcsR+nNAZKaTA8G0kxZ0tHmR70v79UBjdVV2IqCAIhALlxH2Gtg1gMnsmp80VEzfSIv3l86Sv/Bmjr8lySZTVF"
    );
    store.check(&public()).await.expect("valid");
}

/// Stores a signature manifest as cosign would, with a payload and signature of choice.
async fn put_signature(store: &Store, payload: &'static str, signature: &str) {
    let layer = serde_json::json!({
        "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
        "size": payload.len(),
        "digest": Digest::of(payload.as_bytes()),
        "annotations": {"dev.cosignproject.cosign/signature": signature},
    });
    let manifest = serde_json::json!({"schemaVersion": 2, "config": layer, "layers": [layer]});
    let manifest = lazymesh_oci::RawManifest {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        bytes: manifest.to_string().into(),
    };
    let blob = lazymesh_oci::Descriptor::of("application/octet-stream", payload.as_bytes());
    store
        .layout
        .put_blob(&blob, Bytes::from_static(payload.as_bytes()))
        .await
        .expect("stored");
    let tag = Pointer::Tag(format!("sha256-{}.sig", store.digest.hex()));
    store
        .layout
        .put_manifest(&tag, &manifest)
        .await
        .expect("stored");
}

#[tokio::test]
async fn what_cosign_signed_is_valid() {
    let store = store(&signed_elsewhere()).await;
    put_signature(&store, PAYLOAD, SIGNATURE).await;
    store.check(&public()).await.expect("valid");
}

#[tokio::test]
async fn what_is_not_valid() {
    let invalid = |store: &Store| {
        Err(SignatureError::Invalid {
            digest: store.digest,
            count: 1,
        })
    };
    // A signature, but of another manifest.
    let other = store(&artifact(module(10))).await;
    put_signature(&other, PAYLOAD, SIGNATURE).await;
    assert_eq!(other.check(&public()).await, invalid(&other));
    // The right payload under a signature that is none, or of something else.
    let store = store(&signed_elsewhere()).await;
    for signature in [
        "",
        "AAAA",
        "%",
        &SIGNATURE[4..],
        &format!("{SIGNATURE}AAAA"),
    ] {
        put_signature(&store, PAYLOAD, signature).await;
        assert_eq!(store.check(&public()).await, invalid(&store), "{signature}");
    }
    put_signature(&store, "{}", SIGNATURE).await;
    assert_eq!(store.check(&public()).await, invalid(&store));
}

#[tokio::test]
async fn several_signers() {
    let store = store(&signed_elsewhere()).await;
    assert_eq!(
        store.check(&public()).await,
        Err(SignatureError::None(store.digest))
    );
    let other = another_key();
    assert!(
        sign(&store.layout, &store.digest, NAME, &other)
            .await
            .expect("signed")
    );
    assert_eq!(
        store.check(&public()).await,
        Err(SignatureError::Invalid {
            digest: store.digest,
            count: 1
        })
    );
    assert!(
        sign(&store.layout, &store.digest, NAME, &private())
            .await
            .expect("signed")
    );
    assert!(
        !sign(&store.layout, &store.digest, NAME, &private())
            .await
            .expect("there already")
    );
    store.check(&public()).await.expect("valid");
    store.check(&other.public_key()).await.expect("still valid");
}

fn another_key() -> PrivateKey {
    let key = rcgen::KeyPair::generate().expect("a key");
    PrivateKey::from_pem(&key.serialize_pem(), None).expect("P-256")
}

#[tokio::test]
async fn expectations() {
    let store = store(&signed_elsewhere()).await;
    let pointer = Pointer::Tag("1".to_owned());
    let check =
        async |expectations: Expectations| verify(&store.layout, &pointer, &expectations).await;
    let key = || Some(public());
    assert!(
        !check(Expectations::default())
            .await
            .expect("as announced")
            .signed
    );
    let error = check(Expectations {
        key: key(),
        ..Expectations::default()
    })
    .await;
    assert!(
        matches!(error, Err(Error::Signature(SignatureError::None(_)))),
        "{error:?}"
    );
    sign(&store.layout, &store.digest, NAME, &private())
        .await
        .expect("signed");
    assert!(
        check(Expectations {
            key: key(),
            ..Expectations::default()
        })
        .await
        .expect("signed")
        .signed
    );
    let error = check(Expectations {
        digest: Some(Digest::of(b"")),
        ..Expectations::default()
    })
    .await;
    assert!(
        matches!(error, Err(Error::DigestMismatch { .. })),
        "{error:?}"
    );
    let error = check(Expectations {
        sbom: true,
        ..Expectations::default()
    })
    .await;
    assert!(matches!(error, Err(Error::NoDocument { .. })), "{error:?}");
}
