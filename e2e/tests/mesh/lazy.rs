//! What lazy scenarios have in common: a workload whose sidecar knows nothing yet, and who it calls.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, Pod, PodSpec, reference},
    wait,
};

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
        lab::lazymesh().await?;
        lab.namespace(namespace, &[("lazymesh.io/mode", "enforce")])
            .await?;
        lab.strict_mtls(namespace).await?;
        lab.service(namespace, "server").await?;
        let (client, server) = tokio::try_join!(
            lab.pod(PodSpec::new(namespace, "client").service_account("caller")),
            lab.pod(PodSpec::new(namespace, "server")),
        )?;
        lab.until_reachable(namespace, "server", 80).await?;
        let lazy = Self {
            lab,
            namespace,
            client,
            server,
        };
        lazy.until_empty().await?;
        Ok(lazy)
    }

    async fn until_empty(&self) -> Result<()> {
        self.sidecar("lazymesh-default").await?;
        let cluster = self.cluster();
        wait::until("the client's sidecar to be lazy", async || {
            ensure!(
                !self.client.has_cluster(&cluster).await?,
                "it still has {cluster}"
            );
            ensure!(
                self.client.has_cluster("lazymesh-direct").await?,
                "it has no lazymesh-direct"
            );
            let filters = self
                .client
                .envoy_admin("/config_dump?resource=ecds_filters")
                .await?;
            ensure!(
                filters.contains("type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"),
                "it has no filter"
            );
            Ok(())
        })
        .await
    }

    /// The server's cluster, as istiod names it.
    pub(crate) fn cluster(&self) -> String {
        format!("outbound|80||server.{}.svc.cluster.local", self.namespace)
    }

    /// The egress hosts of a Sidecar, as soon as it is there.
    pub(crate) async fn sidecar(&self, name: &str) -> Result<Vec<String>> {
        let sidecar = reference("networking.istio.io/v1", "Sidecar", self.namespace, name);
        wait::until(&format!("Sidecar {name}"), async || {
            let found = self
                .lab
                .cluster()
                .find(&sidecar)
                .await?
                .context("not there")?;
            let hosts = found
                .data
                .pointer("/spec/egress/0/hosts")
                .context("no hosts")?;
            Ok(serde_json::from_value(hosts.clone())?)
        })
        .await
    }

    /// Sends a request to the server, which must see the client's identity; gives the cluster it took.
    pub(crate) async fn ask(&self, path: &str) -> Result<String> {
        let reply = self.client.get(&format!("http://server{path}")).await?;
        ensure!(reply.status == 200, "{reply:?}");
        let caller = format!("spiffe://cluster.local/ns/{}/sa/caller", self.namespace);
        ensure!(reply.echo()?.caller() == Some(&caller), "{reply:?}");
        let line = self.client.logged(&format!(" {path} ")).await?;
        // Behind the address of the upstream host, which is quoted.
        let fields = line
            .rsplit('"')
            .next()
            .context("an odd line of the access log")?;
        let cluster = fields.split_whitespace().next();
        Ok(cluster.context("an odd line of the access log")?.to_owned())
    }
}
