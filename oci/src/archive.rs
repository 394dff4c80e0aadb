//! The tar+gzip layer of image-shaped artifacts, written the same everywhere and read with a bound.

use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};

use crate::{Digest, Error};

/// Name of the module in the archive; Istio looks for it.
pub(crate) const MODULE_PATH: &str = "plugin.wasm";

/// Entries looked at before the search for the module is given up.
const MOST_ENTRIES: usize = 1000;

/// A layer and the digest of the tar in it, which an image's configuration lists.
pub(crate) struct Archive {
    pub(crate) gzip: Bytes,
    pub(crate) tar_digest: Digest,
}

/// Packs a module: no times, no owners, no machine in it.
pub(crate) fn pack(module: &[u8]) -> io::Result<Archive> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, MODULE_PATH, module)?;
    let tar = builder.into_inner()?;
    // 255: an unknown operating system.
    let mut gzip = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(Vec::new(), Compression::best());
    gzip.write_all(&tar)?;
    Ok(Archive {
        gzip: gzip.finish()?.into(),
        tar_digest: Digest::of(&tar),
    })
}

/// The module in a layer.
///
/// # Errors
/// [`Error::TooLarge`] when more than `limit` bytes come out of it, be it the module or what precedes it.
pub(crate) fn unpack(gzip: &[u8], limit: u64) -> Result<Bytes, Error> {
    let malformed = |_: io::Error| no_archive();
    // One byte more than allowed, to tell "just fits" from "too large".
    let bounded = GzDecoder::new(gzip).take(limit.saturating_add(tar_overhead()) + 1);
    let mut tar = tar::Archive::new(bounded);
    for entry in tar.entries().map_err(malformed)?.take(MOST_ENTRIES) {
        let entry = entry.map_err(malformed)?;
        let is_module = entry
            .path()
            .is_ok_and(|path| path.strip_prefix("./").unwrap_or(&path).as_os_str() == MODULE_PATH);
        if is_module && entry.header().entry_type().is_file() {
            return read_bounded(entry, limit);
        }
    }
    Err(Error::NoModule(format!("no {MODULE_PATH} in the archive")))
}

fn no_archive() -> Error {
    Error::malformed(
        "tar+gzip layer",
        "expected a tar archive in gzip, got something else or part of one",
    )
}

fn read_bounded(entry: impl Read, limit: u64) -> Result<Bytes, Error> {
    let mut module = Vec::new();
    let read = entry.take(limit + 1).read_to_end(&mut module);
    read.map_err(|_| no_archive())?;
    if module.len() as u64 > limit {
        return Err(Error::TooLarge {
            what: format!("{MODULE_PATH} in the archive"),
            limit,
        });
    }
    Ok(module.into())
}

/// Headers and padding of [`MOST_ENTRIES`] entries.
const fn tar_overhead() -> u64 {
    MOST_ENTRIES as u64 * 2 * 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let packed = pack(b"module").expect("packs");
        assert_eq!(unpack(&packed.gzip, 6).expect("fits"), "module");
        assert!(matches!(
            unpack(&packed.gzip, 5),
            Err(Error::TooLarge { limit: 5, .. })
        ));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let packed = pack(&vec![0; 32 << 20]).expect("packs");
        assert!(packed.gzip.len() < 64 << 10, "{}", packed.gzip.len());
        assert!(matches!(
            unpack(&packed.gzip, 1 << 20),
            Err(Error::TooLarge { .. })
        ));
    }

    #[test]
    fn what_holds_no_module() {
        assert!(matches!(
            unpack(b"no gzip", 10),
            Err(Error::Malformed { .. })
        ));
        let packed = pack(b"module").expect("packs");
        assert!(unpack(&packed.gzip[..packed.gzip.len() / 2], 10).is_err());
    }
}
