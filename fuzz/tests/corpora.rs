//! The committed inputs, and what random changes make of them.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use lazymesh_fuzz::{HARNESSES, Harness};

/// Changed inputs of each harness.
const CHANGED: usize = 1_000;
/// Most changes to one.
const CHANGES: usize = 6;
/// What means something to one of the formats.
const WORDS: [&str; 16] = [
    ",", ";", "=", "\"", "\\", ":", ".", "*", "/", "[", "]", "{", "}", "null", "0", "\n",
];

#[test]
fn every_harness_holds() -> Result<()> {
    for (name, harness) in HARNESSES {
        let inputs = corpus(name)?;
        for input in &inputs {
            holds(name, harness, input)?;
        }
        let mut random = Rng::with_seed(1);
        for _ in 0..CHANGED {
            let input = change(&inputs, &mut random);
            holds(name, harness, &input)?;
        }
    }
    Ok(())
}

fn corpus(name: &str) -> Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut files = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort_unstable();
    files.iter().map(|file| Ok(fs::read(file)?)).collect()
}

fn holds(name: &str, harness: Harness, input: &[u8]) -> Result<()> {
    let held = catch_unwind(|| harness(input));
    ensure!(held.is_ok(), "{name}: {:?}", String::from_utf8_lossy(input));
    Ok(())
}

fn change(inputs: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = random.choice(inputs).cloned().unwrap_or_default();
    for _ in 0..random.usize(1..=CHANGES) {
        let (from, to) = (random.usize(..=input.len()), random.usize(..=input.len()));
        let (from, to) = (from.min(to), from.max(to));
        match random.u8(..5) {
            0 => input.truncate(to),
            1 => drop(input.drain(from..to.min(from + 8))),
            2 => input.insert(from, random.u8(..)),
            3 => {
                let other = random.choice(inputs).map_or(&[][..], Vec::as_slice);
                let rest = other.get(from.min(other.len())..).unwrap_or_default();
                input.splice(from.., rest.iter().copied());
            }
            _ => {
                let word = random.choice(&WORDS).copied().unwrap_or_default();
                input.splice(from..from, word.bytes());
            }
        }
    }
    input
}
