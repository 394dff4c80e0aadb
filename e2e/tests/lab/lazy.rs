//! What lazy scenarios have in common: a workload whose sidecar knows nothing yet, and who it calls.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, Pod, PodSpec, reference},
    wait,
};

use crate::asking::cluster_in;

/// A namespace in which `client` is lazy and `server` is STRICT.
pub(crate) struct Lazy<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) namespace: &'a str,
    pub(crate) client: Pod,
    pub(crate) server: Pod,
}

impl<'a> Lazy<'a> {
    /// Starts both, and waits until the client's sidecar is as empty as it will be.
    pub(crate) async fn start(lab: &'a Lab, namespace: &'a str) -> Result<Self> {
        Self::start_with(lab, namespace, PodSpec::new(namespace, "client")).await
    }

    /// As [`Lazy::start`], with a client of one's own.
    pub(crate) async fn start_with(
        lab: &'a Lab,
        namespace: &'a str,
        client: PodSpec,
    ) -> Result<Self> {
        enforce(lab, namespace).await?;
        lab.strict_mtls(namespace).await?;
        lab.service(namespace, "server").await?;
        let (client, server) = tokio::try_join!(
            lab.pod(client.service_account("caller")),
            lab.pod(PodSpec::new(namespace, "server")),
        )?;
        lab.until_reachable(namespace, "server", 80).await?;
        let lazy = Self {
            lab,
            namespace,
            client,
            server,
        };
        until_lazy(&lazy.client, &lazy.cluster()).await?;
        Ok(lazy)
    }

    /// The server's cluster, as istiod names it.
    pub(crate) fn cluster(&self) -> String {
        cluster(self.namespace, "server")
    }

    /// The egress hosts of a Sidecar, as soon as it is there.
    pub(crate) async fn sidecar(&self, name: &str) -> Result<Vec<String>> {
        hosts(self.lab, self.namespace, name).await
    }

    /// Sends a request to the server, which must see the client's identity; gives the cluster it took.
    pub(crate) async fn ask(&self, path: &str) -> Result<String> {
        let reply = self.client.get(&format!("http://server{path}")).await?;
        ensure!(reply.status == 200, "{reply:?}");
        let caller = format!("spiffe://cluster.local/ns/{}/sa/caller", self.namespace);
        ensure!(reply.echo()?.caller() == Some(&caller), "{reply:?}");
        cluster_of(&self.client, path).await
    }
}

/// Has a namespace become lazy, as it does when the first filter calls from it.
pub(crate) async fn enforce(lab: &Lab, namespace: &str) -> Result<()> {
    lab::lazymesh().await?;
    lab.namespace(namespace, &[("lazymesh.io/mode", "enforce")])
        .await
}

/// The cluster of port 80 of a Service, as istiod names it.
pub(crate) fn cluster(namespace: &str, service: &str) -> String {
    format!("outbound|80||{}", host(namespace, service))
}

/// The fully qualified name of a Service.
pub(crate) fn host(namespace: &str, service: &str) -> String {
    format!("{service}.{namespace}.svc.cluster.local")
}

/// Waits until a sidecar knows nothing of `cluster`, and has the filter that would ask.
pub(crate) async fn until_lazy(pod: &Pod, cluster: &str) -> Result<()> {
    wait::until("a sidecar to be lazy", async || {
        ensure!(!pod.has_cluster(cluster).await?, "it still has {cluster}");
        ensure!(
            pod.has_cluster("lazymesh-direct").await?,
            "it has no lazymesh-direct"
        );
        ensure!(has_filter(pod).await?, "it has no filter");
        Ok(())
    })
    .await
}

/// Whether a sidecar runs the filter.
pub(crate) async fn has_filter(pod: &Pod) -> Result<bool> {
    let filters = pod
        .envoy_admin("/config_dump?resource=ecds_filters")
        .await?;
    Ok(filters.contains("type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"))
}

/// Waits until a sidecar has a cluster, and the routes of its host.
pub(crate) async fn until_known(pod: &Pod, cluster: &str) -> Result<()> {
    let (_, host) = cluster.rsplit_once('|').context("no cluster of Istio's")?;
    wait::until("a sidecar to know a host", async || {
        ensure!(pod.has_cluster(cluster).await?, "it has no {cluster}");
        ensure!(pod.has_host(80, host).await?, "it has no routes of {host}");
        Ok(())
    })
    .await
}

/// The egress hosts of a Sidecar, without those that only have clusters, as soon as it is there.
pub(crate) async fn hosts(lab: &Lab, namespace: &str, name: &str) -> Result<Vec<String>> {
    let sidecar = reference("networking.istio.io/v1", "Sidecar", namespace, name);
    wait::until(&format!("Sidecar {name}"), async || {
        let found = lab.cluster().find(&sidecar).await?.context("not there")?;
        let egress = found.data["spec"]["egress"].as_array();
        let last = egress.and_then(|egress| egress.last());
        let hosts = &last.context("no egress")?["hosts"];
        Ok(serde_json::from_value(hosts.clone())?)
    })
    .await
}

/// Waits until a Sidecar is gone.
pub(crate) async fn until_withdrawn(lab: &Lab, namespace: &str, name: &str) -> Result<()> {
    let sidecar = reference("networking.istio.io/v1", "Sidecar", namespace, name);
    wait::until(&format!("Sidecar {name} to go"), async || {
        let found = lab.cluster().find(&sidecar).await?;
        ensure!(found.is_none(), "it is still there");
        Ok(())
    })
    .await
}

/// Waits until a Sidecar has the host of a Service of its own namespace.
pub(crate) async fn until_learned(
    lab: &Lab,
    namespace: &str,
    name: &str,
    service: &str,
) -> Result<()> {
    let host = format!("{namespace}/{}", host(namespace, service));
    wait::until("a Sidecar to have a host", async || {
        let hosts = hosts(lab, namespace, name).await?;
        ensure!(hosts.contains(&host), "{hosts:?} lack {host}");
        Ok(())
    })
    .await
}

/// The cluster that a request with this path took, which no other request of the pod may have.
pub(crate) async fn cluster_of(pod: &Pod, path: &str) -> Result<String> {
    let line = pod.logged(&format!(" {path} ")).await?;
    cluster_in(&line)
}
