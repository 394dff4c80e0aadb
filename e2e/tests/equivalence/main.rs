//! lazymesh's scopes and decisions against istiod's own code: docs/equivalence.md.
//!
//! `known.yaml` lists, mesh by mesh, the differences that are still there, `generated.yaml` the kinds that generated meshes
//! have. One that is not listed fails the test, and so does a listed one that is gone. `UPDATE_KNOWN=1` writes the lists
//! anew; read the difference before you commit it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use lazymesh_e2e::equivalence::{self, Fuzz, Kind, Mesh, Oracle};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How many meshes are generated, and from where.
const GENERATED: (usize, u64) = (100, 11);

/// Keys of differences, by mesh.
type Known = BTreeMap<String, BTreeSet<String>>;

#[test]
fn cases_are_as_istiod_has_them() -> Result<()> {
    let folders = entries(&here().join("cases"), Path::is_dir)?;
    let golden = entries(&here().join("../../../core/tests/golden"), |path| {
        path.to_string_lossy().ends_with(".input.yaml")
    })?;
    let mut meshes = Vec::new();
    for folder in folders {
        meshes.extend(equivalence::folder(&folder)?);
    }
    for input in golden {
        meshes.extend(equivalence::golden(&input)?);
    }
    // The registry of istiod's tests knows no other.
    meshes.retain(|mesh| mesh.settings.cluster_domain == "cluster.local");
    compare(&meshes)
}

fn compare(meshes: &[Mesh]) -> Result<()> {
    let mut oracle = Oracle::start()?;
    let (mut found, mut shown) = (Known::new(), String::new());
    for mesh in meshes {
        for difference in equivalence::differences(&mut oracle, mesh, |_| true)? {
            let keys = found.entry(mesh.name.clone()).or_default();
            if keys.insert(difference.key()) {
                shown += &format!("{}: {difference}\n", mesh.name);
            }
        }
    }
    let known = known("known.yaml", &found)?;
    assert!(
        known == found,
        "known.yaml: new: {:#?}; gone, to be deleted there: {:#?}; all differences:\n{shown}",
        missing(&found, &known),
        missing(&known, &found),
    );
    Ok(())
}

#[test]
fn generated_meshes_are_as_istiod_has_them() -> Result<()> {
    let mut oracle = Oracle::start()?;
    let (meshes, seed) = GENERATED;
    let mut fuzz = Fuzz::new(seed, listed("generated.yaml")?);
    let mut found: BTreeMap<Kind, String> = BTreeMap::new();
    for _ in 0..meshes {
        for difference in fuzz.next_mesh(&mut oracle)?.differences {
            found
                .entry(difference.kind)
                .or_insert_with(|| difference.to_string());
        }
    }
    assert!(
        fuzz.refused * 10 < meshes,
        "istiod refuses {} of {meshes} meshes",
        fuzz.refused
    );
    let kinds: BTreeSet<_> = found.keys().copied().collect();
    let known = known("generated.yaml", &kinds)?;
    assert!(
        known == kinds,
        "generated.yaml: {known:?}; found, each with an example: {found:#?}"
    );
    Ok(())
}

/// What a list says; it says what was found where it is to be written anew.
fn known<T: Serialize + DeserializeOwned>(name: &str, found: &T) -> Result<T> {
    if std::env::var_os("UPDATE_KNOWN").is_some() {
        fs::write(here().join(name), serde_saphyr::to_string(found)?)?;
    }
    listed(name)
}

fn listed<T: DeserializeOwned>(name: &str) -> Result<T> {
    let text = fs::read_to_string(here().join(name))?;
    Ok(serde_saphyr::from_str(&text)?)
}

/// What is in `all` and not in `from`.
fn missing(all: &Known, from: &Known) -> Vec<String> {
    let keys = all
        .iter()
        .flat_map(|(mesh, keys)| keys.iter().map(move |key| (mesh, key)));
    keys.filter(|(mesh, key)| !from.get(*mesh).is_some_and(|keys| keys.contains(*key)))
        .map(|(mesh, key)| format!("{mesh}: {key}"))
        .collect()
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/equivalence")
}

fn entries(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let entries: std::io::Result<Vec<_>> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut paths = entries?;
    paths.retain(|path| wanted(path));
    paths.sort();
    Ok(paths)
}
