//! Istio's own code fetches what we push, and refuses what was tampered with: see `oci/tests/istio`.

use std::process::Command;

use lazymesh_oci::{Artifact, Credentials, Digest, Metadata, Variant, media, push};

use crate::docker_registry::{DockerRegistry, plain};
use crate::support::module;

struct Pushed {
    registry: DockerRegistry,
    digest: Digest,
    artifact: Artifact,
}

impl Pushed {
    async fn new(variant: Variant) -> Self {
        let registry = DockerRegistry::start("", &[]).await;
        let artifact = Artifact::pack(module(5000), &Metadata::default(), variant).expect("packs");
        let repository = registry.open(plain(Credentials::Anonymous));
        let pushed = push(&repository, "1.2.3", &artifact, &|_, _| {})
            .await
            .expect("pushed");
        Self {
            registry,
            digest: pushed.digest,
            artifact,
        }
    }

    /// Digests of the manifest, and of the module from the fetcher and from the cache.
    fn fetch(&self, pin: Option<Digest>) -> Result<Vec<String>, String> {
        let program =
            std::env::var_os("LAZYMESH_WASM_FETCH").unwrap_or_else(|| "wasm-fetch".into());
        let output = Command::new(program)
            .arg(format!("{}/lazymesh/filter:1.2.3", self.registry.address))
            .args(pin.map(|pin| pin.hex()))
            .output()
            .expect("wasm-fetch: run `cargo xtask test`, or `go build` in oci/tests/istio and set LAZYMESH_WASM_FETCH");
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            // Istio logs to standard output.
            let answer = text(&output.stdout);
            Ok(answer
                .lines()
                .filter(|line| line.starts_with("sha256:"))
                .map(str::to_owned)
                .collect())
        } else {
            Err(text(&output.stderr))
        }
    }
}

#[tokio::test]
async fn accepts_both_variants() {
    for variant in [Variant::Wasm, Variant::Compat] {
        let pushed = Pushed::new(variant).await;
        let module = Digest::of(&module(5000)).to_string();
        let expect = vec![pushed.digest.to_string(), module.clone(), module];
        assert_eq!(pushed.fetch(None), Ok(expect.clone()), "{variant:?}");
        assert_eq!(pushed.fetch(Some(pushed.digest)), Ok(expect), "{variant:?}");
    }
}

#[tokio::test]
async fn refuses_another_digest() {
    let error = Pushed::new(Variant::Wasm)
        .await
        .fetch(Some(Digest::of(b"")))
        .expect_err("refused");
    assert!(error.contains("which does not match"), "{error}");
}

#[tokio::test]
async fn refuses_what_was_tampered_with() {
    let pushed = Pushed::new(Variant::Wasm).await;
    let other: Vec<u8> = module(5000).into_iter().rev().collect();
    pushed.registry.replace(&Digest::of(&module(5000)), &other);
    let error = pushed.fetch(Some(pushed.digest)).expect_err("refused");
    assert!(error.contains("error verifying sha256 checksum"), "{error}");
}

/// Istio reads an archive up to the module's last byte and no further, so it never gets to compare the layer's digest. When
/// this fails, Istio has mended it, and `Variant::Compat` need not warn of it any more.
#[tokio::test]
async fn does_not_notice_another_archive() {
    let pushed = Pushed::new(Variant::Compat).await;
    // As long as the other, packed and unpacked.
    let other: Vec<u8> = module(5000)
        .into_iter()
        .map(|byte| if byte == 7 { 8 } else { byte })
        .collect();
    let packed =
        Artifact::pack(other.clone(), &Metadata::default(), Variant::Compat).expect("packs");
    let archive = |artifact: &Artifact| {
        let layers = artifact
            .blobs()
            .map(|(blob, bytes)| (blob.clone(), bytes.clone()));
        layers
            .max_by_key(|(blob, _)| blob.media_type == media::IMAGE_LAYER)
            .expect("a layer")
    };
    pushed
        .registry
        .replace(&archive(&pushed.artifact).0.digest, &archive(&packed).1);
    let fetched = pushed.fetch(Some(pushed.digest)).expect("accepted");
    assert_eq!(fetched[1], Digest::of(&other).to_string());
}
