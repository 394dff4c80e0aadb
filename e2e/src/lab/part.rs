//! One process of the lab: started, watched, restarted, and its log shown when it fails.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use super::sandbox::only_child;
use crate::{process::Process, wait};

/// How much of a log a failure shows.
const TAIL_LINES: usize = 25;

/// Programs log every question about their readiness that they answer with no.
const POLL: Duration = Duration::from_millis(50);

/// How long a process may take to end when asked to.
const ENDING: Duration = Duration::from_secs(20);

/// A process in a sandbox. It is not ended on drop: its sandbox ends it.
pub struct Part {
    name: String,
    log: PathBuf,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    child: Mutex<Option<Child>>,
}

impl Part {
    /// Starts the process that `command` gives, which must be made by a sandbox. It logs to `logs/<name>.log`.
    pub(super) fn start(
        name: &str,
        logs: &Path,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Result<Self> {
        fs::create_dir_all(logs)?;
        let part = Self {
            name: name.to_owned(),
            log: logs.join(format!("{name}.log")),
            command: Box::new(command),
            child: Mutex::new(None),
        };
        part.start_again()?;
        Ok(part)
    }

    /// Starts it again, after [`Part::kill`] or [`Part::stop`].
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start_again(&self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = (self.command)()
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        *self.child() = Some(child);
        Ok(())
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub async fn kill(&self) -> Result<()> {
        self.end(Signal::KILL).await
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(&self) -> Result<()> {
        self.end(Signal::TERM).await
    }

    /// Has it do nothing more, as on a machine that has no time for it. [`Part::kill`] ends it all the same.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        let child = self.child();
        let inner = inner(child.as_ref().context("it was ended")?)?;
        let pid = inner.and_then(Pid::from_raw);
        Ok(kill_process(pid.context("it does not run")?, Signal::STOP)?)
    }

    async fn end(&self, signal: Signal) -> Result<()> {
        let Some(mut child) = self.child().take() else {
            return Ok(());
        };
        if let Ok(Some(inner)) = inner(&child) {
            let pid = Pid::from_raw(inner).context("a process without a number")?;
            kill_process(pid, signal)?;
            // nsenter stops with a program that is frozen, and has to see that it ends.
            kill_process(Pid::from_child(&child), Signal::CONT)?;
        }
        wait::until_within(&format!("{} to end", self.name), ENDING, async || {
            child.try_wait()?.context("it is still running")
        })
        .await
        .map(drop)
    }

    /// The program, to see what it takes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process(&self) -> Result<Process> {
        let child = self.child();
        let child = child.as_ref().context("it was ended")?;
        let inner = inner(child)?.with_context(|| format!("{} does not run", self.name))?;
        Ok(Process::new(inner.try_into()?))
    }

    /// Waits until `probe` succeeds.
    ///
    /// # Errors
    /// With the end of the log, when the process ends or `probe` fails for as long as `patience`.
    pub async fn until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut probe: impl AsyncFnMut() -> Result<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            let error = match (probe().await, self.ended()?) {
                (Ok(value), _) => return Ok(value),
                (Err(_), Some(status)) => anyhow!("{} ended ({status})", self.name),
                (Err(error), None) if Instant::now() > deadline => {
                    error.context(format!("waited {patience:?} for {what}"))
                }
                (Err(_), None) => {
                    tokio::time::sleep(POLL).await;
                    continue;
                }
            };
            return Err(error.context(self.tail()));
        }
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Result<Option<ExitStatus>> {
        match self.child().as_mut() {
            Some(child) => Ok(child.try_wait()?),
            None => Ok(None),
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole log so far.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    /// The end of the log, for whoever has to say what failed.
    pub(super) fn tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        format!(
            "{} failed; the end of {}:\n{}",
            self.name,
            self.log.display(),
            tail.join("\n")
        )
    }
}

/// Our child is nsenter, which passes no signals on; the program is its child.
fn inner(child: &Child) -> Result<Option<i32>> {
    only_child(i32::try_from(child.id())?)
}
