//! The collector's container image, as `cargo xtask build-image` leaves it, in other people's hands.

use std::path::PathBuf;
use std::process::Command;

use lazymesh_oci::{
    Credentials, Digest, Error, Expectations, Layout, Limits, Pointer, PrivateKey, Repository,
    copy, sign, verify,
};

use crate::command::run;
use crate::docker_registry::{plain, tag};
use crate::launcher::DockerRegistry;
use crate::support::{artifact, module};

/// The layout, whose tag is the version.
fn layout() -> Layout {
    let folder = std::env::var_os("LAZYMESH_IMAGE")
        .expect("LAZYMESH_IMAGE: run `cargo xtask test`, or set it to what `build-image` left");
    Layout::new(PathBuf::from(folder), Limits::default())
}

fn version() -> Pointer {
    Pointer::Tag(env!("CARGO_PKG_VERSION").to_owned())
}

fn image() -> Expectations {
    Expectations {
        image: true,
        sbom: true,
        provenance: true,
        ..Expectations::default()
    }
}

fn skopeo(arguments: &[&str]) -> String {
    run(
        Command::new("skopeo").args(arguments),
        "apt-get install skopeo",
    )
}

/// skopeo reads it in a registry, and copies it to a directory of its own unchanged.
#[tokio::test]
async fn skopeo_takes_it() {
    let registry = DockerRegistry::start("", &[]).await;
    let ours = registry.open(plain(Credentials::Anonymous));
    let copied = copy(&layout(), &version(), &ours, &tag()).await;
    let copied = copied.expect("copied");
    let reference = format!("docker://{}/lazymesh/filter:1.2.3", registry.address);
    let config = skopeo(&["inspect", "--config", "--tls-verify=false", &reference]);
    let config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"][0], "/lazymesh");
    assert_eq!(config["config"]["Cmd"], serde_json::Value::Null);
    assert_eq!(
        (&config["os"], &config["architecture"]),
        (&"linux".into(), &"amd64".into())
    );
    let dir = tempfile::tempdir().expect("a directory");
    let target = format!("oci:{}:1.2.3", dir.path().display());
    skopeo(&[
        "copy",
        "--insecure-policy",
        "--src-tls-verify=false",
        &reference,
        &target,
    ]);
    let back = Layout::new(dir.path(), Limits::default());
    let manifest = back.manifest(&tag()).await.expect("there");
    assert_eq!(manifest.digest(), copied.digest);
}

/// Its bill of materials and its provenance come along, and count once they are signed.
#[tokio::test]
async fn documents_and_signatures() {
    let key = PrivateKey::from_pem(include_str!("../fixtures/plain.key"), None).expect("a key");
    let dir = tempfile::tempdir().expect("a directory");
    let mirror = Layout::new(dir.path(), Limits::default());
    let copied = copy(&layout(), &version(), &mirror, &tag()).await;
    assert_eq!(copied.expect("copied").companions, 2);
    let found = verify(&mirror, &tag(), &image()).await.expect("whole");
    assert_eq!((found.sboms.len(), found.provenance.len()), (1, 1));
    assert_eq!((found.module_digest, found.rejected), (None, Vec::new()));

    let signed = Expectations {
        key: Some(key.public_key()),
        ..image()
    };
    let name = "example.com/lazymesh/collector";
    sign(&mirror, &found.digest, name, &key)
        .await
        .expect("signed");
    let refused = verify(&mirror, &tag(), &signed).await;
    assert!(
        matches!(refused, Err(Error::NoDocument { .. })),
        "{refused:?}"
    );
    for document in found.sboms.iter().chain(&found.provenance) {
        sign(&mirror, &document.digest, name, &key)
            .await
            .expect("signed");
    }
    verify(&mirror, &tag(), &signed).await.expect("signed");
}

/// An image is none of the filter's, nor the other way round; and a layer that was changed is found.
#[tokio::test]
async fn what_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let mirror = Layout::new(dir.path(), Limits::default());
    copy(&layout(), &version(), &mirror, &tag())
        .await
        .expect("copied");
    let as_filter = verify(&mirror, &tag(), &Expectations::default()).await;
    as_filter.expect_err("no module");

    let manifest = mirror.manifest(&tag()).await.expect("there");
    let layer = manifest.image(&Limits::default()).expect("an image").layers[0].clone();
    let path = dir.path().join("blobs/sha256").join(layer.digest.hex());
    let mut bytes = std::fs::read(&path).expect("there");
    bytes.reverse();
    std::fs::write(&path, bytes).expect("written");
    let changed = verify(&mirror, &tag(), &image()).await;
    assert!(
        matches!(changed, Err(Error::DigestMismatch { .. })),
        "{changed:?}"
    );

    let filter = artifact(module(500));
    lazymesh_oci::push(&mirror, "filter", &filter, &|_, _| {})
        .await
        .expect("stored");
    let pointer = Pointer::Digest(Digest::of(&filter.manifest().bytes));
    let as_image = verify(&mirror, &pointer, &image()).await;
    assert!(
        matches!(as_image, Err(Error::Unsuitable(_))),
        "{as_image:?}"
    );
}
