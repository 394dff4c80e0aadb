//! A set of Linux namespaces (network, mounts, processes) and the process that holds them.
//!
//! This is what makes the lab leave nothing behind: links, packet filter rules, mounts and processes all live
//! inside, so they end with the first process of the namespaces, however that comes to its end. The lab's node
//! is one, and every pod is one within the node.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::wait;

const UNSHARE: [&str; 6] = [
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

/// File in a lab's folder with the number of the process that tidies up after the node.
const SUPERVISOR: &str = "supervisor";

/// Namespaces take a few milliseconds to come and to go; a loaded machine gets more.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// As long as the process that started it.
    WithUs,
    /// Until it is taken down.
    UntilDown,
}

/// The namespaces, known by their first process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sandbox {
    pid: i32,
    /// Tells the process from a later one with the same number.
    started: u64,
}

impl Sandbox {
    /// Namespaces of a lab in `folder`, which is removed when they end, unless there is a file `keep` in it.
    pub(super) async fn node(folder: &Path, life: Life) -> Result<Self> {
        // The first process either reads what we never write, until we are gone, or sleeps.
        let holder = match life {
            Life::WithUs => "cat",
            Life::UntilDown => "sleep infinity",
        };
        let script = format!(
            "echo $$ > \"$0/{SUPERVISOR}\"; unshare {} {holder}; [ -e \"$0/keep\" ] || rm -rf \"$0\"",
            UNSHARE.join(" ")
        );
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .arg(folder)
            // Ctrl-C is for the tests; this one has to survive it to tidy up.
            .process_group(0)
            .stdin(match life {
                Life::WithUs => Stdio::piped(),
                Life::UntilDown => Stdio::null(),
            });
        Self::hold(command, folder).await
    }

    /// The namespaces of the lab in `folder`, whose start may not have come to its end.
    pub(super) fn of_node(folder: &Path) -> Result<Self> {
        let supervisor = fs::read_to_string(folder.join(SUPERVISOR))?;
        let pid = holder(supervisor.trim().parse()?)?;
        let started = started(pid)?;
        Ok(Self { pid, started })
    }

    /// Namespaces within this one. `script` prepares their mounts, with `arguments` as `$1`, `$2` and so on.
    pub(super) async fn within(
        &self,
        script: &str,
        arguments: &[&OsStr],
        folder: &Path,
    ) -> Result<Self> {
        let mut command = self.command("unshare");
        command
            .args(UNSHARE)
            .args([
                "sh",
                "-ec",
                &format!("{script}\nexec sleep infinity"),
                "sandbox",
            ])
            .args(arguments)
            .stdin(Stdio::null());
        Self::hold(command, folder).await
    }

    async fn hold(mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join("sandbox.log");
        let file = fs::File::create(&log)?;
        let mut child = command
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("cannot start a sandbox")?;
        let pid = wait::until_within("a sandbox to start", PATIENCE, async || {
            if let Some(status) = child.try_wait()? {
                bail!("it ended ({status}): {}", fs::read_to_string(&log)?);
            }
            holder(child.id())
        })
        .await?;
        // Dropping the child would close the pipe that keeps the namespaces alive.
        std::mem::forget(child);
        Ok(Self {
            pid,
            started: started(pid)?,
        })
    }

    /// `program`, run inside.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--net",
                "--mount",
                "--pid",
                "--target",
                &self.pid.to_string(),
                "--",
            ])
            .arg(program)
            // Nothing of the developer's environment: no proxies, no KUBECONFIG.
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default());
        command
    }

    /// `program`, run inside in `folder`.
    pub(super) fn command_in(&self, folder: &Path, program: impl AsRef<OsStr>) -> Command {
        // Entering the namespaces forgets the working directory.
        let mut command = self.command("env");
        command.arg("--chdir").arg(folder).arg(program);
        command
    }

    /// `program`, run as a process of ours that only uses the network inside.
    pub(super) fn network_command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--net", "--target", &self.pid.to_string(), "--"])
            .arg(program);
        command
    }

    /// The first process, as seen from outside.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// The network namespace, as a file.
    pub(super) fn network(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.pid))
    }

    /// Whether it still exists.
    pub(super) fn is_alive(&self) -> bool {
        started(self.pid).is_ok_and(|at| at == self.started)
    }

    /// Ends everything inside.
    pub(super) fn kill(&self) -> Result<()> {
        if self.is_alive() {
            let pid = Pid::from_raw(self.pid).context("a sandbox without a process")?;
            kill_process(pid, Signal::KILL)?;
        }
        Ok(())
    }

    /// Ends everything inside, and waits until it is gone.
    pub(super) async fn end(&self) -> Result<()> {
        self.kill()?;
        wait::until_within("a sandbox to end", PATIENCE, async || {
            ensure!(!self.is_alive(), "process {} is still there", self.pid);
            Ok(())
        })
        .await
    }
}

/// The process that holds the namespaces, below `ancestor`.
fn holder(ancestor: u32) -> Result<i32> {
    let mut pid = i32::try_from(ancestor)?;
    while let Some(child) = only_child(pid)? {
        pid = child;
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm"))?;
    ensure!(
        matches!(name.trim(), "cat" | "sleep"),
        "{} is still starting",
        name.trim()
    );
    Ok(pid)
}

/// The first child of a process, if it has any.
pub(super) fn only_child(pid: i32) -> Result<Option<i32>> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .with_context(|| format!("process {pid} ended"))?;
    Ok(children
        .split_whitespace()
        .next()
        .map(str::parse)
        .transpose()?)
}

/// When a process was started, in the kernel's ticks. An ended process that nobody has waited for is not a process.
fn started(pid: i32) -> Result<u64> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field, the name in brackets, may itself have blanks and brackets.
    let (_, fields) = line.rsplit_once(')').context("an odd /proc/PID/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    ensure!(fields.first() != Some(&"Z"), "process {pid} has ended");
    let started = fields.get(19).context("a short /proc/PID/stat")?;
    Ok(started.parse()?)
}
