//! The real cosign: it verifies what we sign, and what it signs we verify. Offline, with key pairs.

use std::path::PathBuf;
use std::process::Command;

use bytes::Bytes;
use lazymesh_oci::{
    Credentials, Digest, Document, Pointer, PublicKey, Repository as _, SignatureError, attach,
    push, referrers, verify_signature,
};

use crate::command::{Place, outcome};
use crate::docker_registry::plain;
use crate::launcher::DockerRegistry;
use crate::support::{artifact, module, sbom};

/// A registry, a folder with a module and its bill of materials, and two key pairs made by cosign.
struct Desk {
    registry: DockerRegistry,
    place: Place,
}

impl Desk {
    async fn new() -> Self {
        let desk = Self {
            registry: DockerRegistry::start("", &[]).await,
            place: Place::new(&module(100)),
        };
        let bill = String::from_utf8(sbom(&module(100)).bytes.to_vec()).expect("text");
        desk.place.write("filter.cdx.json", &bill);
        for name in ["ours", "theirs"] {
            let made = ["generate-key-pair", "--output-key-prefix", name];
            desk.cosign(&made).expect("a key pair");
        }
        desk
    }

    fn reference(&self) -> String {
        format!("{}/lazymesh/filter:1", self.registry.address)
    }

    fn lazymesh(&self, command: &str, more: &[&str]) -> Result<String, String> {
        let reference = self.reference();
        let arguments = [&[command, &reference, "--insecure"], more].concat();
        self.place.run(&arguments)
    }

    fn cosign(&self, arguments: &[&str]) -> Result<String, String> {
        let program = std::env::var_os("LAZYMESH_COSIGN").expect(
            "LAZYMESH_COSIGN: run `cargo xtask test`, or `go build` it in oci/tests/cosign",
        );
        let mut cosign = Command::new(program);
        cosign
            .args(arguments)
            .current_dir(self.place.path(""))
            .env("HOME", self.place.path(""))
            .env("COSIGN_PASSWORD", "lazymesh");
        outcome(&cosign.output().expect("cosign runs"))
    }

    /// `cosign verify`, which asks for no log.
    fn cosign_verify(&self, reference: &str, key: &str) -> Result<String, String> {
        let offline = ["--insecure-ignore-tlog=true", "--allow-http-registry"];
        self.cosign(&[&["verify", "--key", key], &offline[..], &[reference]].concat())
    }

    /// A command of cosign that signs something, without any service on the network.
    fn cosign_sign(&self, command: &[&str]) {
        let offline = [
            "--yes",
            "--key=ours.key",
            "--use-signing-config=false",
            "--tlog-upload=false",
            "--allow-http-registry",
        ];
        let done = self.cosign(&[command, &offline[..], &[&self.reference()]].concat());
        done.expect("cosign signed");
    }

    fn key(&self, name: &str) -> PublicKey {
        let pem = std::fs::read_to_string(self.place.path(name)).expect("a key");
        PublicKey::from_pem(&pem).expect("a key")
    }
}

#[tokio::test]
async fn cosign_verifies_what_we_signed() {
    let desk = Desk::new().await;
    let signed = ["--sign-key", "ours.key", "-o", "json"];
    let pushed = desk.lazymesh("push", &signed).expect("pushed");
    let pushed: serde_json::Value = serde_json::from_str(&pushed).expect("JSON");
    let document = pushed["attached"][0]["digest"].as_str().expect("a digest");
    let document = format!("{}/lazymesh/filter@{document}", desk.registry.address);
    for reference in [desk.reference(), document] {
        let seen = desk.cosign_verify(&reference, "ours.pub");
        assert!(seen.expect("valid").contains("docker-manifest-digest"));
        let error = desk.cosign_verify(&reference, "theirs.pub");
        assert!(error.expect_err("refused").contains("invalid signature"));
    }
}

#[tokio::test]
async fn we_verify_what_cosign_signed() {
    // As cosign 3 does it by default, and as all before it did.
    for form in ["--new-bundle-format=true", "--new-bundle-format=false"] {
        let desk = Desk::new().await;
        desk.lazymesh("push", &[]).expect("pushed");
        let error = desk.lazymesh("verify", &["--key", "ours.pub"]);
        assert!(error.expect_err("refused").contains("has no signature"));
        desk.cosign_sign(&["sign", form]);
        desk.cosign_verify(&desk.reference(), "ours.pub")
            .expect("by its own lights");

        let seen = desk.lazymesh("verify", &["--key", "ours.pub"]);
        assert!(seen.expect(form).contains("signature: valid"), "{form}");
        let error = desk.lazymesh("verify", &["--key", "theirs.pub"]);
        assert!(
            error.expect_err("refused").contains("by this key"),
            "{form}"
        );
        // cosign has signed the artifact, and nobody the bill of materials.
        let error = desk.lazymesh("verify", &["--key", "ours.pub", "--sbom"]);
        assert!(error.expect_err("refused").contains("no bill of materials"));

        let copy = format!("oci-layout:{}:1", desk.place.path("mirror").display());
        desk.lazymesh("copy", &[&copy]).expect("copied");
        let verify = ["verify", &copy, "--key", "ours.pub"];
        desk.place.run(&verify).expect("valid in the mirror too");
    }
}

#[tokio::test]
async fn an_attestation_is_no_signature() {
    let desk = Desk::new().await;
    desk.lazymesh("push", &[]).expect("pushed");
    desk.place.write("predicate.json", r#"{"looks":"bad"}"#);
    desk.cosign_sign(&["attest", "--type=custom", "--predicate=predicate.json"]);
    let error = desk.lazymesh("verify", &["--key", "ours.pub"]);
    let error = error.expect_err("refused");
    assert!(error.contains("none of the 1 signatures"), "{error}");
}

#[tokio::test]
async fn a_bundle_of_another_artifact() {
    let desk = Desk::new().await;
    desk.lazymesh("push", &[]).expect("pushed");
    desk.cosign_sign(&["sign"]);
    let ours = desk.registry.open(plain(Credentials::Anonymous));
    let signed = ours.manifest(&Pointer::Tag("1".to_owned())).await;
    let signed = signed.expect("there").digest();
    let key = desk.key("ours.pub");
    verify_signature(&ours, &signed, &key).await.expect("valid");

    let bundle = bundle_of(&desk, &ours, &signed).await;
    let other = artifact(module(200));
    let stored = push(&ours, "2", &other, &|_, _| {}).await.expect("stored");
    attach(&ours, other.manifest(), &bundle)
        .await
        .expect("attached");
    let error = verify_signature(&ours, &stored.digest, &key).await;
    let expect = SignatureError::Invalid {
        digest: stored.digest,
        count: 1,
    };
    assert_eq!(error.expect_err("refused").to_string(), expect.to_string());
}

/// What cosign attached to `subject`, as a document to attach elsewhere.
async fn bundle_of(desk: &Desk, ours: &lazymesh_oci::Registry, subject: &Digest) -> Document {
    let listed = referrers(ours, subject).await.expect("a list");
    let is_bundle = |kind: &String| kind.contains("sigstore.bundle");
    let bundle = listed
        .iter()
        .find(|entry| entry.artifact_type.as_ref().is_some_and(is_bundle))
        .expect("a bundle");
    let manifest = ours.manifest(&Pointer::Digest(bundle.digest)).await;
    let manifest: serde_json::Value =
        serde_json::from_slice(&manifest.expect("there").bytes).expect("JSON");
    let layer = manifest["layers"][0]["digest"].as_str().expect("a layer");
    let file: PathBuf = desk.registry.blob(&layer.parse().expect("a digest"));
    Document {
        media_type: bundle.artifact_type.clone().expect("found by it"),
        title: String::new(),
        bytes: Bytes::from(std::fs::read(file).expect("there")),
    }
}
