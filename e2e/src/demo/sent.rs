use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{Mesh, backend::Echo};

/// A request, and the way it took through the sidecar.
pub(super) struct Sent {
    pub(super) decision: &'static str,
    pub(super) elapsed: Duration,
    pub(super) peer: Option<String>,
}

/// How the filter counts a request, and what that means to a reader.
const DECISIONS: [(&str, &str); 5] = [
    ("lazymesh_decisions_direct", "direct"),
    ("lazymesh_decisions_hold", "hold"),
    ("lazymesh_decisions_passthrough", "passthrough"),
    ("lazymesh_undecided", "undecided"),
    ("lazymesh_decisions_gateway", "gateway"),
];

/// No counter of the filter moved: the sidecar's own routes knew the host.
pub(super) const RESOLVED: &str = "resolved";

/// `GET url`.
pub(super) async fn get(mesh: &Mesh, url: &str) -> Result<Sent> {
    sent(mesh, async {
        let answer = mesh.client().get(url).await?;
        let Echo { peer, .. } = answer.echo()?;
        Ok((answer.elapsed, peer))
    })
    .await
}

/// A unary gRPC call.
pub(super) async fn grpc(mesh: &Mesh, service: &str, origin: &str) -> Result<Sent> {
    sent(mesh, async {
        let elapsed = mesh.client().grpc_check(origin).await?;
        let peer = mesh.ledger(service)?.peers().into_iter().next();
        Ok((elapsed, peer.context("nobody called")?))
    })
    .await
}

async fn sent(
    mesh: &Mesh,
    request: impl Future<Output = Result<(Duration, Option<String>)>>,
) -> Result<Sent> {
    let before = counters(mesh).await?;
    let (elapsed, peer) = request.await?;
    let after = counters(mesh).await?;
    let moved = DECISIONS.iter().zip(before.iter().zip(&after));
    let moved = moved.filter(|(_, (before, after))| before != after);
    let decision = moved
        .map(|((_, decision), _)| *decision)
        .next()
        .unwrap_or(RESOLVED);
    Ok(Sent {
        decision,
        elapsed,
        peer,
    })
}

async fn counters(mesh: &Mesh) -> Result<Vec<u64>> {
    let mut counters = Vec::new();
    for (metric, _) in DECISIONS {
        counters.push(mesh.envoy().filter_metric(metric).await?);
    }
    Ok(counters)
}

impl Sent {
    /// This decision, over mTLS with the caller's own identity.
    pub(super) fn over_mutual_tls(self, mesh: &Mesh, decision: &str) -> Result<Self> {
        let peer = self.peer.as_deref().context("it came over plain text")?;
        ensure!(peer == mesh.identity(), "the callee saw {peer}");
        self.decided(decision)
    }

    /// This decision, over plain text.
    pub(super) fn over_plain_text(self, decision: &str) -> Result<Self> {
        ensure!(self.peer.is_none(), "the callee saw {:?}", self.peer);
        self.decided(decision)
    }

    fn decided(self, decision: &str) -> Result<Self> {
        ensure!(
            self.decision == decision,
            "decision {}, not {decision}",
            self.decision
        );
        Ok(self)
    }

    /// `200 in 1.2 ms`.
    pub(super) fn answered(&self) -> String {
        format!("200 in {:.1} ms", self.elapsed.as_secs_f64() * 1e3)
    }
}
