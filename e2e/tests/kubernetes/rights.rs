//! The chart's RBAC rules: enough for everything that the collector does, and for nothing else.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};
use lazymesh_e2e::{
    lab::{self, Lab, reference},
    wait,
};
use serde_json::{Value, json};

use crate::{
    chart,
    process::{ATTACH, Collector, label, pod, set_mode, sidecar, until_gone, until_sidecar},
    uninstall,
};

const USER: &str = "system:serviceaccount:lazymesh-system:lazymesh-collector";
/// The lab has no Gateway API. Its kinds are optional: they are looked for, and what is not there cannot be watched.
const NOT_INSTALLED: &str = "gateway.networking.k8s.io";
/// Events are of filters that have been silent for longer than a scenario takes.
const RARE: &str = "events.k8s.io";

/// Applies the chart's ServiceAccounts and RBAC; gives a kubeconfig of one of the accounts.
pub(crate) async fn become_account(lab: &Lab, account: &str) -> Result<PathBuf> {
    for object in chart::render(&[])? {
        let kind = object["kind"].as_str().unwrap_or_default();
        if kind == "ServiceAccount" || kind.contains("Role") {
            lab.cluster().apply_object(&object).await?;
        }
    }
    let request = http::Request::post(format!(
        "/api/v1/namespaces/{}/serviceaccounts/{account}/token",
        lab::LAZYMESH_NAMESPACE
    ))
    .header(http::header::CONTENT_TYPE, "application/json")
    .body(serde_json::to_vec(&json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": { "audiences": [] },
    }))?)?;
    let answer: Value = lab.cluster().client().request(request).await?;
    let token = answer["status"]["token"].as_str().context("no token")?;
    let mut kubeconfig: Value = serde_json::from_slice(&fs::read(lab.kubeconfig())?)?;
    kubeconfig["users"][0]["user"] = json!({ "token": token });
    let path = lab.folder().join(format!("{account}.kubeconfig"));
    fs::write(&path, serde_json::to_vec(&kubeconfig)?)?;
    Ok(path)
}

/// Group, resource and verb. A right to create is one to patch: server-side apply asks for both, and says only the latter.
type Right = (String, String, String);

fn right(group: &Value, resource: &str, verb: &Value) -> Right {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let verb = match text(verb).as_str() {
        "create" => "patch".to_owned(),
        other => other.to_owned(),
    };
    (text(group), resource.to_owned(), verb)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What the chart's roles grant to an account.
fn granted(account: &str) -> Result<BTreeSet<Right>> {
    let objects = chart::render(&[])?;
    let is_its = |binding: &&Value| {
        list(&binding["subjects"])
            .iter()
            .any(|it| it["name"] == account)
    };
    let mut rights = BTreeSet::new();
    for binding in objects.iter().filter(is_its) {
        let role = &binding["roleRef"];
        let is_bound = |object: &&Value| {
            object["kind"] == role["kind"] && object["metadata"]["name"] == role["name"]
        };
        let role = objects.iter().find(is_bound).context("a role is missing")?;
        for rule in list(&role["rules"]) {
            for resource in list(&rule["resources"]) {
                let resource = resource.as_str().context("no text")?;
                for group in list(&rule["apiGroups"]) {
                    let verbs = list(&rule["verbs"]).iter();
                    rights.extend(verbs.map(|verb| right(group, resource, verb)));
                }
            }
        }
    }
    Ok(rights)
}

/// What an account has asked kube-apiserver for, all of which must have been allowed.
fn used(audit_log: &str, account: &str) -> Result<BTreeSet<Right>> {
    let user = format!(
        "system:serviceaccount:{}:{account}",
        lab::LAZYMESH_NAMESPACE
    );
    let mut rights = BTreeSet::new();
    for line in audit_log.lines() {
        let event: Value = serde_json::from_str(line)?;
        let object = &event["objectRef"];
        if event["user"]["username"] != user || object.is_null() {
            continue;
        }
        let decision = &event["annotations"]["authorization.k8s.io/decision"];
        ensure!(decision == "allow", "{event}");
        let mut resource = object["resource"].as_str().unwrap_or_default().to_owned();
        if let Some(subresource) = object["subresource"].as_str() {
            resource = format!("{resource}/{subresource}");
        }
        rights.insert(right(&object["apiGroup"], &resource, &event["verb"]));
    }
    Ok(rights)
}

/// Fails unless an account was granted what it has used, and nothing else.
pub(crate) fn are_exact(audit_log: &str, account: &str) -> Result<()> {
    let (mut granted, used) = (granted(account)?, used(audit_log, account)?);
    granted.retain(|(group, _, verb)| group != NOT_INSTALLED || verb != "watch");
    granted.retain(|right| right.0 != RARE || used.contains(right));
    ensure!(
        granted == used,
        "{account} was granted and did not use {:?}, and used without a right of its own {:?}",
        granted.difference(&used).collect::<Vec<_>>(),
        used.difference(&granted).collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn nothing_is_published_before_every_watch_has_synced() -> Result<()> {
    lab::disturbance("k8s-blind", async |lab, namespace| {
        lab.namespace(lab::LAZYMESH_NAMESPACE, &[]).await?;
        set_mode(lab, namespace, Some("enforce")).await?;
        let kubeconfig = become_account(lab, "lazymesh-collector").await?;
        let objects = chart::render(&[])?;
        let role = objects.iter().find(|object| {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            object["kind"] == "ClusterRole" && name.starts_with("lazymesh-collector")
        });
        let role = role.context("no ClusterRole")?;
        let mut blind = role.clone();
        for rule in blind["rules"].as_array_mut().context("no rules")? {
            let resources = rule["resources"].as_array_mut().context("no resources")?;
            resources.retain(|resource| resource != "virtualservices");
        }
        lab.cluster().apply_object(&blind).await?;
        let before = lab.audit_log()?.len();
        let collector = Collector::spawn(&kubeconfig, &["--enforce-unheard"]).await?;
        wait::until("the collector to try again and again", async || {
            let checks = collector.get("/readyz").await?["checks"].to_string();
            ensure!(checks.contains("virtualservices"), "{checks}");
            let log = lab.audit_log()?;
            let refused = |line: &&str| {
                line.contains(r#""resource":"virtualservices""#) && line.contains(r#""forbid""#)
            };
            let tries = log[before..].lines().filter(refused).count();
            ensure!(tries > 2, "{tries} tries");
            Ok(())
        })
        .await
        .with_context(|| collector.log())?;
        ensure!(sidecar(lab, namespace, "lazymesh-default").await?.is_none());

        lab.cluster().apply_object(role).await?;
        until_sidecar(lab, namespace, "lazymesh-default")
            .await
            .with_context(|| collector.log())?;
        Ok(())
    })
}

async fn may(
    client: &Client,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: &str,
    name: &str,
) -> Result<bool> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(USER.to_owned()),
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.to_owned()),
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                namespace: Some(namespace.to_owned()),
                name: Some(name.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let review = reviews.create(&PostParams::default(), &review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}

/// Has something go wrong in a namespace that is enforced bit by bit: it gets its full scope back, and an Event tells why.
async fn fail_canary(lab: &Lab, namespace: &str, collector: &Collector) -> Result<()> {
    pod(lab, namespace, "web", json!({})).await?;
    let enforce = ("lazymesh.io/mode", "enforce");
    label(
        lab,
        namespace,
        &[enforce, ("lazymesh.io/enforce-percent", "100")],
    )
    .await?;
    wait::until("an Event", async || {
        collector.time_out(namespace, "web", 6).await?;
        let events = lab.cluster().list("events.k8s.io/v1", "Event", namespace);
        let events = json!(events.await?).to_string();
        let note = format!("{namespace}/web: 6 holds timed out");
        ensure!(
            events.contains("CanaryReverted") && events.contains(&note),
            "{events}"
        );
        Ok(())
    })
    .await?;
    until_gone(lab, namespace, "lazymesh-default").await
}

#[test]
fn the_chart_grants_what_is_used_and_nothing_else() -> Result<()> {
    lab::disturbance("k8s-rights", async |lab, namespace| {
        lab.namespace(lab::LAZYMESH_NAMESPACE, &[]).await?;
        lab.service(namespace, "web").await?;
        set_mode(lab, namespace, Some("enforce")).await?;
        // What another scenario has left in place would only be looked at.
        for object in uninstall::attachment() {
            if lab.cluster().find(&object).await?.is_some() {
                lab.cluster().delete_object(&object).await?;
            }
        }
        // An earlier collector that was told to attach access logs has left this, which goes now.
        let als = json!({
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "EnvoyFilter",
            "metadata": {
                "name": "lazymesh-als",
                "namespace": "istio-system",
                "labels": { "app.kubernetes.io/managed-by": "lazymesh" },
            },
            "spec": {},
        });
        lab.cluster().apply_object(&als).await?;
        let kubeconfig = become_account(lab, "lazymesh-collector").await?;
        let before = lab.audit_log()?.len();
        let flags = [&ATTACH[..], &["--enforce-unheard"]].concat();
        let collector = Collector::start_as(&kubeconfig, &flags).await?;
        // Sidecars are published only once the filter is attached.
        until_sidecar(lab, namespace, "lazymesh-default")
            .await
            .with_context(|| collector.log())?;
        fail_canary(lab, namespace, &collector)
            .await
            .with_context(|| collector.log())?;
        drop(collector);
        are_exact(&lab.audit_log()?[before..], "lazymesh-collector")?;

        let client = lab.cluster().client();
        let networking = "networking.istio.io";
        for (verb, group, resource, namespace, name) in [
            ("get", "", "secrets", "istio-system", "istio-ca-secret"),
            ("list", "", "secrets", namespace, ""),
            ("get", "", "pods", namespace, "web"),
            ("delete", "", "pods", namespace, "web"),
            ("patch", "", "namespaces", "", namespace),
            ("patch", "", "services", namespace, "web"),
            (
                "patch",
                "",
                "services",
                lab::LAZYMESH_NAMESPACE,
                "lazymesh-collector",
            ),
            (
                "delete",
                "",
                "services",
                lab::LAZYMESH_NAMESPACE,
                "lazymesh-ports",
            ),
            ("get", "", "configmaps", "istio-system", "istio"),
            ("list", "", "configmaps", "istio-system", "other"),
            ("list", "", "configmaps", namespace, "istio"),
            (
                "update",
                networking,
                "sidecars",
                namespace,
                "lazymesh-default",
            ),
            ("deletecollection", networking, "sidecars", namespace, ""),
            ("patch", networking, "virtualservices", namespace, "web"),
            ("patch", networking, "envoyfilters", "istio-system", "other"),
            ("patch", networking, "envoyfilters", namespace, "lazymesh"),
            (
                "delete",
                networking,
                "envoyfilters",
                "istio-system",
                "lazymesh",
            ),
            (
                "patch",
                "security.istio.io",
                "peerauthentications",
                namespace,
                "web",
            ),
            (
                "patch",
                "rbac.authorization.k8s.io",
                "clusterroles",
                "",
                "admin",
            ),
            ("patch", "apps", "deployments", namespace, "web"),
        ] {
            let allowed = may(&client, verb, group, resource, namespace, name).await?;
            ensure!(!allowed, "{verb} {resource} {namespace}/{name} is granted");
        }
        ensure!(
            may(&client, "watch", "", "pods", namespace, "").await?,
            "a right that is used"
        );
        let binding = reference(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            "",
            "lazymesh-collector-lazymesh-system",
        );
        lab.cluster().delete_object(&binding).await
    })
}
