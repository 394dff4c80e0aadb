//! A namespace whose applications never rest: whatever is done to lazymesh must not cost any of their requests.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{Namespace, Pod as CorePod};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use lazymesh_e2e::{
    lab::{External, Lab, Pod, PodSpec, Tally, Traffic, reference},
    wait,
};
use serde_json::json;

use crate::lazy::{cluster, until_known};

/// Between two requests of a client for one URL.
const EVERY: Duration = Duration::from_millis(5);
/// Requests that show that clients go on as before.
const ENOUGH: usize = 300;

/// Two clients that call services of every kind of decision, all of them STRICT, and a host outside the cluster.
pub(crate) struct Busy<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) clients: [Pod; 2],
    _servers: [Pod; 2],
    _external: External,
}

/// What the clients send.
pub(crate) struct Load(Vec<Traffic>);

impl<'a> Busy<'a> {
    /// Starts everything, and waits until every request succeeds. The namespace's labels are left as they are.
    pub(crate) async fn start(lab: &'a Lab, namespace: &'a str) -> Result<Self> {
        let busy = Self::start_lazily(lab, namespace).await?;
        for client in &busy.clients {
            busy.until_answered(client).await?;
        }
        Ok(busy)
    }

    /// Starts everything, and sends no request yet.
    pub(crate) async fn start_lazily(lab: &'a Lab, namespace: &'a str) -> Result<Self> {
        lab.strict_mtls(namespace).await?;
        for name in ["plain", "shaped", "routed", "unused"] {
            lab.service(namespace, name).await?;
        }
        apply_rules(lab, namespace).await?;
        let pod = |name| lab.pod(PodSpec::new(namespace, name));
        let outside = outside(namespace);
        let names = [outside.as_str()];
        let (one, two, plain, shaped, external) = tokio::try_join!(
            pod("one"),
            pod("two"),
            pod("plain"),
            pod("shaped"),
            lab.external(&names),
        )?;
        for name in ["plain", "shaped"] {
            lab.until_reachable(namespace, name, 80).await?;
        }
        Ok(Self {
            namespace,
            clients: [one, two],
            _servers: [plain, shaped],
            _external: external,
        })
    }

    fn urls(&self) -> [String; 5] {
        [
            "http://plain/".to_owned(),
            format!("http://plain.{}.svc.cluster.local/fqdn", self.namespace),
            "http://shaped/".to_owned(),
            "http://routed/".to_owned(),
            format!("http://{}/", outside(self.namespace)),
        ]
    }

    async fn until_answered(&self, client: &Pod) -> Result<()> {
        for url in self.urls() {
            wait::until(&format!("an answer of {url}"), async || {
                let reply = client.get(&url).await?;
                ensure!(reply.status == 200, "{reply:?}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Sends requests from now on, on connections that last and on one for each request.
    pub(crate) fn load(&self) -> Result<Load> {
        let urls = self.urls();
        let lasting: Vec<&str> = urls.iter().map(String::as_str).collect();
        let fresh: Vec<&str> = ["--fresh"].into_iter().chain(lasting.clone()).collect();
        let mut load = Vec::new();
        for client in &self.clients {
            load.push(client.traffic(&lasting, EVERY)?);
            load.push(client.traffic(&fresh, EVERY)?);
        }
        Ok(Load(load))
    }

    /// Whether a client's sidecar knows a service that nobody calls, as it does without lazymesh.
    pub(crate) async fn until_full(&self, client: &Pod, full: bool) -> Result<()> {
        let unused = cluster(self.namespace, "unused");
        wait::until_within("the scope to change", 3 * wait::PATIENCE, async || {
            let has = client.has_cluster(&unused).await?;
            ensure!(has == full, "whether it has {unused}: {has}");
            Ok(())
        })
        .await
    }

    /// Waits until every client's sidecar knows everything.
    pub(crate) async fn until_all_full(&self) -> Result<()> {
        let full = self
            .clients
            .iter()
            .map(|client| self.until_full(client, true));
        try_join_all(full).await.map(drop)
    }

    /// Waits until every client's sidecar knows what it calls, and nothing else.
    pub(crate) async fn until_all_lazy(&self) -> Result<()> {
        let lazy = self.clients.iter().map(|client| self.until_lazy(client));
        try_join_all(lazy).await.map(drop)
    }

    /// As [`Busy::until_all_lazy`], for one client.
    pub(crate) async fn until_lazy(&self, client: &Pod) -> Result<()> {
        self.until_full(client, false).await?;
        for name in ["plain", "shaped", "routed"] {
            until_known(client, &cluster(self.namespace, name)).await?;
        }
        Ok(())
    }

    /// Waits until every client has sent many more requests.
    pub(crate) async fn a_while(&self) -> Result<()> {
        for client in &self.clients {
            let before = client.access_log()?.lines().count();
            wait::until("clients to go on", async || {
                let now = client.access_log()?.lines().count();
                ensure!(now > before + ENOUGH, "{} requests", now - before);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

impl Load {
    /// Stops, and fails if a request has failed.
    pub(crate) async fn must_be_whole(self) -> Result<()> {
        let mut total = Tally::default();
        for traffic in self.0 {
            let tally = traffic.stop().await?;
            total.sent += tally.sent;
            total.failed += tally.failed;
            total.failures.extend(tally.failures);
        }
        ensure!(total.failed == 0, "{total:#?}");
        ensure!(total.sent > 1000, "{total:#?}");
        Ok(())
    }
}

/// A host outside the cluster.
fn outside(namespace: &str) -> String {
    format!("{namespace}.example.com")
}

/// A host that a DestinationRule shapes, and one that a VirtualService routes to it.
async fn apply_rules(lab: &Lab, namespace: &str) -> Result<()> {
    let networking = "networking.istio.io/v1";
    let mut rule = reference(networking, "DestinationRule", namespace, "shaped");
    rule["spec"] = json!({
        "host": "shaped",
        "subsets": [{ "name": "all", "labels": { "app": "shaped" } }],
    });
    lab.cluster().apply_object(&rule).await?;
    let mut route = reference(networking, "VirtualService", namespace, "routed");
    route["spec"] = json!({
        "hosts": ["routed"],
        "http": [{ "route": [{ "destination": { "host": "shaped", "subset": "all" } }] }],
    });
    lab.cluster().apply_object(&route).await.map(drop)
}

/// Sets the label of the mode on a namespace, or on a pod in it; `None` takes it away.
pub(crate) async fn set_mode(
    lab: &Lab,
    (namespace, pod): (&str, Option<&str>),
    mode: Option<&str>,
) -> Result<()> {
    let client = lab.cluster().client();
    let change = json!({ "metadata": { "labels": { "lazymesh.io/mode": mode } } });
    let (params, change) = (PatchParams::default(), Patch::Merge(&change));
    match pod {
        None => {
            let namespaces: Api<Namespace> = Api::all(client);
            namespaces.patch(namespace, &params, &change).await?;
        }
        Some(pod) => {
            let pods: Api<CorePod> = Api::namespaced(client, namespace);
            pods.patch(pod, &params, &change).await?;
        }
    }
    Ok(())
}
