//! Where the generators are, and how to run them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that `cargo xtask test interop` fills.
pub(crate) struct Tools {
    /// Where `pip install --target` has put python/requirements.txt.
    python: PathBuf,
    /// Where `npm ci` has put typescript/package.json.
    node: PathBuf,
}

impl Tools {
    pub(crate) fn find() -> Self {
        let folder = |name| {
            let folder = env::var_os(name).map(PathBuf::from);
            folder.unwrap_or_else(|| panic!("{name}: run `cargo xtask test interop`"))
        };
        Self {
            python: folder("LAZYMESH_CLIENTS_PYTHON"),
            node: folder("LAZYMESH_CLIENTS_NODE"),
        }
    }

    /// A module of Python as a program.
    pub(crate) fn python(&self, module: &str) -> Command {
        let mut command = self.script();
        command.args(["-m", module]);
        command
    }

    /// Python, for a script.
    pub(crate) fn script(&self) -> Command {
        let mut command = Command::new("python3");
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = [self.python.join("bin")].into_iter();
        let path = env::join_paths(folders.chain(env::split_paths(&path)));
        command
            .env("PYTHONPATH", &self.python)
            .env("PATH", path.expect("a path"));
        command
    }

    /// A program of a package, as `typescript/bin/tsc`.
    pub(crate) fn node(&self, program: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(self.node.join("node_modules").join(program));
        command
    }

    /// Lets code in a folder import the packages.
    pub(crate) fn link_modules(&self, folder: &Path) {
        let modules = self.node.join("node_modules");
        std::os::unix::fs::symlink(modules, folder.join("node_modules")).expect("linked");
    }
}

/// Runs a program; what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout.into_owned()
}
