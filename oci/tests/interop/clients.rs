//! Other people's clients, on Debian's `docker-registry`: skopeo, and oras from PyPI.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lazymesh_oci::{
    Artifact, Credentials, Expectations, Layout, Limits, Metadata, Pointer, Registry, Variant,
    copy, inspect, pull, push, verify,
};

use crate::command::run;
use crate::docker_registry::{plain, tag};
use crate::launcher::DockerRegistry;
use crate::support::{artifact, module, nested};

fn skopeo(arguments: &[&str]) -> String {
    run(
        Command::new("skopeo").args(arguments),
        "apt-get install skopeo",
    )
}

/// skopeo inspects both variants, and copies them unchanged.
#[tokio::test]
async fn skopeo_takes_ours() {
    let registry = DockerRegistry::start("", &[]).await;
    let ours = registry.open(plain(Credentials::Anonymous));
    for variant in [Variant::Wasm, Variant::Compat] {
        let artifact = Artifact::pack(module(5000), &Metadata::default(), variant).expect("packs");
        let digest = push(&ours, "1.2.3", &artifact, &|_, _| {})
            .await
            .expect("pushed")
            .digest;
        let image = |repository: &str| format!("docker://{}/{repository}:1.2.3", registry.address);
        let raw = skopeo(&[
            "inspect",
            "--raw",
            "--tls-verify=false",
            &image("lazymesh/filter"),
        ]);
        assert_eq!(raw.as_bytes(), artifact.manifest().bytes);
        // More than the raw manifest it shows of what looks like an image only.
        if variant == Variant::Compat {
            let shown = skopeo(&["inspect", "--tls-verify=false", &image("lazymesh/filter")]);
            assert!(shown.contains(&digest.to_string()), "{shown}");
        }
        let (from, to) = (image("lazymesh/filter"), image("skopeo/filter"));
        let copy = [
            "copy",
            "--insecure-policy",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
        ];
        skopeo(&[&copy[..], &["--preserve-digests", &from, &to]].concat());
        let copied = Registry::new(
            &registry.address.to_string(),
            "skopeo/filter",
            plain(Credentials::Anonymous),
        );
        let seen = inspect(&copied.expect("a client"), &tag())
            .await
            .expect("there");
        assert_eq!(seen.digest, digest);
    }
}

/// A layout that skopeo wrote, whose `index.json` lists an index and not its members.
#[tokio::test]
async fn ours_takes_an_index_from_skopeo() {
    let registry = DockerRegistry::start("", &[]).await;
    let ours = registry.open(plain(Credentials::Anonymous));
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("source");
    let members = nested(&source, 1).await;
    let all = Pointer::Tag("all".to_owned());
    let source = Layout::new(source, Limits::default());
    copy(&source, &all, &ours, &all).await.expect("copied");

    let from = format!("docker://{}/lazymesh/filter:all", registry.address);
    let written = dir.path().join("skopeo");
    let to = format!("oci:{}:all", written.display());
    let copy_all = [
        "copy",
        "--all",
        "--insecure-policy",
        "--src-tls-verify=false",
    ];
    skopeo(&[&copy_all[..], &[&from, &to]].concat());
    let layout = Layout::new(written, Limits::default());
    for digest in members {
        let pointer = Pointer::Digest(digest);
        verify(&layout, &pointer, &Expectations::default())
            .await
            .expect("verified");
    }
    let again = copy(&layout, &all, &ours, &all).await.expect("copied");
    assert_eq!((again.companions, again.uploads), (members.len(), 0));
}

/// Where `pip install --target` has put oras.
fn oras(script: &str, arguments: &[&str]) -> String {
    let mut python = Command::new("python3");
    if let Some(at) = std::env::var_os("LAZYMESH_ORAS") {
        python.env("PYTHONPATH", PathBuf::from(at));
    }
    run(
        python.arg("-c").arg(script).args(arguments),
        "python3 with oras (oci/tests/interop/requirements.txt)",
    )
}

#[tokio::test]
async fn oras_pulls_ours() {
    let registry = DockerRegistry::start("", &[]).await;
    let ours = registry.open(plain(Credentials::Anonymous));
    push(&ours, "1.2.3", &artifact(module(5000)), &|_, _| {})
        .await
        .expect("pushed");
    let dir = tempfile::tempdir().expect("a directory");
    let script = "import sys, oras.client\n\
        oras.client.OrasClient(insecure=True).pull(target=sys.argv[1], outdir=sys.argv[2])";
    let target = format!("{}/lazymesh/filter:1.2.3", registry.address);
    oras(script, &[&target, &dir.path().display().to_string()]);
    assert_eq!(
        fs::read(dir.path().join("filter.wasm")).expect("pulled"),
        module(5000)
    );
}

#[tokio::test]
async fn ours_pulls_what_oras_pushed() {
    let registry = DockerRegistry::start("", &[]).await;
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("plugin.wasm"), module(5000)).expect("written");
    fs::write(dir.path().join("config.json"), "{}").expect("written");
    let script = "import os, sys, oras.client\n\
        os.chdir(sys.argv[2])\n\
        files = ['config.json:application/vnd.module.wasm.config.v1+json',\n\
                 'plugin.wasm:application/vnd.module.wasm.content.layer.v1+wasm']\n\
        oras.client.OrasClient(insecure=True).push(target=sys.argv[1], files=files)";
    let target = format!("{}/lazymesh/filter:1.2.3", registry.address);
    oras(script, &[&target, &dir.path().display().to_string()]);
    let path = dir.path().join("pulled.wasm");
    let ours = registry.open(plain(Credentials::Anonymous));
    pull(&ours, &tag(), &path, &|_, _| {})
        .await
        .expect("pulled");
    assert_eq!(fs::read(path).expect("there"), module(5000));
}
