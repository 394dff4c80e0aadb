//! The lab as people use it: one process starts it, others look at it, enter it and take it down.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context, Result, ensure};

const POD: &str = "people/a";

/// `cargo xtask lab` with these arguments; gives what it said.
fn lab(arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_lazymesh-lab"))
        .args(["--name", "people"])
        .args(arguments)
        .output()?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Network interfaces of labs on this machine.
fn interfaces() -> Result<BTreeSet<String>> {
    let entries = fs::read_dir("/sys/class/net")?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: BTreeSet<String> = names.collect::<Result<_>>()?;
    names.retain(|name| name.starts_with("lm"));
    Ok(names)
}

/// Processes that have something of a folder in their command line.
fn processes(folder: &str) -> Result<Vec<String>> {
    let command_lines = fs::read_dir("/proc")?
        // One that has ended meanwhile has none.
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    Ok(command_lines.filter(|line| line.contains(folder)).collect())
}

#[test]
fn up_status_shell_and_down() -> Result<()> {
    lab(&["down"])?;
    let before = interfaces()?;
    ensure!(lab(&["status"]).is_err(), "there is a lab");
    lab(&["up", POD])?;
    let status = lab(&["status"])?;
    let folder = status
        .lines()
        .find_map(|line| line.strip_prefix("control plane running: "))
        .with_context(|| status.clone())?;
    ensure!(!processes(folder)?.is_empty(), "nothing runs");

    ensure!(status.contains(&format!("pod {POD} running: ")), "{status}");
    let network = "/proc/self/ns/net";
    let inside = lab(&["shell", POD, "readlink", network])?;
    let outside = fs::read_link(network)?;
    ensure!(
        inside.starts_with("net:[") && inside.trim_end() != outside.to_string_lossy(),
        "{inside}"
    );

    lab(&["down"])?;
    ensure!(lab(&["status"]).is_err(), "there is a lab still");
    ensure!(!fs::exists(folder)?, "{folder} is still there");
    let processes = processes(folder)?;
    ensure!(processes.is_empty(), "{processes:#?}");
    let after = interfaces()?;
    // Another one may have been on its way out.
    ensure!(after.is_subset(&before), "{after:?}, before {before:?}");
    Ok(())
}
