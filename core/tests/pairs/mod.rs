//! Holds golden pairs against each other: what `<case>.input.yaml` says is run, and `<case>.expect.yaml` says what is to come of it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs all cases of a folder. With `UPDATE_GOLDEN` what is found is what is expected from now on.
pub(crate) fn check(folder: &Path, run: impl Fn(&str) -> Result<String>) -> Result<()> {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    let mut cases = 0;
    for input in inputs(folder)? {
        cases += 1;
        let found = run(&fs::read_to_string(&input)?);
        let found = found.map_err(|error| format!("{}: {error}", input.display()))?;
        let expect = PathBuf::from(input.to_string_lossy().replace("input.yaml", "expect.yaml"));
        if update {
            fs::write(&expect, &found)?;
        } else if fs::read_to_string(&expect).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", expect.display()));
        }
    }
    assert!(cases > 0, "no cases found");
    assert!(
        wrong.is_empty(),
        "not as expected; this was found:\n{}",
        wrong.join("\n")
    );
    Ok(())
}

fn inputs(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<std::result::Result<Vec<_>, _>>()?;
    files.retain(|path| path.to_string_lossy().ends_with("input.yaml"));
    files.sort();
    Ok(files)
}
