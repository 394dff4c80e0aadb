use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Context, Result, ensure};

use super::{
    report::Report,
    sent::{self, RESOLVED},
};
use crate::{
    Mesh,
    istiod::Scope,
    mesh::{NAMESPACE, WORKLOAD},
    wait,
};

const LEARNED: [&str; 3] = ["ratings", "reviews", "stock"];

pub(super) async fn scoped(mesh: &Mesh, report: &mut Report) {
    report.fact("Envoy is live", scope(mesh));
    // The first request of all would also pay for Envoy's first TLS handshake.
    let known = resolved(mesh, "details").await;
    report.fact("GET details.shop:9080, which it knows", known);
}

pub(super) async fn first_requests(mesh: &Mesh, report: &mut Report) {
    let direct = sent::get(mesh, "http://reviews.shop:9080/").await;
    let direct = direct.and_then(|sent| sent.over_mutual_tls(mesh, "direct"));
    report.fact(
        "GET reviews.shop:9080",
        direct.map(|sent| {
            let peer = mesh.identity();
            format!(
                "{}, decision direct: at once over mTLS; reviews saw {peer}",
                sent.answered()
            )
        }),
    );
    let direct = sent::grpc(mesh, "stock", "http://stock.shop:9090").await;
    let direct = direct.and_then(|sent| sent.over_mutual_tls(mesh, "direct"));
    report.fact(
        "gRPC stock.shop:9090",
        direct.map(|sent| format!("{}, decision direct", sent.answered())),
    );
    let hold = sent::get(mesh, "http://ratings.shop:9080/").await;
    let hold = hold.and_then(|sent| sent.over_mutual_tls(mesh, "hold"));
    report.fact(
        "GET ratings.shop:9080, which a DestinationRule shapes",
        hold.map(|sent| {
            format!(
                "{}, decision hold: it waited for its cluster",
                sent.answered()
            )
        }),
    );
    report.fact(
        "GET api.example.com:9080, outside the mesh",
        outside(mesh, "passthrough").await,
    );
}

pub(super) async fn learned(mesh: &Mesh, report: &mut Report) {
    let knows = knows(mesh).await;
    report.fact("GET /v1/workloads/shop/productpage/dependencies", knows);
    report.fact("GET /v1/external-hosts", external_hosts(mesh).await);
    report.fact("Sidecar file", sidecar_file(mesh).await);
    report.fact(
        "GET reviews.shop:9080 again",
        wait::until("the real cluster", async || resolved(mesh, "reviews").await).await,
    );
}

pub(super) async fn outage(mesh: &mut Mesh, report: &mut Report) {
    report.fact("collector killed", kill(mesh).await);
    report.fact("GET reviews.shop:9080", resolved(mesh, "reviews").await);
    let unknown = sent::get(mesh, "http://cdn.example.net:9080/").await;
    let unknown = unknown.and_then(|sent| sent.over_plain_text("undecided"));
    report.fact(
        "GET cdn.example.net:9080, never met before",
        unknown.map(|sent| format!("{} by passthrough, without a decision", sent.answered())),
    );
    report.fact("collector started again", restart(mesh).await);
    report.fact("it still knows", knows(mesh).await);
    report.fact("GET reviews.shop:9080", resolved(mesh, "reviews").await);
}

fn scope(mesh: &Mesh) -> Result<String> {
    let Scope::Hosts(hosts) = Scope::read(&sidecars(mesh), NAMESPACE, WORKLOAD)? else {
        anyhow::bail!("no Sidecar scopes it");
    };
    let known = mesh
        .services()
        .filter(|service| hosts.contains(&service.egress_host()))
        .count();
    let all = mesh.services().count();
    ensure!(known == 1, "it knows {known} of {all} services");
    Ok(format!(
        "sidecar of {NAMESPACE}/{WORKLOAD}, which knows {known} of {all} services"
    ))
}

async fn resolved(mesh: &Mesh, service: &str) -> Result<String> {
    let sent = sent::get(mesh, &format!("http://{service}.shop:9080/")).await?;
    let sent = sent.over_mutual_tls(mesh, RESOLVED)?;
    let cluster = mesh.service(service)?.service.cluster();
    ensure!(
        mesh.envoy().requests_through(&cluster).await? > 0,
        "nothing went through {cluster}"
    );
    Ok(format!("{} on {cluster}", sent.answered()))
}

async fn outside(mesh: &Mesh, decision: &str) -> Result<String> {
    let sent = sent::get(mesh, "http://api.example.com:9080/").await?;
    let sent = sent.over_plain_text(decision)?;
    Ok(format!(
        "{}, decision passthrough: as dialled",
        sent.answered()
    ))
}

async fn knows(mesh: &Mesh) -> Result<String> {
    let known = mesh.collector()?.dependencies(NAMESPACE, WORKLOAD).await?;
    let known: BTreeSet<String> = known.into_iter().collect();
    ensure!(known == egress_hosts(mesh)?, "{known:?}");
    Ok(LEARNED.join(", "))
}

async fn external_hosts(mesh: &Mesh) -> Result<String> {
    let hosts = mesh.collector()?.external_hosts().await?;
    ensure!(hosts == ["api.example.com:9080"], "{hosts:?}");
    Ok(format!("{}, which is in no Sidecar", hosts.join(", ")))
}

async fn sidecar_file(mesh: &Mesh) -> Result<String> {
    let expected = egress_hosts(mesh)?;
    wait::until("the Sidecar", async || {
        let Scope::Hosts(hosts) = Scope::read(&sidecars(mesh), NAMESPACE, WORKLOAD)? else {
            anyhow::bail!("it does not select the workload");
        };
        ensure!(hosts.is_superset(&expected), "its hosts are {hosts:?}");
        ensure!(
            !hosts.iter().any(|host| host.contains("example")),
            "its hosts are {hosts:?}"
        );
        let file = sidecars(mesh)
            .join(NAMESPACE)
            .join(format!("lazymesh-{WORKLOAD}.yaml"));
        ensure!(file.is_file(), "no {}", file.display());
        Ok(format!("{} with {} hosts", file.display(), hosts.len()))
    })
    .await
}

async fn kill(mesh: &mut Mesh) -> Result<String> {
    let collector = mesh.collector_mut()?;
    collector.kill().await?;
    let answer = collector.admin().text("/livez").await;
    ensure!(answer.is_err(), "it still answers");
    Ok("kill -9".to_owned())
}

async fn restart(mesh: &mut Mesh) -> Result<String> {
    let collector = mesh.collector_mut()?;
    collector.restart().await.context("on the same store")?;
    Ok("ready, on the same store".to_owned())
}

fn egress_hosts(mesh: &Mesh) -> Result<BTreeSet<String>> {
    let hosts = LEARNED
        .iter()
        .map(|name| Ok(mesh.service(name)?.service.egress_host()));
    hosts.collect()
}

fn sidecars(mesh: &Mesh) -> PathBuf {
    mesh.directory().join("sidecars")
}
