//! Writes layouts whose tag is an index.

use std::path::Path;

use lazymesh_oci::{Descriptor, Digest, Layout, RawManifest, push};
use serde_json::json;

use super::{artifact, limits, module};

/// A layout as other tools write it: `index.json` lists, under the tag `all`, an index of two filters, or an index of
/// that one, and so on.
pub(crate) async fn nested(dir: &Path, levels: usize) -> [Digest; 2] {
    let layout = Layout::new(dir, limits());
    let mut entries = Vec::new();
    for size in [1, 2] {
        let artifact = artifact(module(size));
        push(&layout, "member", &artifact, &|_, _| {})
            .await
            .expect("stored");
        entries.push(artifact.manifest().descriptor());
    }
    let digests = [entries[0].digest, entries[1].digest];
    for _ in 0..levels {
        let index = index_of(&entries);
        let path = dir.join("blobs/sha256").join(index.digest().hex());
        std::fs::write(path, &index.bytes).expect("written");
        entries = vec![index.descriptor()];
    }
    let entry = entries
        .remove(0)
        .annotated("org.opencontainers.image.ref.name", "all");
    std::fs::write(dir.join("index.json"), index_of(&[entry]).bytes).expect("written");
    digests
}

fn index_of(entries: &[Descriptor]) -> RawManifest {
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
    RawManifest {
        media_type: media_type.to_owned(),
        bytes: index.to_string().into(),
    }
}
