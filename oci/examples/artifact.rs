//! A module becomes an artifact, gets its provenance attached, is looked at and comes back.
//!
//! ```console
//! $ cargo run -p lazymesh-oci --example artifact -- filter.wasm oci-layout:out:0.1.0
//! $ cargo run -p lazymesh-oci --example artifact -- filter.wasm registry.example.com/lazymesh/filter:0.1.0
//! ```
//!
//! It prints the `url` for a WasmPlugin (of a registry), and what there is to see under it as JSON. Credentials are docker's.

use std::path::Path;

use lazymesh_oci::{
    Artifact, Credentials, Digest, Document, Home, Location, Metadata, RegistryOptions, Variant,
    attach, documents, inspect, open, pull, push,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(location)) = (arguments.next(), arguments.next()) else {
        return Err("usage: artifact FILE.wasm LOCATION".into());
    };
    let location: Location = location.parse()?;
    let credentials = match &location.home {
        Home::Registry { host, .. } => Credentials::from_docker_config(host).await?,
        Home::Layout(_) => Credentials::Anonymous,
    };
    let options = RegistryOptions {
        credentials,
        ..RegistryOptions::default()
    };
    let repository = open(&location, options)?;

    let module = std::fs::read(&file)?;
    let metadata = Metadata {
        title: "filter.wasm".to_owned(),
        ..Metadata::default()
    };
    let build = documents::Build {
        source: Some("https://example.com/filter".to_owned()),
        revision: "0000000000000000000000000000000000000000".to_owned(),
        builder: "https://example.com/by-hand".to_owned(),
        ..documents::Build::default()
    };
    let digest = Digest::of(&module);
    let statement = documents::provenance(&metadata.title, &digest.hex(), &build)?;
    let (statement, _) = Document::about(&digest, "filter", statement)?;
    let artifact = Artifact::pack(module, &metadata, Variant::Wasm)?;

    let tag = location.tag.as_deref().ok_or("a tag is needed to push")?;
    let pushed = push(&*repository, tag, &artifact, &|blob, sent| {
        eprintln!("{} {sent}/{}", blob.digest, blob.size);
    })
    .await?;
    attach(&*repository, artifact.manifest(), &statement).await?;
    if let Some(url) = location.plugin_url(&pushed.digest) {
        println!("url: {url}");
    }

    let seen = inspect(&*repository, &location.pointer()).await?;
    println!("{}", serde_json::to_string_pretty(&seen)?);

    let copy = Path::new(&file).with_extension("pulled.wasm");
    let pulled = pull(&*repository, &location.pointer(), &copy, &|_, _| {}).await?;
    println!("{} bytes in {}", pulled.size, pulled.path.display());
    Ok(())
}
