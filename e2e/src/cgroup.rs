//! A control group of the kernel that bounds the memory of what runs in it, as a container's does.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

const ROOT: &str = "/sys/fs/cgroup";

/// A control group with a limit on memory. It is removed when dropped, by when all that ran in it must have ended.
pub struct Cgroup {
    folder: PathBuf,
    most_used: &'static str,
}

impl Cgroup {
    /// One for so many bytes, without swap. Only root may make one.
    ///
    /// # Errors
    /// When the kernel has none to give.
    pub fn with_memory(bytes: u64) -> Result<Self> {
        let root = Path::new(ROOT);
        let name = format!("lazymesh-{}", std::process::id());
        let unified = root.join("cgroup.subtree_control");
        let (folder, limits, most_used) = if unified.exists() {
            fs::write(&unified, "+memory").context("cgroup v2 without memory; are you root?")?;
            let limits = [("memory.max", bytes), ("memory.swap.max", 0)];
            (root.join(name), limits, "memory.peak")
        } else {
            let limits = [
                ("memory.limit_in_bytes", bytes),
                ("memory.memsw.limit_in_bytes", bytes),
            ];
            let folder = root.join("memory").join(name);
            (folder, limits, "memory.max_usage_in_bytes")
        };
        fs::create_dir(&folder)
            .with_context(|| format!("{}: cannot be made; are you root?", folder.display()))?;
        let cgroup = Self { folder, most_used };
        for (index, (file, value)) in limits.into_iter().enumerate() {
            let written = fs::write(cgroup.folder.join(file), value.to_string());
            // A machine without swap may have no file for it.
            ensure!(index > 0 || written.is_ok(), "{file}: {written:?}");
        }
        Ok(cgroup)
    }

    /// Where a process writes its number to be in it.
    #[must_use]
    pub fn processes(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }

    /// Most bytes that were in use at once, of which the kernel may take back what it keeps of files.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn most_used(&self) -> Result<u64> {
        let file = self.folder.join(self.most_used);
        let bytes = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(bytes.trim().parse()?)
    }
}

impl Drop for Cgroup {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is a wait on a condition, with an end"
    )]
    fn drop(&mut self) {
        // The last process may be on its way out.
        for _ in 0..100 {
            match fs::remove_dir(&self.folder) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                _ => return,
            }
        }
    }
}
