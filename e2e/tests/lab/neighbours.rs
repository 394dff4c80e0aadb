//! Who is not lazy notices nothing of who is.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, Pod, PodSpec, reference},
    wait,
};
use serde_json::{Value, json};

use crate::lazy::{cluster, enforce, hosts, until_known, until_lazy, until_learned};

#[test]
fn what_one_workload_learns_changes_no_other_sidecar() -> Result<()> {
    lab::disturbance("neighbours", async |lab, namespace| {
        let free = format!("{namespace}-free");
        lab::lazymesh().await?;
        lab.namespace(&free, &[]).await?;
        lab.service(namespace, "server").await?;
        let off = PodSpec::new(namespace, "off").label("lazymesh.io/mode", "off");
        let (client, off, stranger, _server) = tokio::try_join!(
            lab.pod(PodSpec::new(namespace, "client")),
            lab.pod(off),
            lab.pod(PodSpec::new(&free, "stranger")),
            lab.pod(PodSpec::new(namespace, "server")),
        )?;
        lab.until_reachable(namespace, "server", 80).await?;
        until_calm(lab).await?;
        let all = [&client, &off, &stranger];
        flush(lab, namespace, &all).await?;
        let before = configuration(&stranger).await?;

        // A namespace is enforced: its workloads change, one of another namespace does not.
        enforce(lab, namespace).await?;
        let known = cluster(namespace, "server");
        until_lazy(&client, &known).await?;
        hosts(lab, namespace, "lazymesh-off").await?;
        flush(lab, namespace, &[&off, &stranger]).await?;
        assert_same(&before, &configuration(&stranger).await?)?;

        // A workload learns: it changes, one that is not enforced in the same namespace does not.
        let before_learning = [configuration(&off).await?, configuration(&client).await?];
        let reply = client.get("http://server/").await?;
        ensure!(reply.status == 200, "{reply:?}");
        until_learned(lab, namespace, "lazymesh-client", "server").await?;
        until_known(&client, &known).await?;
        flush(lab, namespace, &[&off, &stranger]).await?;
        assert_same(&before, &configuration(&stranger).await?)?;
        assert_same(&before_learning[0], &configuration(&off).await?)?;
        ensure!(
            before_learning[1] != configuration(&client).await?,
            "the workload that learned is as it was: this test cannot see a change"
        );
        lab.delete_namespace(&free).await
    })
}

/// What Envoy was told, as sorted lines. When and as which version it was told is left out, and the order of
/// clusters and the like, which Envoy keeps in a hash table.
async fn configuration(pod: &Pod) -> Result<Vec<String>> {
    let dump: Value = serde_json::from_str(&pod.envoy_admin("/config_dump?include_eds").await?)?;
    let parts = dump["configs"].as_array().context("a dump without parts")?;
    let mut lines = Vec::new();
    for part in parts {
        let kind = part["@type"].as_str().unwrap_or_default();
        for (key, value) in part.as_object().into_iter().flatten() {
            let entries = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            lines.extend(
                entries
                    .iter()
                    .filter(|_| !is_about_time(key))
                    .map(|entry| format!("{kind} {key} {}", timeless(entry))),
            );
        }
    }
    lines.sort();
    Ok(lines)
}

fn is_about_time(key: &str) -> bool {
    matches!(key, "version_info" | "last_updated")
}

fn timeless(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !is_about_time(key))
            .map(|(key, value)| (key.clone(), timeless(value)))
            .collect(),
        Value::Array(items) => items.iter().map(timeless).collect(),
        value => value.clone(),
    }
}

fn assert_same(before: &[String], after: &[String]) -> Result<()> {
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    ensure!(before == after, "gone: {gone:#?}\nnew: {new:#?}");
    Ok(())
}

/// Waits until nothing of an earlier scenario is on its way out.
async fn until_calm(lab: &Lab) -> Result<()> {
    wait::until("namespaces to be gone", async || {
        let namespaces = lab.cluster().list("v1", "Namespace", "").await?;
        let going = namespaces
            .iter()
            .find(|namespace| namespace.metadata.deletion_timestamp.is_some());
        ensure!(
            going.is_none(),
            "{:?} is going",
            going.map(|it| &it.metadata.name)
        );
        Ok(())
    })
    .await
}

/// Waits until everything that istiod has on its way to these sidecars is there: a Service that comes and goes
/// overtakes nothing. It has no TCP port, whose listener would take its time to drain.
async fn flush(lab: &Lab, namespace: &str, pods: &[&Pod]) -> Result<()> {
    let mut service = reference("v1", "Service", namespace, "sentinel");
    service["spec"] = json!({ "ports": [{ "name": "http", "port": 80 }] });
    lab.cluster().apply_object(&service).await?;
    let sentinel = cluster(namespace, "sentinel");
    for pod in pods {
        until_known(pod, &sentinel).await?;
    }
    lab.cluster().delete_object(&service).await?;
    for pod in pods {
        wait::until("the sentinel to go", async || {
            ensure!(!pod.has_cluster(&sentinel).await?, "it is still there");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
