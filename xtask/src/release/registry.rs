//! A registry of this machine only: Debian's `docker-registry`, gone when it is dropped.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub(super) struct LocalRegistry {
    process: Child,
    /// Host and port, http.
    pub(super) address: String,
}

impl LocalRegistry {
    /// A registry that keeps its things below `folder`; returns when it answers.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let configuration = folder.join("registry.yml");
        fs::write(
            &configuration,
            format!(
                "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {address}}}\n",
                folder.join("registry").display()
            ),
        )?;
        let log = folder.join("registry.log");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(configuration)
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start docker-registry")?;
        let mut registry = Self { process, address };
        registry.wait(&log)?;
        Ok(registry)
    }

    fn wait(&mut self, log: &Path) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(&self.address).is_err() {
            if self.process.try_wait()?.is_some() || Instant::now() > deadline {
                bail!(
                    "docker-registry does not start: {}",
                    fs::read_to_string(log)?.trim()
                );
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for LocalRegistry {
    fn drop(&mut self) {
        // Either fails only if the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
