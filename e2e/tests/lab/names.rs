//! However an application names a service, its first request is answered, and the next one finds the service known.

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use lazymesh_e2e::{
    lab::{self, Lab},
    wait,
};
use serde_json::{Value, json};

use crate::{
    asking::{DIRECT, PASSTHROUGH, apply, apply_service, ask, until_learned, until_taken},
    lazy::{Lazy, cluster, host},
};

/// A service of its own for each, so that each name is a first one.
const NAMES: [(&str, &str); 6] = [
    ("short", "http://SERVICE"),
    ("with-namespace", "http://SERVICE.NAMESPACE"),
    ("with-svc", "http://SERVICE.NAMESPACE.svc"),
    ("full", "http://SERVICE.NAMESPACE.svc.cluster.local"),
    ("dotted", "http://SERVICE.NAMESPACE.svc.cluster.local."),
    ("address", "http://ADDRESS"),
];

#[test]
fn a_service_is_learned_by_each_of_its_names() -> Result<()> {
    lab::scenario("names-direct", async |lab, namespace| {
        learns_all(lab, namespace, true).await
    })
}

#[test]
fn a_shaped_service_is_held_for_by_each_of_its_names() -> Result<()> {
    lab::scenario("names-hold", async |lab, namespace| {
        for (service, _) in NAMES {
            let policy = json!({ "loadBalancer": { "simple": "LEAST_REQUEST" } });
            let spec = json!({ "host": service, "trafficPolicy": policy });
            apply(lab, "DestinationRule", (namespace, service), spec).await?;
        }
        learns_all(lab, namespace, false).await
    })
}

async fn learns_all(lab: &Lab, namespace: &str, direct: bool) -> Result<()> {
    for (service, _) in NAMES {
        apply_service(lab, namespace, service).await?;
    }
    let lazy = Lazy::start(lab, namespace).await?;
    let cases = NAMES.map(|(service, origin)| learns(&lazy, service, origin, direct));
    try_join_all(cases).await.map(drop)
}

async fn learns(lazy: &Lazy<'_>, service: &str, origin: &str, direct: bool) -> Result<()> {
    let (lab, namespace) = (lazy.lab, lazy.namespace);
    lab.until_reachable(namespace, service, 80).await?;
    let address = cluster_ip(lab, namespace, service).await?;
    let origin = origin
        .replace("SERVICE", service)
        .replace("NAMESPACE", namespace)
        .replace("ADDRESS", &address);
    let cluster = cluster(namespace, service);
    let first = if direct { DIRECT } else { &cluster };
    follows(lazy, &origin, first, &host(namespace, service), &cluster)
        .await
        .with_context(|| origin)
}

/// A first request takes one cluster, and as soon as `learned` is in scope, later ones another; the callee sees the
/// caller's identity in all of them.
async fn follows(
    lazy: &Lazy<'_>,
    origin: &str,
    first: &str,
    learned: &str,
    later: &str,
) -> Result<()> {
    let caller = format!("spiffe://cluster.local/ns/{}/sa/caller", lazy.namespace);
    let asked = ask(&lazy.client, origin).await?;
    ensure!(asked.cluster == first, "it took {}", asked.cluster);
    ensure!(!asked.known, "it was no first request");
    ensure!(asked.echo.caller() == Some(&caller), "{:?}", asked.echo);
    until_learned(lazy, &[format!("{}/{learned}", lazy.namespace)]).await?;
    let asked = until_taken(&lazy.client, origin, later).await?;
    ensure!(asked.echo.caller() == Some(&caller), "{:?}", asked.echo);
    Ok(())
}

async fn cluster_ip(lab: &Lab, namespace: &str, service: &str) -> Result<String> {
    let service = lab::reference("v1", "Service", namespace, service);
    let found = lab.cluster().find(&service).await?.context("no Service")?;
    let address = found.data.pointer("/spec/clusterIP");
    let address = address.and_then(Value::as_str);
    Ok(address.context("no address")?.to_owned())
}

#[test]
fn a_headless_service_is_learned() -> Result<()> {
    lab::scenario("names-headless", async |lab, namespace| {
        for name in ["peers", "peers-by-pod"] {
            apply_headless(lab, namespace, name).await?;
        }
        let lazy = Lazy::start(lab, namespace).await?;
        listens(&lazy, lab::HTTP).await?;
        let learned = |name| host(namespace, name);
        let later = |name| format!("outbound|{}||{}", lab::HTTP, host(namespace, name));
        let pod = lazy.server.address().to_string().replace('.', "-");
        for (name, origin) in [
            ("peers", "http://peers:8080".to_owned()),
            ("peers-by-pod", format!("http://{pod}.peers-by-pod:8080")),
        ] {
            follows(&lazy, &origin, DIRECT, &learned(name), &later(name))
                .await
                .with_context(|| origin)?;
        }
        Ok(())
    })
}

/// A headless Service for the pods of `server`.
async fn apply_headless(lab: &Lab, namespace: &str, name: &str) -> Result<()> {
    let mut service = lab::reference("v1", "Service", namespace, name);
    service["spec"] = json!({
        "clusterIP": "None",
        "selector": { "app": "server" },
        "ports": [{ "name": "http", "port": lab::HTTP }],
    });
    lab.cluster().apply_object(&service).await.map(drop)
}

#[test]
fn a_pod_s_own_address_stays_plain_and_is_learned() -> Result<()> {
    lab::scenario("names-pod", async |lab, namespace| {
        // Its port has to be one on which HTTP is spoken.
        let mut service = lab::reference("v1", "Service", namespace, "same-port");
        service["spec"] = json!({
            "selector": { "app": "server" },
            "ports": [{ "name": "http", "port": lab::HTTP }],
        });
        lab.cluster().apply_object(&service).await?;
        stays_plain(lab, namespace, "same-port").await
    })
}

#[test]
fn a_headless_service_is_learned_by_a_pod_s_address() -> Result<()> {
    lab::scenario("names-address", async |lab, namespace| {
        apply_headless(lab, namespace, "peers").await?;
        stays_plain(lab, namespace, "peers").await
    })
}

/// A request for the server's own address goes there in plain text, and teaches the service.
async fn stays_plain(lab: &Lab, namespace: &str, service: &str) -> Result<()> {
    let lazy = Lazy::start(lab, namespace).await?;
    // Istio itself reaches such an address in plain text, which STRICT refuses.
    let security = "security.istio.io/v1";
    let mut policy = lab::reference(security, "PeerAuthentication", namespace, "default");
    policy["spec"] = json!({ "mtls": { "mode": "PERMISSIVE" } });
    lab.cluster().apply_object(&policy).await?;
    listens(&lazy, lab::HTTP).await?;
    let origin = format!("http://{}:{}", lazy.server.address(), lab::HTTP);
    let asked = wait::until("PERMISSIVE", async || ask(&lazy.client, &origin).await).await?;
    ensure!(asked.cluster == PASSTHROUGH, "it took {}", asked.cluster);
    ensure!(asked.echo.caller().is_none(), "{:?}", asked.echo);
    let learned = format!("{namespace}/{}", host(namespace, service));
    until_learned(&lazy, &[learned]).await
}

#[test]
fn an_alias_of_a_service_is_learned_with_the_service() -> Result<()> {
    lab::scenario("names-alias", async |lab, namespace| {
        apply_service(lab, namespace, "behind").await?;
        let mut alias = lab::reference("v1", "Service", namespace, "alias");
        alias["spec"] =
            json!({ "type": "ExternalName", "externalName": host(namespace, "behind") });
        lab.cluster().apply_object(&alias).await?;
        let lazy = Lazy::start(lab, namespace).await?;
        lab.until_reachable(namespace, "behind", 80).await?;
        let cluster = cluster(namespace, "behind");
        follows(
            &lazy,
            "http://alias",
            DIRECT,
            &host(namespace, "alias"),
            &cluster,
        )
        .await
    })
}

/// Waits until the client's sidecar reads HTTP on a port, whatever the address.
async fn listens(lazy: &Lazy<'_>, port: u16) -> Result<()> {
    wait::until("the client's sidecar to listen", async || {
        let listeners = lazy.client.envoy_admin("/listeners").await?;
        let name = format!("0.0.0.0_{port}::");
        ensure!(listeners.contains(&name), "no {name} in {listeners}");
        Ok(())
    })
    .await
}
