use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{Mesh, backend::Echo};

/// A request that was answered well, and the way it took through the sidecar.
pub(super) struct Sent {
    way: Way,
    elapsed: Duration,
    peer: Option<String>,
}

/// What the filter did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing: the sidecar's own routes knew the host.
    Resolved,
    Direct,
    Hold,
    Passthrough,
    /// It let the request pass because no decision was to be had.
    Undecided,
}

/// The filter's counters that tell one way from another.
const COUNTERS: [(&str, Way); 4] = [
    ("lazymesh_decisions_direct", Way::Direct),
    ("lazymesh_decisions_hold", Way::Hold),
    ("lazymesh_decisions_passthrough", Way::Passthrough),
    ("lazymesh_undecided", Way::Undecided),
];

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
    let moved = COUNTERS.iter().zip(before.iter().zip(&after));
    let way = moved
        .filter(|(_, (before, after))| before != after)
        .map(|((_, way), _)| *way)
        .next()
        .unwrap_or(Way::Resolved);
    Ok(Sent { way, elapsed, peer })
}

async fn counters(mesh: &Mesh) -> Result<Vec<u64>> {
    let mut counters = Vec::new();
    for (metric, _) in COUNTERS {
        counters.push(mesh.envoy().filter_metric(metric).await?);
    }
    Ok(counters)
}

impl Sent {
    /// It went this way, over mTLS with the caller's own identity.
    pub(super) fn over_mutual_tls(self, mesh: &Mesh, way: Way) -> Result<Self> {
        let peer = self.peer.as_deref().context("it came over plain text")?;
        ensure!(peer == mesh.identity(), "the callee saw {peer}");
        self.took(way)
    }

    /// It went this way, over plain text.
    pub(super) fn over_plain_text(self, way: Way) -> Result<Self> {
        ensure!(self.peer.is_none(), "the callee saw {:?}", self.peer);
        self.took(way)
    }

    fn took(self, way: Way) -> Result<Self> {
        ensure!(self.way == way, "{:?}, not {way:?}", self.way);
        Ok(self)
    }

    /// The way and the time that it took, for a reader.
    pub(super) fn told(&self) -> String {
        let way = match self.way {
            Way::Resolved => "",
            Way::Direct => "callout → direct → ",
            Way::Hold => "callout → hold → ",
            Way::Passthrough => "callout → passthrough → ",
            Way::Undecided => "no decision → passthrough → ",
        };
        format!(
            "{way}answered in {:.1} ms",
            self.elapsed.as_secs_f64() * 1e3
        )
    }
}
