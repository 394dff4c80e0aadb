//! Runs one scenario on a mesh of its own.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::{Mesh, MeshBuilder};

/// Longest that any scenario takes.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts a mesh, runs the scenario on it, and stops it again.
///
/// # Panics
/// When the scenario fails, or Envoy or the filter crashed under it. The mesh's directory then stays, and what helps to understand is printed.
#[track_caller]
pub fn scenario(builder: MeshBuilder, body: impl AsyncFnOnce(&mut Mesh) -> Result<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            let mut mesh = builder.start().await?;
            let outcome = tokio::time::timeout(LIMIT, body(&mut mesh)).await;
            let outcome = outcome
                .with_context(|| format!("not done after {LIMIT:?}"))
                .flatten()
                .and_then(|()| mesh.check());
            if outcome.is_err() {
                mesh.fail();
            }
            outcome
        })
    });
    if let Err(error) = outcome {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        panic!("{}", causes.join("\n  because: "));
    }
}
