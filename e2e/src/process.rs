//! What a process of this machine takes, as the kernel says.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// A process, by its number.
#[derive(Clone, Copy, Debug)]
pub struct Process(u32);

/// Memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident, in bytes.
    pub resident: u64,
    /// Private and dirty, in bytes: what one more of it costs a machine. Clean pages are of files, which all sidecars
    /// of a node share and the kernel can drop; whether they count as private depends on who else runs just now.
    pub private: u64,
}

impl Process {
    /// The process with this number.
    #[must_use]
    pub fn new(id: u32) -> Self {
        Self(id)
    }

    /// What it takes now.
    ///
    /// # Errors
    /// When it has ended.
    pub fn memory(self) -> Result<Memory> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0))?;
        let sum = |wanted: &[&str]| -> u64 {
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            let kilobytes =
                lines
                    .filter(|(name, _)| wanted.contains(name))
                    .filter_map(|(_, value)| {
                        value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
                    });
            kilobytes.sum::<u64>() * 1024
        };
        Ok(Memory {
            resident: sum(&["Rss"]),
            private: sum(&["Private_Dirty"]),
        })
    }

    /// Most that was resident at once since it started, in bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn most_resident(self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let mut lines = status.lines();
        let peak = lines.find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        Ok(peak.context("no VmHWM")?.trim().parse::<u64>()? * 1024)
    }

    /// Processor time that it has used, all threads together, to 10 ms.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_time(self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The second field is the program's name, in parentheses; utime and stime are the 14th and 15th.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(
            ticks * 1_000 / rustix::param::clock_ticks_per_second(),
        ))
    }

    /// Its first child that runs this program.
    ///
    /// # Errors
    /// When it has ended, or has no such child.
    pub fn child(self, program: &str) -> Result<Self> {
        // The kernel lists children by the thread that started them.
        for thread in fs::read_dir(format!("/proc/{}/task", self.0))? {
            let children = fs::read_to_string(thread?.path().join("children"))?;
            for child in children.split_whitespace() {
                let name = fs::read_to_string(format!("/proc/{child}/comm"))?;
                if name.trim() == program {
                    return Ok(Self(child.parse()?));
                }
            }
        }
        anyhow::bail!("process {} has no child {program}", self.0)
    }
}
