//! Runs the binary.

use std::process::{Command, Output};

use serde_json::Value;

/// The binary, unimpressed by the environment of the tests.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lazymesh"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LAZYMESH_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self {
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Run {
    /// What it printed, when all went well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(
            (self.status, self.stderr.as_str()),
            (Some(0), ""),
            "{}",
            self.stdout
        );
        self.stdout
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).expect("JSON")
    }

    #[track_caller]
    pub(crate) fn yaml(self) -> Value {
        serde_saphyr::from_str(&self.ok()).expect("YAML")
    }

    /// What it complained about.
    #[track_caller]
    pub(crate) fn error(self) -> String {
        assert_eq!(
            (self.status, self.stdout.as_str()),
            (Some(1), ""),
            "{}",
            self.stderr
        );
        self.stderr
    }
}

pub(crate) fn run(args: &[&str]) -> Run {
    command()
        .args(args)
        .output()
        .expect("the binary runs")
        .into()
}
