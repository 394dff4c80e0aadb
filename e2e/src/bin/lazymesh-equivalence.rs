//! `lazymesh-equivalence`: holds meshes against istiod's own code. `cargo xtask equivalence` and `cargo xtask fuzz` build
//! what it needs and run it.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, Subcommand};
use lazymesh_e2e::equivalence::{self, Difference, Found, Fuzz, Kind, Mesh, Oracle};

/// Holds lazymesh's scopes and decisions against istiod's own code.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Meshes that somebody wrote: folders with manifests.yaml and question.json, or golden cases of core
    Cases {
        /// Folders, or files that end in .input.yaml
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Meshes that are generated, for a time; the first that differs in a kind of its own is made small and printed
    Fuzz {
        /// For how long
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
        /// Where to start; the same one gives the same meshes
        #[arg(long)]
        seed: Option<u64>,
        /// Kinds of differences to pass over; may be given many times
        #[arg(long, value_name = "KIND")]
        except: Vec<Kind>,
    },
}

fn main() -> Result<ExitCode> {
    let equal = match Arguments::parse().task {
        Task::Cases { paths } => cases(&paths)?,
        Task::Fuzz {
            seconds,
            seed,
            except,
        } => fuzz(Duration::from_secs(seconds), seed, except)?,
    };
    Ok(if equal {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether nothing differs.
fn cases(paths: &[PathBuf]) -> Result<bool> {
    let mut oracle = Oracle::start()?;
    let mut equal = true;
    for path in paths {
        let meshes = if path.is_dir() {
            equivalence::folder(path)?
        } else {
            equivalence::golden(path)?
        };
        for mesh in meshes {
            let differences = equivalence::differences(&mut oracle, &mesh, |_| true)?;
            let (calls, count) = (mesh.calls.len(), differences.len());
            println!("{}: {calls} calls, {count} differences", mesh.name);
            print(&differences);
            equal &= differences.is_empty();
        }
    }
    Ok(equal)
}

/// Whether nothing was found.
fn fuzz(time: Duration, seed: Option<u64>, except: Vec<Kind>) -> Result<bool> {
    let start = Instant::now();
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    println!("seed {seed}");
    let mut oracle = Oracle::start()?;
    let mut fuzz = Fuzz::new(seed, except.into_iter().collect());
    let mut equal = true;
    while let Some(found) = fuzz.search(&mut oracle, start + time)? {
        equal = false;
        println!("mesh {} differs; as small as it gets:", fuzz.tried);
        show(&found)?;
        fuzz.except
            .extend(found.differences.first().map(|it| it.kind));
    }
    let Fuzz {
        tried,
        small,
        refused,
        calls,
        found: kinds,
        ..
    } = fuzz;
    let took = start.elapsed();
    println!(
        "{tried} meshes, {small} with fewer than 20 calls, {refused} that istiod refuses; {calls} calls in {took:.0?}"
    );
    for (kind, count) in kinds {
        println!("{kind}: {count} differences");
    }
    Ok(equal)
}

fn show(found: &Found) -> Result<()> {
    let objects: Vec<_> = found.mesh.objects.iter().collect();
    println!("{}", serde_saphyr::to_string_multiple(&objects)?);
    let Mesh {
        settings,
        registry_only,
        ..
    } = &found.mesh;
    println!("{settings:?}, REGISTRY_ONLY: {registry_only}");
    print(&found.differences);
    Ok(())
}

fn print(differences: &[Difference]) {
    for difference in differences {
        println!("  {difference}");
    }
}
