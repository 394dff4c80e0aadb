//! Sidecars that answer DNS: a name that only Istio knows can be dialled though nobody has called it yet.

use anyhow::{Result, ensure};
use lazymesh_e2e::lab::{self, PodSpec};
use serde_json::json;

use crate::{
    asking::{apply, ask, until_learned, until_taken},
    lazy::{Lazy, cluster},
};

#[test]
fn names_that_only_istio_knows_stay_in_scope_and_others_are_learned() -> Result<()> {
    lab::scenario("dns-capture", async |lab, namespace| {
        let outside = lab.external(&["any-dns.example"]).await?;
        let port = json!({ "number": 80, "name": "http", "protocol": "HTTP" });
        let spec = json!({
            "hosts": ["only-istio.example"],
            "resolution": "STATIC",
            "endpoints": [{ "address": outside.address() }],
            "ports": [port],
        });
        apply(lab, "ServiceEntry", (namespace, "only-istio"), spec).await?;
        let spec = json!({ "hosts": ["any-dns.example"], "resolution": "DNS", "ports": [port] });
        apply(lab, "ServiceEntry", (namespace, "any-dns"), spec).await?;

        let mut client = PodSpec::new(namespace, "client");
        let capture = ("ISTIO_META_DNS_CAPTURE".to_owned(), "true".to_owned());
        client.proxy_env.extend([capture]);
        let lazy = Lazy::start_with(lab, namespace, client).await?;
        let only_istio = format!("{namespace}/only-istio.example");
        let any_dns = format!("{namespace}/any-dns.example");
        let hosts = lazy.sidecar("lazymesh-client").await?;
        ensure!(
            hosts.contains(&only_istio) && !hosts.contains(&any_dns),
            "{hosts:?}"
        );

        let origin = "http://only-istio.example";
        let asked = ask(&lazy.client, origin).await?;
        ensure!(asked.known, "it took {}", asked.cluster);
        ensure!(
            asked.cluster == "outbound|80||only-istio.example",
            "{}",
            asked.cluster
        );
        // The server has no sidecar that answers DNS, so that the name says nothing to it.
        let failure = lazy.server.get(origin).await;
        ensure!(failure.is_err(), "another DNS has the name: {failure:?}");

        let origin = "http://any-dns.example";
        let first = ask(&lazy.client, origin).await?;
        ensure!(!first.known, "it was in scope");
        until_learned(&lazy, &[any_dns]).await?;
        until_taken(&lazy.client, origin, "outbound|80||any-dns.example").await?;
        ask(&lazy.client, "http://server").await?;
        until_taken(&lazy.client, "http://server", &cluster(namespace, "server"))
            .await
            .map(drop)
    })
}
