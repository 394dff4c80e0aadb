//! One number for the whole suite: cargo prints one for every binary, the last of them often 0, and Go none.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};

/// How the tests went.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

/// Runs test programs up to the first that fails, shows what they print, and closes with the sum.
pub(super) fn run(programs: &mut [Command]) -> Result<()> {
    let mut count = Count::default();
    let mut all_well = true;
    for program in programs {
        all_well = count.run(program)?.success();
        if !all_well {
            break;
        }
    }
    println!("\n{} passed, {} failed", count.passed, count.failed);
    ensure!(all_well, "step `test` failed");
    Ok(())
}

impl Count {
    fn run(&mut self, tests: &mut Command) -> Result<ExitStatus> {
        let name = tests.get_program().to_owned();
        let failed = || format!("cannot run {}", name.display());
        let mut child = tests.stdout(Stdio::piped()).spawn().with_context(failed)?;
        let output = child.stdout.take().with_context(failed)?;
        for line in BufReader::new(output).split(b'\n') {
            let line = line.with_context(failed)?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            self.add(&line);
        }
        child.wait().with_context(failed)
    }

    fn add(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number(result, "passed");
            self.failed += number(result, "failed");
        }
        // Go's tests; parts of one are indented.
        self.passed += u64::from(line.starts_with("--- PASS: "));
        self.failed += u64::from(line.starts_with("--- FAIL: "));
    }
}

/// The number before `word` in a closing line of one of cargo's test binaries.
fn number(result: &str, word: &str) -> u64 {
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
        let check = |line: &str, passed, failed| {
            let mut count = Count::default();
            count.add(line);
            assert_eq!(count, Count { passed, failed }, "{line}");
        };
        check(
            "test result: ok. 35 passed; 0 failed; 0 ignored; finished in 0.10s",
            35,
            0,
        );
        check("test result: FAILED. 23 passed; 1 failed; 0 ignored", 23, 1);
        check("test one_is_passed ... ok", 0, 0);
        check("--- PASS: TestIstioFetchesWhatWePush (1.54s)", 1, 0);
        check("--- FAIL: TestIstioFetchesWhatWePush (1.54s)", 0, 1);
        check(
            "    --- PASS: TestIstioFetchesWhatWePush/wasm (1.00s)",
            0,
            0,
        );
    }
}
