//! What lazymesh's store would be without its own sync: the power cut must bite here, or it proves nothing.

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;

pub(crate) fn write(path: &Path) -> Result<()> {
    let db = sled::Config::new().path(path).flush_every_ms(None).open()?;
    let mut out = std::io::stdout().lock();
    let next = match db.last()? {
        Some((key, _)) => u64::from_be_bytes(key.as_ref().try_into()?) + 1,
        None => 0,
    };
    for number in next.. {
        db.insert(number.to_be_bytes(), [0; 64].as_slice())?;
        db.flush()?;
        writeln!(out, "{number}")?;
        out.flush()?;
    }
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<()> {
    let db = sled::Config::new().path(path).flush_every_ms(None).open()?;
    for key in db.iter().keys() {
        println!("{}", u64::from_be_bytes(key?.as_ref().try_into()?));
    }
    Ok(())
}
