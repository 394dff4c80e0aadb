//! Running other programs so that a failure says which step it was.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The cargo that runs this task, in the workspace's folder.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root).args(arguments);
    cargo
}

/// Runs `command` to its end.
///
/// # Errors
/// When it cannot be started, or ends with any status but 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs `command` to its end; what it printed.
///
/// # Errors
/// When it cannot be started, or ends with any status but 0: then with what it complained about.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let line = line(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint: Vec<_> = complaint.split_whitespace().collect();
        bail!(
            "`{line}` failed ({}): {}",
            output.status,
            complaint.join(" ")
        );
    }
    Ok(output.stdout)
}

/// Becomes `command`, which so gets the terminal's signals and gives its own exit status.
///
/// # Errors
/// Returns only when it cannot be started.
pub(crate) fn become_process(mut command: Command) -> Result<()> {
    let line = line(&command);
    Err(command.exec()).with_context(|| format!("cannot start `{line}`"))
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_one_line() {
        let mut complain = Command::new("sh");
        complain.args(["-c", "echo 'no such'; printf '\n no\n  way\n' >&2; exit 3"]);
        let error = format!("{:#}", output(&mut complain).expect_err("it fails"));
        assert!(
            error.ends_with("failed (exit status: 3): no way"),
            "{error}"
        );
    }
}
