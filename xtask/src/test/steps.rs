//! Tells which step runs, and at the end how long each took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Steps that were run, with how long each took.
#[derive(Default)]
pub(super) struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    pub(super) fn step<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        headline(name);
        let start = Instant::now();
        let result = work().with_context(|| format!("step `{name}` failed"))?;
        self.0.push((name, start.elapsed()));
        Ok(result)
    }

    pub(super) fn print_times(&self) {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let total = self.0.iter().map(|(_, time)| *time).sum();
        let steps: Vec<_> = self
            .0
            .iter()
            .map(|(name, time)| format!("{name} {}", seconds(*time)))
            .collect();
        eprintln!(
            "\n{} before the tests: {}",
            seconds(total),
            steps.join(", ")
        );
    }
}

pub(super) fn headline(name: &str) {
    eprintln!("\n=== {name}");
}
