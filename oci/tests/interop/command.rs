//! Runs the `lazymesh` command and other programs, as users do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder for the command to run in, with a module `filter.wasm` and docker's configuration.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new(module: &[u8]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("filter.wasm"), module).expect("written");
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, contents).expect("written");
        path
    }

    /// The command, with programs of the folder on its PATH.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let program = std::env::var_os("LAZYMESH_BIN")
            .expect("LAZYMESH_BIN: run `cargo xtask test`, or set it to a `lazymesh` binary");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env("DOCKER_CONFIG", self.dir.path())
            .env("PATH", format!("{}:{path}", self.dir.path().display()))
            .env("COSIGN_PASSWORD", "lazymesh")
            .env_remove("SOURCE_DATE_EPOCH");
        command
    }

    /// Runs the command; what it printed if it went well, else what it complained about.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String, String> {
        outcome(&self.command(arguments).output().expect("the binary runs"))
    }
}

pub(crate) fn outcome(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Makes a file a program.
pub(crate) fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("permitted");
}

/// Runs a program that the tests need, of the given package; its output.
pub(crate) fn run(command: &mut Command, package: &str) -> String {
    let output = command.output();
    let missing = || format!("{command:?} must be there: {package}");
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", missing()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
