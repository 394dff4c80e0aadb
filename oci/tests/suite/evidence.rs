//! Documents that count for `verify`, and those that do not.

use axum::body::Bytes;
use lazymesh_oci::{
    Artifact, Credentials, Digest, Document, Error, Expectations, Layout, Limits, Pointer,
    PrivateKey, Repository, Verified, attach, documents, media, push, sign, verify,
};

use crate::support::{FakeRegistry, artifact, module, registry, sbom};

const NAME: &str = "example.com/lazymesh/filter";

fn key() -> PrivateKey {
    PrivateKey::from_pem(include_str!("../fixtures/plain.key"), None).expect("a key")
}

fn stranger() -> PrivateKey {
    let key = rcgen::KeyPair::generate().expect("a key");
    PrivateKey::from_pem(&key.serialize_pem(), None).expect("P-256")
}

fn ours() -> Artifact {
    artifact(module(500))
}

fn spdx(module: &[u8]) -> Document {
    let bill = format!(
        r#"{{"spdxVersion":"SPDX-2.3","documentDescribes":["SPDXRef-m"],"files":[{{"SPDXID":"SPDXRef-m","checksums":[{{"algorithm":"SHA256","checksumValue":"{}"}}]}}]}}"#,
        Digest::of(module).hex()
    );
    Document::about(&Digest::of(module), "filter", bill)
        .expect("a bill")
        .0
}

fn provenance(module: &[u8]) -> Document {
    let build = documents::Build {
        revision: "8e758fd7a639e759e3c65d75e912778bf8f860d2".to_owned(),
        ..documents::Build::default()
    };
    let digest = Digest::of(module);
    let statement =
        documents::provenance("filter.wasm", &digest.hex(), &build).expect("a statement");
    Document::about(&digest, "filter", statement)
        .expect("about it")
        .0
}

/// The artifact, signed, with `documents` attached; each is signed by whom it says.
async fn verified(
    documents: &[(Document, Option<&PrivateKey>)],
    expectations: Expectations,
) -> Result<Verified, Error> {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = Layout::new(dir.path(), Limits::default());
    let artifact = ours();
    let stored = push(&layout, "1", &artifact, &|_, _| {}).await;
    let digest = stored.expect("stored").digest;
    sign(&layout, &digest, NAME, &key()).await.expect("signed");
    for (document, signer) in documents {
        let attached = attach(&layout, artifact.manifest(), document).await;
        if let Some(signer) = signer {
            let digest = attached.expect("attached").digest;
            sign(&layout, &digest, NAME, signer).await.expect("signed");
        }
    }
    verify(&layout, &Pointer::Digest(digest), &expectations).await
}

fn wanting(by: Option<&PrivateKey>) -> Expectations {
    Expectations {
        key: by.map(PrivateKey::public_key),
        sbom: true,
        ..Expectations::default()
    }
}

async fn accepted(documents: &[(Document, Option<&PrivateKey>)], by: Option<&PrivateKey>) {
    let verified = verified(documents, wanting(by)).await.expect("accepted");
    assert_eq!(verified.sboms.len(), 1);
    assert_eq!(verified.sboms[0].signed, by.is_some());
    assert_eq!(verified.rejected.len(), documents.len() - 1);
}

async fn refused(
    documents: &[(Document, Option<&PrivateKey>)],
    by: Option<&PrivateKey>,
    reason: &str,
) {
    let error = verified(documents, wanting(by)).await.expect_err("refused");
    assert!(matches!(error, Error::NoDocument { .. }), "{error:?}");
    assert!(error.to_string().contains(reason), "{error}");
}

fn garbage(media_type: &str, bytes: impl Into<Bytes>) -> Document {
    Document {
        media_type: media_type.to_owned(),
        title: "filter.cdx.json".to_owned(),
        bytes: bytes.into(),
    }
}

#[tokio::test]
async fn a_bill_about_the_module() {
    let right = || sbom(&module(500));
    accepted(&[(right(), None)], None).await;
    accepted(&[(spdx(&module(500)), None)], None).await;
    refused(&[], None, "no bill of materials").await;
    refused(&[(sbom(&module(501)), None)], None, "not about sha256:").await;
    refused(
        &[(provenance(&module(500)), None)],
        None,
        "no bill of materials",
    )
    .await;
    let wrong = [
        garbage(media::CYCLONEDX, "{}"),
        garbage(media::CYCLONEDX, "<bom/>"),
        garbage(media::SPDX, right().bytes),
        garbage(media::CYCLONEDX, provenance(&module(500)).bytes),
    ];
    for document in wrong {
        refused(&[(document.clone(), None)], None, "that counts: sha256:").await;
        // What is wrong does not spoil what is right.
        accepted(&[(document, None), (right(), None)], None).await;
    }
}

#[tokio::test]
async fn a_key_must_vouch_for_the_bill_too() {
    let (right, key, stranger) = (sbom(&module(500)), key(), stranger());
    accepted(&[(right.clone(), Some(&key))], Some(&key)).await;
    refused(&[(right.clone(), None)], Some(&key), "has no signature").await;
    refused(
        &[(right.clone(), Some(&stranger))],
        Some(&key),
        "valid one by this key",
    )
    .await;
    let other = spdx(&module(500));
    accepted(&[(other, Some(&stranger)), (right, Some(&key))], Some(&key)).await;
}

#[tokio::test]
async fn provenance_on_demand() {
    let expectations = || Expectations {
        provenance: true,
        ..Expectations::default()
    };
    let seen = verified(&[(provenance(&module(500)), None)], expectations()).await;
    let seen = seen.expect("there");
    assert_eq!((seen.provenance.len(), seen.sboms.len()), (1, 0));
    let error = verified(&[(provenance(&module(501)), None)], expectations()).await;
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("no provenance that counts"), "{error}");
    assert!(error.contains("not about sha256:"), "{error}");
}

/// A registry lists, among the referrers of ours, a bill that was attached to another artifact.
#[tokio::test]
async fn a_list_that_lies() {
    let fake = FakeRegistry::start(|_, _| None).await;
    let repository = registry(fake.address, Credentials::Anonymous);
    let other = artifact(module(600));
    for artifact in [&ours(), &other] {
        let stored = push(&repository, "1", artifact, &|_, _| {}).await;
        stored.expect("stored");
    }
    let attached = attach(&repository, other.manifest(), &sbom(&module(500))).await;
    attached.expect("attached");
    let list = |artifact: &Artifact| format!("sha256-{}", artifact.manifest().digest().hex());
    let theirs = repository.manifest(&Pointer::Tag(list(&other))).await;
    let theirs = theirs.expect("a list");
    fake.put(
        &format!("manifests/{}", list(&ours())),
        &theirs.media_type,
        theirs.bytes,
    );
    let digest = ours().manifest().digest();
    let seen = verify(&repository, &Pointer::Digest(digest), &wanting(None)).await;
    let error = seen.expect_err("refused").to_string();
    assert!(error.contains("subject is another manifest"), "{error}");
}
