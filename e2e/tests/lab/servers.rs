//! Real servers of TCP protocols behind sidecars: their connections are decided, learned, and never harmed.

use anyhow::{Context, Result, ensure};
use futures::future::{join, try_join_all};
use lazymesh_e2e::{
    lab::{self, Lab, Lazymesh, Outcomes, Pod, PodSpec, SERVERS},
    wait,
};
use serde_json::json;

use crate::{
    failures::until_ready,
    lazy::{enforce, host, until_lazy, until_learned},
};

/// So many applications open at once when they start.
const MANY: usize = 100;

/// A workload that meets all servers for the first time while the collector works, under this mode of mTLS.
const MEETINGS: [(&str, &str); 2] = [("first", "STRICT"), ("second", "PERMISSIVE")];

/// What may be wrong with the collector when a connection asks it.
#[derive(Clone, Copy)]
enum Trouble {
    /// It gives no answer.
    Hangs,
    /// It dies with the question.
    Dies,
}

/// A workload that meets all servers for the first time without a collector, under a mode of mTLS, and whether it
/// reaches them: in plain text, as Istio sends what it does not know.
const LONELY: [(&str, &str, Trouble, bool); 3] = [
    ("third", "STRICT", Trouble::Hangs, false),
    ("fourth", "PERMISSIVE", Trouble::Hangs, true),
    ("fifth", "PERMISSIVE", Trouble::Dies, true),
];

#[test]
fn connections_to_real_servers_are_decided_learned_and_never_harmed() -> Result<()> {
    lab::disturbance("servers", async |lab, namespace| {
        enforce(lab, namespace).await?;
        lab.strict_mtls(namespace).await?;
        let meeting = MEETINGS.map(|(name, _)| name);
        let lonely = LONELY.map(|(name, ..)| name);
        let clients = [&meeting[..], &lonely].concat();
        let clients = clients.into_iter().map(|it| PodSpec::new(namespace, it));
        let outsider = PodSpec {
            without_sidecar: true,
            ..PodSpec::new(namespace, "outsider")
        };
        let (_servers, clients, outsider) = tokio::try_join!(
            try_join_all(SERVERS.iter().map(|server| server.start(lab, namespace))),
            try_join_all(clients.map(|spec| lab.pod(spec))),
            lab.pod(outsider),
        )?;
        for server in &SERVERS {
            lab.until_reachable(namespace, server.name, server.ports[0])
                .await?;
        }
        let (meeting, lonely) = clients.split_at(MEETINGS.len());
        let lazymesh = lab::lazymesh().await?;
        for ((name, mode), client) in MEETINGS.into_iter().zip(meeting) {
            require(lab, namespace, mode, &outsider).await?;
            meet(lab, namespace, name, client)
                .await
                .with_context(|| format!("{name}, {mode}"))?;
            let alone = LONELY.into_iter().zip(lonely);
            for ((name, _, trouble, works), alone) in alone.filter(|((_, at, ..), _)| *at == mode) {
                meet_alone(&lazymesh, (alone, client), trouble, works)
                    .await
                    .with_context(|| format!("{name}, {mode}"))?;
            }
        }
        Ok(())
    })
}

/// Sets the mode of mTLS, and waits until all servers follow it.
async fn require(lab: &Lab, namespace: &str, mode: &str, outsider: &Pod) -> Result<()> {
    let mut policy = lab::reference(
        "security.istio.io/v1",
        "PeerAuthentication",
        namespace,
        "default",
    );
    policy["spec"] = json!({ "mtls": { "mode": mode } });
    lab.cluster().apply_object(&policy).await?;
    let mut sessions = outsider.sessions(&plain_urls())?;
    wait::until("servers to follow a mode of mTLS", async || {
        let outcomes = sessions.open(1).await?;
        expect(&outcomes, 1, mode == "PERMISSIVE")
    })
    .await
}

/// First connections, many at once, which are learned; they live on, and later ones need no filter.
async fn meet(lab: &Lab, namespace: &str, name: &str, client: &Pod) -> Result<()> {
    let first = &clusters(namespace)[0];
    until_lazy(client, first).await?;
    let mut sessions = client.sessions(&urls())?;
    expect(&sessions.open(MANY).await?, MANY, true).context("first connections")?;
    for server in &SERVERS {
        for service in [Some(server.name), server.brokers].into_iter().flatten() {
            until_learned(lab, namespace, &format!("lazymesh-{name}"), service).await?;
        }
    }
    for cluster in clusters(namespace) {
        wait::until("a cluster to come", async || {
            ensure!(client.has_cluster(&cluster).await?, "no {cluster}");
            Ok(())
        })
        .await?;
    }
    expect(&sessions.use_all().await?, MANY, true).context("connections that were learned from")?;
    // Pools connect again. Whatever the sidecar knows by now none may fail; when it knows all, no filter is asked.
    let outcome = wait::until("connections to need no filter", async || {
        sessions.close().await?;
        let before = client.filter_metric("lazymesh_unresolved").await?;
        let outcome = expect(&sessions.open(MANY).await?, MANY, true);
        let after = client.filter_metric("lazymesh_unresolved").await?;
        ensure!(outcome.is_err() || after == before, "{before} to {after}");
        Ok(outcome)
    });
    outcome.await?.context("connections of a pool")?;
    expect(&sessions.use_all().await?, MANY, true).context("connections of a pool")
}

/// First connections without a collector, beside a workload that has learned before.
async fn meet_alone(
    lazymesh: &Lazymesh,
    (lonely, knowing): (&Pod, &Pod),
    trouble: Trouble,
    works: bool,
) -> Result<()> {
    let collector = lazymesh.collector().app();
    let mut sessions = lonely.sessions(&plain_urls())?;
    let asked = lonely.filter_metric("lazymesh_callouts").await?;
    collector.freeze()?;
    let end = async {
        if matches!(trouble, Trouble::Dies) {
            wait::until("the filter to ask", async || {
                let asks = lonely.filter_metric("lazymesh_callouts").await?;
                ensure!(asks > asked, "it has not asked");
                Ok(())
            })
            .await?;
            collector.kill().await?;
        }
        anyhow::Ok(())
    };
    let (outcomes, ended) = join(sessions.open(1), end).await;
    ended?;
    expect(&outcomes?, 1, works).context("a collector that gives no answer")?;
    collector.kill().await?;
    expect(&sessions.open(1).await?, 1, works).context("no collector")?;
    let known = knowing.sessions(&urls())?.open(1).await?;
    expect(&known, 1, true).context("no collector, and servers that were learned")?;
    collector.start_again()?;
    until_ready(lazymesh).await
}

fn urls() -> Vec<String> {
    SERVERS.map(|server| server.url.to_owned()).to_vec()
}

/// The servers that plain text can reach. A PERMISSIVE sidecar waits for the first byte of the client, to tell TLS from
/// plain text, and so does a client whose server speaks first: for ever, with lazymesh and without.
fn plain_urls() -> Vec<String> {
    let servers = SERVERS.iter().filter(|server| !server.speaks_first);
    servers.map(|server| server.url.to_owned()).collect()
}

/// The clusters that a sidecar has that has learned all servers.
fn clusters(namespace: &str) -> Vec<String> {
    let clusters = SERVERS.iter().flat_map(|server| {
        let own = (server.name, &server.ports[..1]);
        let brokers = server.brokers.map(|name| (name, server.ports));
        let services = [Some(own), brokers].into_iter().flatten();
        let ports = services.flat_map(|(name, ports)| ports.iter().map(move |port| (name, port)));
        ports.map(|(name, port)| format!("outbound|{port}||{}", host(namespace, name)))
    });
    clusters.collect()
}

/// So many sessions were tried with each server: all work, or none does.
fn expect(outcomes: &Outcomes, count: usize, works: bool) -> Result<()> {
    let expected = if works { count } else { 0 };
    let others = outcomes.iter().filter(|(_, outcome)| {
        outcome.ok != expected || outcome.failures.len() != count - expected
    });
    let others: Vec<String> = others
        .map(|(server, outcome)| {
            let first = outcome.failures.first();
            format!("{server}: {}, the others {first:?}", outcome.ok)
        })
        .collect();
    ensure!(
        others.is_empty(),
        "expected {expected} of {count} sessions to work, got {others:#?}"
    );
    Ok(())
}
