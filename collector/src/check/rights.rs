//! Asks the API server who may do what.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::Checkup;
use super::finding::{Finding, some};
use crate::kubernetes::KubernetesError;
use crate::kubernetes::error::ask;
use crate::kubernetes::kinds::{EVENT, SIDECAR, inventory};

const CHECK: &str = "rights";
const REVIEW: &str = "a review of rights";

/// Verb, group, plural and namespace; the empty namespace stands for all of them.
type Right<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Whether who asks may install the chart.
pub(super) async fn installers(client: &Client, checkup: &Checkup) -> Finding {
    let (own, root) = (checkup.namespace.as_str(), checkup.root_namespace.as_str());
    let rbac = "rbac.authorization.k8s.io";
    let needed = [
        ("create", rbac, "clusterroles", ""),
        ("create", rbac, "clusterrolebindings", ""),
        ("create", rbac, "roles", root),
        ("create", "apps", "deployments", own),
        ("create", "", "services", own),
        ("create", "", "serviceaccounts", own),
        ("create", "networking.istio.io", "sidecars", own),
    ];
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let may = async |right| {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes(right)),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = ask(REVIEW, reviews.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|it| it.allowed))
    };
    match lacking(needed, may).await {
        Ok(lacking) if lacking.is_empty() => Finding::ok(CHECK, "you may install the chart"),
        Ok(lacking) => Finding::fail(
            CHECK,
            format!("you may not {}", some(&lacking)),
            "the chart makes roles: install it as an administrator of the cluster",
        ),
        Err(error) => unasked(&error),
    }
}

/// Whether the collector may do its work.
pub(super) async fn collectors(client: &Client, checkup: &Checkup) -> Finding {
    let user = format!(
        "system:serviceaccount:{}:lazymesh-collector",
        checkup.namespace
    );
    let read =
        inventory().flat_map(|it| ["list", "watch"].map(|verb| (verb, it.group, it.plural, "")));
    let write = ["create", "patch", "delete"].map(|verb| (verb, SIDECAR.group, SIDECAR.plural, ""));
    let tell = ["create", "patch"].map(|verb| (verb, EVENT.group, EVENT.plural, ""));
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let may = async |right| {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.clone()),
                resource_attributes: Some(attributes(right)),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = ask(REVIEW, reviews.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|it| it.allowed))
    };
    match lacking(read.chain(write).chain(tell), may).await {
        Ok(lacking) if lacking.is_empty() => {
            Finding::ok(CHECK, "the collector may read the mesh and write Sidecars")
        }
        Ok(lacking) => Finding::fail(
            CHECK,
            format!("{user} may not {}", some(&lacking)),
            "the chart's roles grant it: is the chart as new as the collector?",
        ),
        Err(error) => unasked(&error),
    }
}

/// Which of some rights are not granted.
async fn lacking<'a>(
    rights: impl IntoIterator<Item = Right<'a>>,
    may: impl AsyncFn(Right<'a>) -> Result<bool, KubernetesError>,
) -> Result<Vec<String>, KubernetesError> {
    let mut lacking = Vec::new();
    for right in rights {
        if !may(right).await? {
            lacking.push(name(right));
        }
    }
    Ok(lacking)
}

fn unasked(error: &KubernetesError) -> Finding {
    Finding::warn(CHECK, error, "look as somebody who may review rights")
}

fn name((verb, _, plural, namespace): Right<'_>) -> String {
    match namespace {
        "" => format!("{verb} {plural}"),
        namespace => format!("{verb} {plural} in {namespace}"),
    }
}

fn attributes((verb, group, plural, namespace): Right<'_>) -> ResourceAttributes {
    ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(plural.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ResourceAttributes::default()
    }
}
