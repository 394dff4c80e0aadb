use std::time::Instant;

use anyhow::Result;

/// Tells what happened, a fact a line, and counts what was not true.
pub(super) struct Report {
    started: Instant,
    facts: usize,
    failures: usize,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            facts: 0,
            failures: 0,
        }
    }

    pub(super) fn heading(&self, text: &str) {
        println!("\n{text}");
    }

    /// A fact, in the words of what was seen; or why it is none.
    pub(super) fn fact(&mut self, what: &str, seen: Result<String>) {
        self.facts += 1;
        let time = self.started.elapsed().as_secs_f64();
        match seen {
            Ok(seen) => println!("{time:6.2} s  ✓ {what:<40} {seen}"),
            Err(error) => {
                self.failures += 1;
                println!("{time:6.2} s  ✗ {what:<40} {error:#}");
            }
        }
    }

    /// The last line; whether every fact was true.
    pub(super) fn conclude(&self) -> bool {
        let Self {
            facts, failures, ..
        } = self;
        let time = self.started.elapsed().as_secs_f64();
        if *failures == 0 {
            println!("\n✓ all {facts} facts are true ({time:.1} s)");
        } else {
            println!("\n✗ {failures} of {facts} facts are not true ({time:.1} s)");
        }
        *failures == 0
    }
}
