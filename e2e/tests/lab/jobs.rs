//! Workloads that come and go: what a Job learned is there for its next run.

use anyhow::{Context, Result, ensure};
use lazymesh_e2e::{
    lab::{self, Lab, Pod, PodSpec, reference},
    wait,
};
use serde_json::{Value, json};

use crate::lazy::{cluster, cluster_of, enforce, host, until_known, until_lazy, until_learned};

/// Name of the Job, which the injector makes the canonical name of pods that have no better one.
const JOB: &str = "report";

#[test]
fn the_second_run_of_a_job_finds_what_the_first_one_learned() -> Result<()> {
    lab::scenario("job", async |lab, namespace| {
        enforce(lab, namespace).await?;
        lab.strict_mtls(namespace).await?;
        lab.service(namespace, "server").await?;
        let (server, run) = tokio::try_join!(
            lab.pod(PodSpec::new(namespace, "server")),
            start(lab, namespace, "report-7kq2x"),
        )?;
        lab.until_reachable(namespace, "server", 80).await?;
        let known = cluster(namespace, "server");
        until_lazy(&run, &known).await?;
        assert_eq!(ask(&run, "/first").await?, "lazymesh-direct");
        // A Job that ends with its only request: nothing waits for the Sidecar.
        run.succeed(lab).await?;
        until_learned(lab, namespace, "lazymesh-report", "server").await?;
        end(lab, namespace, run).await?;

        let path = format!("/v1/workloads/{namespace}/{JOB}");
        wait::until("the collector to see the pod gone", async || {
            let workload: Value = lab::lazymesh().await?.json(&path).await?;
            let learned = workload["dependencies"] == 1;
            let gone = workload["service_accounts"] == json!([]);
            ensure!(learned && gone, "{workload}");
            Ok(())
        })
        .await?;
        let dependencies = format!("{path}/dependencies");
        let dependencies: Value = lab::lazymesh().await?.json(&dependencies).await?;
        let learned = format!("{namespace}/{}", host(namespace, "server"));
        ensure!(
            dependencies["items"][0]["host"] == learned,
            "{dependencies}"
        );

        let run = start(lab, namespace, "report-p9d4m").await?;
        // From its first configuration on, so it asks nobody.
        ensure!(
            run.has_cluster(&known).await?,
            "the second run has no {known}"
        );
        assert_eq!(ask(&run, "/second").await?, known);
        until_known(&run, &known).await?;
        drop(server);
        Ok(())
    })
}

/// Creates the Job, and its pod as Kubernetes and the injector would.
async fn start(lab: &Lab, namespace: &str, pod: &str) -> Result<Pod> {
    let mut job = reference("batch/v1", "Job", namespace, JOB);
    job["spec"] = json!({ "template": { "spec": {
        "restartPolicy": "Never",
        "containers": [{ "name": "app", "image": "lab" }],
    } } });
    let job = lab.cluster().apply_object(&job).await?;
    let uid = job.metadata.uid.context("a Job without a uid")?;
    let spec = PodSpec {
        owner: Some(json!({
            "apiVersion": "batch/v1", "kind": "Job", "name": JOB, "uid": uid,
            "controller": true, "blockOwnerDeletion": true,
        })),
        ..PodSpec::new(namespace, pod)
    };
    let spec = spec
        .service_account(JOB)
        .label("app", "")
        .label("batch.kubernetes.io/job-name", JOB)
        .label("service.istio.io/canonical-name", JOB);
    lab.pod(spec).await
}

/// Deletes the Job, and with it its pod, as its time to live would.
async fn end(lab: &Lab, namespace: &str, pod: Pod) -> Result<()> {
    let job = reference("batch/v1", "Job", namespace, JOB);
    lab.cluster().delete_object(&job).await?;
    pod.delete(lab).await
}

async fn ask(pod: &Pod, path: &str) -> Result<String> {
    let reply = pod.get(&format!("http://server{path}")).await?;
    ensure!(reply.status == 200, "{reply:?}");
    cluster_of(pod, path).await
}
