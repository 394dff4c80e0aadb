//! The image's only layer: the binary, its user, and a folder for what the collector keeps.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// User and group `nonroot`, as in other images without a shell.
pub(super) const USER: u32 = 65532;
/// Where the chart mounts the store. The user's own, because a new volume takes that over.
const DATA: &str = "var/lib/lazymesh/";
/// Where the binary is.
pub(super) const PROGRAM: &str = "lazymesh";

const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/var/lib/lazymesh:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// A layer as it is stored, and the hash of the archive in it, which the image's configuration names.
pub(super) struct Layer {
    pub(super) gzip: Vec<u8>,
    pub(super) tar_sha256: String,
}

/// The same bytes for the same program.
pub(super) fn pack(program: &[u8]) -> Result<Layer> {
    let mut archive = Builder::new(Vec::new());
    // Sorted by path.
    folder(&mut archive, "etc/", 0)?;
    file(&mut archive, "etc/group", 0o644, GROUP.as_bytes())?;
    file(&mut archive, "etc/passwd", 0o644, PASSWD.as_bytes())?;
    file(&mut archive, PROGRAM, 0o755, program)?;
    folder(&mut archive, "var/", 0)?;
    folder(&mut archive, "var/lib/", 0)?;
    folder(&mut archive, DATA, USER)?;
    let tar = archive.into_inner()?;
    // 255: an unknown operating system.
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), Compression::default());
    gzip.write_all(&tar)?;
    Ok(Layer {
        gzip: gzip.finish()?,
        tar_sha256: format!("{:x}", Sha256::digest(&tar)),
    })
}

fn folder(archive: &mut Builder<Vec<u8>>, path: &str, owner: u32) -> Result<()> {
    let mut header = header(EntryType::Directory, 0o755, owner, 0);
    Ok(archive.append_data(&mut header, path, &[][..])?)
}

fn file(archive: &mut Builder<Vec<u8>>, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    let mut header = header(EntryType::Regular, mode, 0, content.len());
    Ok(archive.append_data(&mut header, path, content)?)
}

/// The time of everything is 1970.
fn header(kind: EntryType, mode: u32, owner: u32, size: usize) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner.into());
    header.set_gid(owner.into());
    header.set_size(size as u64);
    header.set_mtime(0);
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn what_is_in_it() {
        let layer = pack(b"program").expect("packs");
        let mut tar = Vec::new();
        let mut unpacked = GzDecoder::new(layer.gzip.as_slice());
        unpacked.read_to_end(&mut tar).expect("gzip");
        assert_eq!(layer.tar_sha256, format!("{:x}", Sha256::digest(&tar)));
        let mut archive = tar::Archive::new(tar.as_slice());
        let entries = archive.entries().expect("tar").map(|entry| {
            let entry = entry.expect("an entry");
            let header = entry.header();
            (
                entry.path().expect("a path").display().to_string(),
                header.mode().expect("a mode"),
                header.uid().expect("an owner"),
                header.mtime().expect("a time"),
            )
        });
        let expect = [
            ("etc/", 0o755, 0),
            ("etc/group", 0o644, 0),
            ("etc/passwd", 0o644, 0),
            ("lazymesh", 0o755, 0),
            ("var/", 0o755, 0),
            ("var/lib/", 0o755, 0),
            ("var/lib/lazymesh/", 0o755, 65532),
        ];
        let expect = expect.map(|(path, mode, owner)| (path.to_owned(), mode, owner, 0));
        assert_eq!(entries.collect::<Vec<_>>(), expect);
        assert_eq!(pack(b"program").expect("packs").gzip, layer.gzip);
    }
}
