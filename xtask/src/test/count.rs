//! One number for the whole suite: cargo prints one for every binary, the last of them often 0.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs `cargo test`, shows what it prints, and closes with the sum.
pub(super) fn run(tests: &mut Command) -> Result<()> {
    let mut child = tests
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let (mut passed, mut failed) = (0, 0);
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read what cargo prints")?;
        println!("{line}");
        passed += count(&line, "passed");
        failed += count(&line, "failed");
    }
    let status = child.wait().context("cannot wait for cargo")?;
    println!("\n{passed} passed, {failed} failed");
    ensure!(status.success(), "step `test` failed");
    Ok(())
}

/// The number before `word` in a closing line of a test binary.
fn count(line: &str, word: &str) -> u64 {
    let Some(result) = line.strip_prefix("test result: ") else {
        return 0;
    };
    let number = result
        .split([';', '.'])
        .find_map(|part| part.trim().strip_suffix(word));
    number
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let check =
            |line, expect| assert_eq!((count(line, "passed"), count(line, "failed")), expect);
        check(
            "test result: ok. 35 passed; 0 failed; 0 ignored; finished in 0.10s",
            (35, 0),
        );
        check(
            "test result: FAILED. 23 passed; 1 failed; 0 ignored",
            (23, 1),
        );
        check("test one_is_passed ... ok", (0, 0));
    }
}
