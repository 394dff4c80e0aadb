use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Result, bail, ensure};
use lazymesh_core::EgressScope;

use super::{
    report::Report,
    sent::{self, Way},
};
use crate::{
    Mesh, Service,
    simulation::{NAMESPACE, WORKLOAD, istiod::Scope},
    wait,
};

/// The services that the demonstration calls without their being in scope.
const LEARNED: [&str; 3] = ["ratings", "reviews", "stock"];

pub(super) async fn scoped(mesh: &Mesh, report: &mut Report) {
    report.fact("Envoy is live", scope(mesh));
    report.fact(
        "GET details.shop:9080 (known)",
        resolved(mesh, "details").await,
    );
}

pub(super) async fn first_requests(mesh: &Mesh, report: &mut Report) {
    let reviews = sent::get(mesh, "http://reviews.shop:9080/").await;
    let reviews = reviews.and_then(|sent| sent.over_mutual_tls(mesh, Way::Direct));
    report.fact("GET reviews.shop:9080", reviews.map(|sent| sent.told()));
    report.fact("the caller that reviews saw over mTLS", caller(mesh));

    let stock = sent::grpc(mesh, "stock", "http://stock.shop:9090").await;
    let stock = stock.and_then(|sent| sent.over_mutual_tls(mesh, Way::Direct));
    report.fact("gRPC stock.shop:9090", stock.map(|sent| sent.told()));

    let ratings = sent::get(mesh, "http://ratings.shop:9080/").await;
    let ratings = ratings.and_then(|sent| sent.over_mutual_tls(mesh, Way::Hold));
    report.fact(
        "GET ratings.shop:9080 (DestinationRule)",
        ratings.map(|sent| sent.told()),
    );

    let outside = sent::get(mesh, "http://api.example.com:9080/").await;
    let outside = outside.and_then(|sent| sent.over_plain_text(Way::Passthrough));
    report.fact(
        "GET api.example.com:9080 (outside)",
        outside.map(|sent| sent.told()),
    );
}

pub(super) async fn learned(mesh: &Mesh, report: &mut Report) {
    report.fact("dependencies, over REST", dependencies(mesh).await);
    report.fact(
        "hosts outside the mesh, over REST",
        external_hosts(mesh).await,
    );
    report.fact("the workload's Sidecar", sidecar_file(mesh).await);
    let again = wait::until("the real cluster", async || resolved(mesh, "reviews").await);
    report.fact("GET reviews.shop:9080 again", again.await);
}

pub(super) async fn outage(mesh: &mut Mesh, report: &mut Report) {
    report.fact("kill -9", kill(mesh).await);
    report.fact("GET reviews.shop:9080", resolved(mesh, "reviews").await);
    let unknown = sent::get(mesh, "http://cdn.example.net:9080/").await;
    let unknown = unknown.and_then(|sent| sent.over_plain_text(Way::Undecided));
    report.fact(
        "GET cdn.example.net:9080 (unknown)",
        unknown.map(|sent| sent.told()),
    );
    report.fact("started again", restart(mesh).await);
    report.fact("dependencies, over REST", dependencies(mesh).await);
    report.fact("GET reviews.shop:9080", resolved(mesh, "reviews").await);
}

fn scope(mesh: &Mesh) -> Result<String> {
    let Scope::Hosts(EgressScope { routes: hosts, .. }) =
        Scope::read(&sidecars(mesh), NAMESPACE, WORKLOAD)?
    else {
        bail!("no Sidecar scopes it");
    };
    let all = mesh.services().count();
    let known = mesh
        .services()
        .filter(|service| hosts.contains(&service.egress_host()));
    let known: Vec<String> = known.map(Service::host).collect();
    ensure!(known.len() == 1, "it knows {known:?}");
    Ok(format!("of {all} services it knows 1"))
}

async fn resolved(mesh: &Mesh, service: &str) -> Result<String> {
    let cluster = mesh.service(service)?.service.cluster();
    let before = mesh.envoy().requests_through(&cluster).await?;
    let sent = sent::get(mesh, &format!("http://{service}.shop:9080/")).await?;
    let sent = sent.over_mutual_tls(mesh, Way::Resolved)?;
    let after = mesh.envoy().requests_through(&cluster).await?;
    ensure!(after == before + 1, "nothing went through {cluster}");
    Ok(format!("{} by {cluster}", sent.told()))
}

fn caller(mesh: &Mesh) -> Result<String> {
    let peers = mesh.ledger("reviews")?.peers();
    ensure!(peers == [Some(mesh.identity())], "{peers:?}");
    Ok(mesh.identity())
}

async fn dependencies(mesh: &Mesh) -> Result<String> {
    let known = mesh.collector()?.dependencies(NAMESPACE, WORKLOAD).await?;
    let known: BTreeSet<String> = known.into_iter().collect();
    ensure!(known == egress_hosts(mesh)?, "{known:?}");
    Ok(LEARNED.join(", "))
}

async fn external_hosts(mesh: &Mesh) -> Result<String> {
    let hosts = mesh.collector()?.external_hosts().await?;
    ensure!(hosts == ["api.example.com:9080"], "{hosts:?}");
    Ok(hosts.join(", "))
}

async fn sidecar_file(mesh: &Mesh) -> Result<String> {
    let expected = egress_hosts(mesh)?;
    wait::until("the Sidecar", async || {
        let Scope::Hosts(EgressScope { routes: hosts, .. }) =
            Scope::read(&sidecars(mesh), NAMESPACE, WORKLOAD)?
        else {
            bail!("it does not select the workload");
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
        Ok(format!("{} hosts in {}", hosts.len(), file.display()))
    })
    .await
}

async fn kill(mesh: &mut Mesh) -> Result<String> {
    let collector = mesh.collector_mut()?;
    collector.kill().await?;
    let answer = collector.admin().text("/livez").await;
    ensure!(answer.is_err(), "it still answers");
    Ok("it answers no more".to_owned())
}

async fn restart(mesh: &mut Mesh) -> Result<String> {
    mesh.collector_mut()?.restart().await?;
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
