//! Holds lazymesh's scopes and decisions against istiod's own code, call by call.
//!
//! A [`Mesh`] is objects, a workload and its [`Call`]s. `scope` has core plan what lazymesh may publish for the workload, [`Oracle`] asks
//! istiod what the sidecar does with each call in its full scope (F) and in each of those (L), and `promise` says where
//! L, with core's decision for what L leaves to the catch-all, does not do what F does. docs/equivalence.md has the
//! promise.

mod call;
mod difference;
mod fuzz;
mod generate;
mod mesh;
mod oracle;
mod promise;
mod read;
mod scope;
mod spelling;
mod wire;

use anyhow::{Context, Result};

pub use call::{Call, Speaks};
pub use difference::{Difference, Kind};
pub use fuzz::{Found, Fuzz};
pub use mesh::Mesh;
pub use oracle::{Oracle, Refused};
pub use read::{folder, golden};

/// Where lazymesh does not do for a workload what Istio does without it. Of the kinds that are `doubted`, only what is seen twice: istiod
/// takes in pods and endpoints side by side, so what is seen in one start of it alone is not lazymesh's.
///
/// # Errors
/// When core or istiod cannot read the mesh.
pub fn differences(
    oracle: &mut Oracle,
    mesh: &Mesh,
    doubted: impl Fn(Kind) -> bool,
) -> Result<Vec<Difference>> {
    let inventory = mesh.inventory()?;
    let scopes = scope::possible(&inventory, mesh);
    if scopes.is_empty() {
        return Ok(Vec::new());
    }
    let question = wire::Question::new(&inventory, mesh, &scopes);
    let mut ask = || {
        let answer = oracle.ask(&question)?;
        promise::check(&inventory, mesh, &scopes, &answer)
            .with_context(|| format!("{}: the oracle's answer", mesh.name))
    };
    let mut found = ask()?;
    if found.iter().any(|difference| doubted(difference.kind)) {
        let again = ask()?;
        found.retain(|difference| again.contains(difference));
    }
    Ok(found)
}
