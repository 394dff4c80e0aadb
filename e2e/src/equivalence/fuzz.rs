//! Tries generated meshes, and makes one that differs as small as it can.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Difference, Kind, Mesh, Oracle, Refused, differences, generate};

/// Most steps, and longest time, towards a smaller mesh.
const MOST_STEPS: usize = 400;
const LONGEST: Duration = Duration::from_secs(60);

/// With fewer calls a mesh says little.
const FEW_CALLS: usize = 20;

/// A source of meshes: the same seed gives the same ones.
pub struct Fuzz {
    runner: TestRunner,
    /// Meshes that were tried.
    pub tried: usize,
    /// Those of them with fewer than 20 calls.
    pub small: usize,
    /// Meshes that istiod itself refuses.
    pub refused: usize,
    /// Calls of the meshes that were tried.
    pub calls: usize,
    /// How many differences there were, of each kind.
    pub found: BTreeMap<Kind, usize>,
    /// Kinds that are passed over.
    pub except: BTreeSet<Kind>,
}

/// A mesh, as small as it was made, and what is not the same in it.
pub struct Found {
    /// The mesh.
    pub mesh: Mesh,
    /// What is not the same in it.
    pub differences: Vec<Difference>,
}

impl Fuzz {
    /// Starts at a seed, and passes over some kinds of differences.
    #[must_use]
    pub fn new(seed: u64, except: BTreeSet<Kind>) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Self {
            runner: TestRunner::new_with_rng(Config::default(), rng),
            tried: 0,
            small: 0,
            refused: 0,
            calls: 0,
            found: BTreeMap::new(),
            except,
        }
    }

    /// The next mesh, and what is not the same in it.
    ///
    /// # Errors
    /// When the oracle fails.
    pub fn next_mesh(&mut self, oracle: &mut Oracle) -> Result<Found> {
        let mesh = self.tree()?.current();
        let differences = self.judge(oracle, &mesh)?;
        Ok(Found { mesh, differences })
    }

    /// Tries meshes until one has a difference that is not passed over, and makes it smaller; `None` when time is over.
    ///
    /// # Errors
    /// When the oracle fails.
    pub fn search(&mut self, oracle: &mut Oracle, until: Instant) -> Result<Option<Found>> {
        while Instant::now() < until {
            let mut tree = self.tree()?;
            let differences = self.judge(oracle, &tree.current())?;
            let mut kinds = differences.iter().map(|difference| difference.kind);
            if let Some(kind) = kinds.find(|kind| !self.except.contains(kind)) {
                return shrink(oracle, &mut tree, kind).map(Some);
            }
        }
        Ok(None)
    }

    fn tree(&mut self) -> Result<impl ValueTree<Value = Mesh> + use<>> {
        let tree = generate::mesh().new_tree(&mut self.runner);
        tree.map_err(|reason| anyhow::anyhow!("no mesh: {reason}"))
    }

    fn judge(&mut self, oracle: &mut Oracle, mesh: &Mesh) -> Result<Vec<Difference>> {
        self.tried += 1;
        self.calls += mesh.calls.len();
        let is_doubted = |kind| !self.except.contains(&kind);
        let taken = taken(differences(oracle, mesh, is_doubted))?;
        self.refused += usize::from(taken.is_none());
        self.small += usize::from(taken.is_some() && mesh.calls.len() < FEW_CALLS);
        let taken = taken.unwrap_or_default();
        for difference in &taken {
            *self.found.entry(difference.kind).or_default() += 1;
        }
        Ok(taken)
    }
}

/// `None` for a mesh that istiod refuses.
fn taken(result: Result<Vec<Difference>>) -> Result<Option<Vec<Difference>>> {
    match result {
        Err(error) if error.is::<Refused>() => Ok(None),
        result => result.map(Some),
    }
}

/// The smallest mesh that has a difference of a kind.
fn shrink(
    oracle: &mut Oracle,
    tree: &mut impl ValueTree<Value = Mesh>,
    kind: Kind,
) -> Result<Found> {
    let mut found = Found {
        mesh: tree.current(),
        differences: Vec::new(),
    };
    let mut moves = tree.simplify();
    let start = Instant::now();
    for _ in 0..MOST_STEPS {
        if !moves || start.elapsed() > LONGEST {
            break;
        }
        let mesh = tree.current();
        let differences = of_kind(oracle, &mesh, kind)?;
        moves = if differences.is_empty() {
            tree.complicate()
        } else {
            found = Found { mesh, differences };
            tree.simplify()
        };
    }
    if found.differences.is_empty() {
        found.differences = of_kind(oracle, &found.mesh, kind)?;
    }
    Ok(found)
}

fn of_kind(oracle: &mut Oracle, mesh: &Mesh, kind: Kind) -> Result<Vec<Difference>> {
    let mut found = taken(differences(oracle, mesh, |it| it == kind))?.unwrap_or_default();
    found.retain(|difference| difference.kind == kind);
    Ok(found)
}
