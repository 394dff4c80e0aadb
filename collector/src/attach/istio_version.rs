//! Finds out which Istio this is: a name in the attachment depends on it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use kube::api::{DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use lazymesh_envoyfilters::IstioVersion;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::kubernetes::KubernetesError;
use crate::kubernetes::error::ask;
use crate::kubernetes::kinds::POD;
use crate::publish::kubernetes::owner::{Owner, REVISION};

/// Label of istiod's pods, whoever installed it.
const ISTIOD: &str = "app=istiod";
/// Label by which Istio's chart says its version.
const VERSION: &str = "app.kubernetes.io/version";

/// Where istiod says its version over HTTP.
const MONITORING: u16 = 15014;
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any version is long.
const MOST: usize = 4096;

/// The version of the control plane: as its pods say, or istiod itself where they do not.
pub(crate) async fn find(
    client: &Client,
    namespace: &str,
    owner: &Owner,
) -> Result<IstioVersion, KubernetesError> {
    let (selector, service) = match &owner.revision {
        Some(revision) => (
            format!("{ISTIOD},{REVISION}={revision}"),
            format!("istiod-{revision}"),
        ),
        None => (ISTIOD.to_owned(), "istiod".to_owned()),
    };
    let place = format!("pods with {selector} in {namespace}");
    let pods = POD.within(client, namespace);
    let pods = ask(&place, pods.list(&ListParams::default().labels(&selector))).await?;
    let mut said: BTreeSet<String> = pods
        .items
        .iter()
        .filter(|pod| is_running(pod))
        .filter_map(version)
        .collect();
    if said.is_empty() {
        let host = format!("{service}.{namespace}.svc");
        let answer = tokio::time::timeout(PATIENCE, ask_istiod(&host)).await;
        said.extend(answer.ok().and_then(Result::ok));
    }
    agree(said).map_err(|reason| KubernetesError::IstioVersion { place, reason })
}

/// `GET /version`, which answers as in `1.30.2-0123abc-Clean`.
async fn ask_istiod(host: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect((host, MONITORING)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = http::Request::get("/version")
        .header(http::header::HOST, format!("{host}:{MONITORING}"))
        .body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(response.status().to_string().into());
    }
    let body = Limited::new(response.into_body(), MOST)
        .collect()
        .await?
        .to_bytes();
    connection.abort();
    Ok(String::from_utf8_lossy(&body).trim().to_owned())
}

/// The one version that all say; the error says why there is none.
fn agree(versions: BTreeSet<String>) -> Result<IstioVersion, String> {
    let known = versions.iter().map(|text| {
        let version = text.parse::<IstioVersion>();
        version.map_err(|error| format!("{text}: {error}"))
    });
    let known = known.collect::<Result<BTreeSet<_>, _>>()?;
    match known.len() {
        0 => Err("nobody says its version".to_owned()),
        1 => known.into_iter().next().ok_or_else(String::new),
        _ => {
            let versions: Vec<_> = versions.into_iter().collect();
            Err(format!("several versions run: {}", versions.join(", ")))
        }
    }
}

fn is_running(pod: &DynamicObject) -> bool {
    let phase = pod.data.pointer("/status/phase").and_then(Value::as_str);
    pod.metadata.deletion_timestamp.is_none() && phase == Some("Running")
}

/// As its chart says, else the tag of its image; none for a digest.
fn version(pod: &DynamicObject) -> Option<String> {
    if let Some(version) = pod.labels().get(VERSION) {
        return Some(version.clone());
    }
    let image = pod.data.pointer("/spec/containers/0/image")?.as_str()?;
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    name.split_once(':').map(|(_, tag)| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(image: &str, labels: Value, phase: &str) -> DynamicObject {
        let pod = json!({
            "metadata": { "name": "istiod", "labels": labels },
            "spec": { "containers": [{ "image": image }] },
            "status": { "phase": phase },
        });
        serde_json::from_value(pod).unwrap()
    }

    #[track_caller]
    fn check(pods: &[DynamicObject], expect: Result<IstioVersion, &str>) {
        let said = pods
            .iter()
            .filter(|pod| is_running(pod))
            .filter_map(version);
        match (agree(said.collect()), expect) {
            (Err(error), Err(expect)) => assert!(error.contains(expect), "{error}"),
            (found, expect) => assert_eq!(found, expect.map_err(str::to_owned)),
        }
    }

    #[test]
    fn core_takes_the_same_sidecars_for_old() {
        let oldest = format!("1.{}", lazymesh_core::resource::OLDEST_SIDECAR);
        assert_eq!(IstioVersion::ALL[0].to_string(), oldest);
    }

    #[test]
    fn istiod_s_pods_say_the_version() {
        let running = |image: &str| pod(image, json!({}), "Running");
        check(
            &[running(
                "registry.example.com/istio/pilot:1.30.2-distroless",
            )],
            Ok(IstioVersion::V1_30),
        );
        check(
            &[running("host:5000/pilot:1.29.0@sha256:00")],
            Ok(IstioVersion::V1_29),
        );
        check(
            &[pod("pilot", json!({ VERSION: "1.31.1" }), "Running")],
            Ok(IstioVersion::V1_31),
        );
        check(
            &[running("a:1.30.1"), running("a:1.30.2")],
            Ok(IstioVersion::V1_30),
        );
        check(
            &[running("a:1.30.1"), pod("a:1.27.0", json!({}), "Failed")],
            Ok(IstioVersion::V1_30),
        );
        check(&[], Err("nobody says"));
        check(&[running("host:5000/pilot@sha256:00")], Err("nobody says"));
        check(
            &[running("a:1.27.3")],
            Err("1.27.3: unknown Istio version: expected one of 1.28"),
        );
        check(&[running("a:latest")], Err("latest: unknown"));
        check(
            &[running("a:1.30.1"), running("a:1.29.1")],
            Err("several versions run: 1.29.1, 1.30.1"),
        );
    }
}
