//! What runs in a lab that another process started.

use std::{fmt::Write, fs, path::Path};

use anyhow::{Result, ensure};

use super::{Entrance, entrance, entrance_file, folder, kubernetes};

/// A few lines about a lab and its pods.
///
/// # Errors
/// When there is no such lab, or its files cannot be read.
pub fn status(lab: &str) -> Result<String> {
    let folder = folder(lab);
    ensure!(folder.exists(), "there is no lab: `cargo xtask lab up`");
    let entrance: Entrance = serde_json::from_slice(&fs::read(entrance_file(&folder))?)?;
    let mut text = String::new();
    let state = if entrance.node.is_alive() {
        "running"
    } else {
        "ended"
    };
    writeln!(text, "control plane {state}: {}", folder.display())?;
    writeln!(
        text,
        "export KUBECONFIG={}",
        kubernetes::kubeconfig(&folder).display()
    )?;
    for name in pods(&folder)? {
        let Some((namespace, pod)) = name.split_once('.') else {
            continue;
        };
        let entrance = entrance::Entrance::of(&folder, namespace, pod)?;
        let state = if entrance.sandbox.is_alive() {
            "running"
        } else {
            "ended"
        };
        writeln!(text, "pod {namespace}/{pod} {state}: {}", entrance.address)?;
    }
    Ok(text)
}

fn pods(lab: &Path) -> Result<Vec<String>> {
    let Ok(folder) = fs::read_dir(lab.join("pods")) else {
        return Ok(Vec::new());
    };
    let mut names = folder
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
