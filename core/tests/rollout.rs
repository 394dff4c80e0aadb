//! Golden pairs of rollouts: a live scope and what is wanted when in `rollout/<case>.input.yaml`, what is published then
//! in `rollout/<case>.expect.yaml`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p lazymesh-core --test rollout` rewrites the answers; read the difference before you
//! commit it.

mod pairs;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use lazymesh_core::{EgressHost, EgressScope, SidecarSpec, Transit, roll_out};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pairs::Result;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    /// What the case shows. For the reader.
    #[serde(rename = "about")]
    _about: String,
    /// In seconds.
    settle: u64,
    /// Entries of the scope that is there, all with routes.
    live: BTreeSet<String>,
    wanted: Vec<Wanted>,
}

/// What the Sidecar is to have from a time on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// In seconds after the beginning.
    at: u64,
    hosts: BTreeSet<EgressHost>,
    #[serde(default)]
    undecided: BTreeSet<EgressHost>,
    #[serde(default)]
    routed: BTreeSet<EgressHost>,
}

#[derive(Serialize)]
struct Step {
    at: u64,
    egress: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<u64>,
}

#[test]
fn golden() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rollout");
    pairs::check(&folder, run)
}

/// Publishes whenever something else is wanted, or a step is due.
fn run(input: &str) -> Result<String> {
    let input: Input = serde_saphyr::from_str(input)?;
    let (start, settle) = (Instant::now(), Duration::from_secs(input.settle));
    let mut live = EgressScope {
        routes: input.live,
        ..EgressScope::default()
    };
    let mut transit = Transit::default();
    let mut steps = Vec::new();
    let mut wanted = input.wanted.into_iter().peekable();
    while let Some(now) = wanted.next() {
        let until = wanted.peek().map(|next| next.at);
        let sidecar = SidecarSpec {
            namespace: "shop".to_owned(),
            name: "lazymesh-web".to_owned(),
            hosts: now.hosts,
            undecided: now.undecided,
            routed: now.routed,
            ..SidecarSpec::default()
        };
        let mut at = Some(now.at);
        while let Some(second) = at.filter(|at| until.is_none_or(|until| *at < until)) {
            let time = start + Duration::from_secs(second);
            let rollout = roll_out(&sidecar, &live, transit, settle, time);
            (live, transit) = (rollout.scope, rollout.transit);
            at = transit.due().map(|due| due.duration_since(start).as_secs());
            steps.push(Step {
                at: second,
                egress: sidecar.manifest_with(&live)["spec"]["egress"].clone(),
                due: at,
            });
        }
    }
    Ok(serde_saphyr::to_string(&steps)?)
}
