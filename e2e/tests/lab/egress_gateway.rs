//! A host outside the mesh that its VirtualService leads through an egress gateway goes there, from a lazy client too.

use anyhow::{Result, ensure};
use lazymesh_e2e::lab::{self, Lab, Pod, PodSpec};
use serde_json::json;

use crate::{
    asking::{apply, ask, until_learned, until_taken},
    lazy::Lazy,
};

const OUTSIDE: &str = "behind-gateway.example";
/// Where the gateway's pod listens for its Service's port 80.
const PORT: u16 = 8085;

#[test]
fn an_egress_gateway_is_never_passed_by() -> Result<()> {
    lab::scenario("egress", async |lab, namespace| {
        let _outside = lab.external(&[OUTSIDE]).await?;
        let platform = &format!("{namespace}-platform");
        let gateway = start_gateway(lab, platform).await?;
        lead_through_gateway(lab, platform).await?;
        let lazy = Lazy::start(lab, namespace).await?;

        let origin = format!("http://{OUTSIDE}");
        let host = format!("gateway.{platform}.svc.cluster.local");
        let cluster = format!("outbound|80|outside|{host}");
        // The VirtualService rules the first request, which waits for the gateway's cluster.
        let first = ask(&lazy.client, &origin).await?;
        ensure!(first.cluster == cluster, "it took {}", first.cluster);
        passed(&gateway, &first.echo.path).await?;
        until_learned(
            &lazy,
            &[
                format!("{platform}/{OUTSIDE}"),
                format!("{platform}/{host}"),
            ],
        )
        .await?;
        let next = until_taken(&lazy.client, &origin, &cluster).await?;
        ensure!(next.echo.pod == OUTSIDE, "{:?}", next.echo);
        passed(&gateway, &next.echo.path).await?;
        lab.delete_namespace(platform).await
    })
}

/// Waits until the gateway says that a request went through it to the host itself.
async fn passed(gateway: &Pod, path: &str) -> Result<()> {
    let line = gateway.logged(&format!(" {path} ")).await?;
    let cluster = format!(" outbound|80||{OUTSIDE} ");
    ensure!(line.contains(&cluster), "{line}");
    Ok(())
}

async fn start_gateway(lab: &Lab, namespace: &str) -> Result<Pod> {
    lab.namespace(namespace, &[]).await?;
    let mut service = lab::reference("v1", "Service", namespace, "gateway");
    service["spec"] = json!({
        "selector": { "app": "gateway" },
        "ports": [{ "name": "http2", "port": 80, "targetPort": PORT }],
    });
    lab.cluster().apply_object(&service).await?;
    let server = json!({
        "port": { "number": 80, "name": "https", "protocol": "HTTPS" },
        "hosts": [OUTSIDE],
        "tls": { "mode": "ISTIO_MUTUAL" },
    });
    let spec = json!({ "selector": { "app": "gateway" }, "servers": [server] });
    apply(lab, "Gateway", (namespace, "gateway"), spec).await?;
    let pod = PodSpec {
        gateway: true,
        ..PodSpec::new(namespace, "gateway")
    };
    lab.pod(pod).await
}

/// As Istio's documentation has it: mutual TLS to the gateway, plain HTTP from there.
async fn lead_through_gateway(lab: &Lab, namespace: &str) -> Result<()> {
    let spec = json!({
        "hosts": [OUTSIDE],
        "resolution": "DNS",
        "ports": [{ "number": 80, "name": "http", "protocol": "HTTP" }],
    });
    apply(lab, "ServiceEntry", (namespace, "outside"), spec).await?;
    let tls = json!({ "mode": "ISTIO_MUTUAL", "sni": OUTSIDE });
    let settings = json!([{ "port": { "number": 80 }, "tls": tls }]);
    let subset = json!({ "name": "outside", "trafficPolicy": { "portLevelSettings": settings } });
    let spec = json!({ "host": "gateway", "subsets": [subset] });
    apply(lab, "DestinationRule", (namespace, "gateway"), spec).await?;
    let leg = |gateway: &str, destination: serde_json::Value| {
        json!({
            "match": [{ "gateways": [gateway], "port": 80 }],
            "route": [{ "destination": destination }],
        })
    };
    // The gateway's own comes first: no sidecar takes it.
    let http = [
        leg(
            "gateway",
            json!({ "host": OUTSIDE, "port": { "number": 80 } }),
        ),
        leg(
            "mesh",
            json!({ "host": "gateway", "subset": "outside", "port": { "number": 80 } }),
        ),
    ];
    let spec = json!({ "hosts": [OUTSIDE], "gateways": ["gateway", "mesh"], "http": http });
    apply(lab, "VirtualService", (namespace, "outside"), spec).await
}
