use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use thiserror::Error;

use super::wire::{Answer, Question};
use crate::parts;

/// Most meshes of one process: istiod keeps something of each.
const MOST: usize = 500;

/// istiod does not take a mesh: Kubernetes or Istio's webhook would not have either.
#[derive(Debug, Error)]
#[error("istiod does not take the mesh: {0}")]
pub struct Refused(String);

/// istiod's own code in a process of its own.
pub struct Oracle {
    program: PathBuf,
    process: Process,
}

impl Oracle {
    /// Starts the program that `cargo xtask` built.
    ///
    /// # Errors
    /// When it is not there.
    pub fn start() -> Result<Self> {
        let program = parts::lab_tools()?.join("bin/istiod-oracle");
        let process = Process::start(&program)?;
        Ok(Self { program, process })
    }

    pub(super) fn ask(&mut self, question: &Question) -> Result<Answer> {
        if self.process.asked == MOST {
            self.process = Process::start(&self.program)?;
        }
        self.process.asked += 1;
        let answer = self.process.ask(question)?;
        match answer.error {
            Some(error) => Err(Refused(error).into()),
            None => Ok(answer),
        }
    }
}

struct Process {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    asked: usize,
}

impl Process {
    fn start(program: &PathBuf) -> Result<Self> {
        let mut child = Command::new(program)
            // Sidecars fetch keys themselves, as some meshes have it; istiod never does, for here it has no network.
            .env("PILOT_JWT_ENABLE_REMOTE_JWKS", "envoy")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(questions), Some(answers)) = pipes else {
            bail!("the oracle has no pipes");
        };
        Ok(Self {
            child,
            questions,
            answers: BufReader::new(answers),
            asked: 0,
        })
    }

    fn ask(&mut self, question: &Question) -> Result<Answer> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        self.questions
            .write_all(&line)
            .context("the oracle has ended")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line)
            .with_context(|| format!("expected an answer of the oracle, got {line:?}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has nothing that it would have to put in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
