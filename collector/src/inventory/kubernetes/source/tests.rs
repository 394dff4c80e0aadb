use std::time::Duration;

use lazymesh_core::ObjectKey;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::*;
use crate::kubernetes::fixtures::{FakeApi, mesh_config, namespace, service, sidecar};

const PATIENCE: Duration = Duration::from_secs(20);

fn options(revision: Option<&str>) -> SourceOptions {
    SourceOptions {
        owner: Owner {
            revision: revision.map(str::to_owned),
        },
        cluster_domain: "cluster.local".to_owned(),
        istio_namespace: "istio-system".to_owned(),
        mesh_config: "istio".to_owned(),
        namespace: "lazymesh-system".to_owned(),
    }
}

fn start(objects: Vec<(&str, Value)>) -> (FakeApi, KubernetesSource, Arc<SidecarCache>) {
    let (api, client) = FakeApi::start();
    for (plural, object) in objects {
        api.put(plural, object);
    }
    let ours = Arc::new(SidecarCache::default());
    let source = KubernetesSource::start(&client, options(None), Arc::clone(&ours));
    (api, source, ours)
}

async fn next(source: &mut KubernetesSource) -> Update {
    let update = timeout(PATIENCE, source.next()).await;
    let update = update.unwrap_or_else(|_| panic!("no update; {:?}", source.missing()));
    update.expect("a source that lives")
}

/// The whole mesh, as keys.
async fn sync(source: &mut KubernetesSource) -> (Mesh, Vec<String>) {
    loop {
        if let Update::Mesh { mesh, changes } = next(source).await {
            let keys = changes.iter().map(|change| change.key().to_string());
            return (mesh, keys.collect());
        }
    }
}

/// All changes until these have come, in any order.
async fn until(source: &mut KubernetesSource, expect: &[&str]) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let show = |change: &Change| match change {
        Change::Apply(object) => format!("+{}", object.key()),
        Change::Remove(key) => format!("-{key}"),
    };
    while !expect.iter().all(|event| seen.contains(*event)) {
        match next(source).await {
            Update::Changes { changes, .. } => seen.extend(changes.iter().map(show)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn nothing_is_known_before_everything_is() {
    let (api, mut source, _) = start(vec![
        ("namespaces", namespace("shop", json!({}))),
        ("services", service("shop", "web")),
    ]);
    api.set_unknown("sidecars", true);
    let mut waiting = String::new();
    while !(waiting.contains("CustomResourceDefinitions")
        && waiting.contains("there is no istio-system/istio"))
    {
        match next(&mut source).await {
            Update::Waiting(missing) => waiting = missing,
            other => panic!("{other:?}"),
        }
    }
    api.set_unknown("sidecars", false);
    api.put("configmaps", mesh_config("trustDomain: td"));
    let (mesh, objects) = sync(&mut source).await;
    assert_eq!(mesh.trust_domain, "td");
    assert_eq!(objects, ["Namespace shop", "Service shop/web"]);
}

#[tokio::test]
async fn changes_come_one_by_one_and_a_new_list_tells_what_is_gone() {
    let (api, mut source, _) = start(vec![
        ("configmaps", mesh_config("")),
        ("services", service("shop", "a")),
        ("services", service("shop", "b")),
    ]);
    assert_eq!(
        sync(&mut source).await.1,
        ["Service shop/a", "Service shop/b"]
    );
    api.put("services", service("shop", "c"));
    until(&mut source, &["+Service shop/c"]).await;
    api.delete("services", "shop/c");
    until(&mut source, &["-Service shop/c"]).await;
    api.restart(|api| {
        api.delete("services", "shop/a");
        api.put("services", service("shop", "d"));
    });
    until(&mut source, &["-Service shop/a", "+Service shop/d"]).await;
}

#[tokio::test]
async fn what_cannot_be_read_keeps_what_it_said() {
    let (api, mut source, _) = start(vec![
        ("configmaps", mesh_config("trustDomain: td")),
        ("services", service("shop", "a")),
    ]);
    sync(&mut source).await;
    let mut broken = service("shop", "a");
    broken["spec"]["ports"] = json!("none");
    api.put("services", broken);
    api.put("configmaps", mesh_config("["));
    api.restart(|api| api.put("services", service("shop", "b")));
    until(&mut source, &["+Service shop/b"]).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_told_until_it_can_or_is_gone() {
    let broken = |name: &str| {
        let mut service = service("shop", name);
        service["spec"]["ports"] = json!("none");
        service
    };
    let (api, mut source, _) = start(vec![
        ("configmaps", mesh_config("")),
        ("services", broken("a")),
        ("services", broken("b")),
        ("services", broken("c")),
    ]);
    assert!(sync(&mut source).await.1.is_empty());
    let mut told = async |change: &dyn Fn(), expect: &[&str]| {
        change();
        loop {
            let told = source.unusable();
            let names = told.iter().map(|told| told.split(':').next().unwrap());
            if names.eq(expect.iter().copied()) {
                return;
            }
            next(&mut source).await;
        }
    };
    told(
        &|| {},
        &["Service shop/a", "Service shop/b", "Service shop/c"],
    )
    .await;
    told(
        &|| api.put("services", service("shop", "a")),
        &["Service shop/b", "Service shop/c"],
    )
    .await;
    told(&|| api.delete("services", "shop/b"), &["Service shop/c"]).await;
    told(&|| api.restart(|api| api.delete("services", "shop/c")), &[]).await;
}

#[tokio::test]
async fn another_mesh_is_told() {
    let (api, mut source, _) = start(vec![
        ("configmaps", mesh_config("trustDomain: a")),
        ("services", service("shop", "web")),
    ]);
    assert_eq!(sync(&mut source).await.0.trust_domain, "a");
    api.put("configmaps", mesh_config("trustDomain: b"));
    let (mesh, _) = sync(&mut source).await;
    assert_eq!(mesh.trust_domain, "b");
}

#[tokio::test]
async fn what_somebody_does_to_our_sidecars_is_drift() {
    let ours_at = |host: &str| sidecar("shop", "lazymesh-a", "lazymesh", host);
    let (api, mut source, ours) = start(vec![
        ("configmaps", mesh_config("")),
        ("sidecars", ours_at("a/b")),
        ("sidecars", sidecar("shop", "theirs", "Helm", "*/*")),
    ]);
    sync(&mut source).await;
    source.take_drift();
    let place = || Published {
        namespace: "shop".to_owned(),
        name: "lazymesh-a".to_owned(),
    };
    assert_eq!(ours.seen(), [place()]);
    assert!(ours.want(place(), Some(ours_at("a/b"))));

    api.put("sidecars", ours_at("*/*"));
    until_drift(&mut source).await;
    api.put("sidecars", ours_at("a/b"));
    while !ours.want(place(), Some(ours_at("a/b"))) {
        api.put("services", service("shop", "wakes-the-source-up"));
        next(&mut source).await;
        api.delete("services", "shop/wakes-the-source-up");
    }
    source.take_drift();
    api.delete("sidecars", "shop/lazymesh-a");
    until_drift(&mut source).await;
    assert!(ours.seen().is_empty());
}

#[tokio::test]
async fn a_sidecar_that_went_while_nobody_watched_is_drift() {
    let (api, mut source, ours) = start(vec![
        ("configmaps", mesh_config("")),
        ("sidecars", sidecar("shop", "lazymesh-a", "lazymesh", "a/b")),
    ]);
    sync(&mut source).await;
    let place = ours.seen().remove(0);
    ours.want(
        place,
        Some(sidecar("shop", "lazymesh-a", "lazymesh", "a/b")),
    );
    source.take_drift();
    api.restart(|api| api.delete("sidecars", "shop/lazymesh-a"));
    until_drift(&mut source).await;
    assert!(ours.seen().is_empty());
}

async fn until_drift(source: &mut KubernetesSource) {
    while !source.take_drift() {
        next(source).await;
    }
}

#[tokio::test]
async fn our_own_namespace_switches_everything_off() {
    let (api, mut source, _) = start(vec![("configmaps", mesh_config(""))]);
    sync(&mut source).await;
    assert!(!source.is_off());
    api.put(
        "namespaces",
        namespace("lazymesh-system", json!({ MODE_LABEL: "off" })),
    );
    while !source.is_off() {
        next(&mut source).await;
    }
    api.put("namespaces", namespace("lazymesh-system", json!({})));
    while source.is_off() {
        next(&mut source).await;
    }
}

/// The rules that the chart grants for reading the mesh.
#[tokio::test]
async fn only_lists_and_watches_are_asked_for() {
    let (api, mut source, _) = start(vec![("configmaps", mesh_config(""))]);
    sync(&mut source).await;
    api.put("services", service("shop", "web"));
    until(&mut source, &["+Service shop/web"]).await;
    let asked: BTreeSet<String> = api.take_requests().into_iter().collect();
    let plurals = kinds::inventory().chain([CONFIG_MAP]);
    let plurals = plurals.map(|kind| kind.plural);
    let expect = plurals.flat_map(|plural| [format!("list {plural}"), format!("watch {plural}")]);
    assert_eq!(asked, expect.collect());
}

#[test]
fn a_key_is_that_of_the_object() {
    let place = Published {
        namespace: "shop".to_owned(),
        name: "a".to_owned(),
    };
    let expect = ObjectKey::new(Kind::Pod, "shop", "a");
    assert_eq!(key(Kind::Pod, &place), expect);
}

#[tokio::test]
async fn a_kind_whose_definition_is_absent_is_empty_and_is_looked_for_again() {
    let (api, mut source, _) = start(Vec::new());
    let optional = || kinds::inventory().filter(ApiKind::is_optional);
    for kind in optional() {
        api.set_unknown(kind.plural, true);
    }
    api.put("configmaps", mesh_config(""));
    assert!(sync(&mut source).await.1.is_empty());
    for kind in optional() {
        api.set_unknown(kind.plural, false);
        let object = json!({
            "apiVersion": kind.api_version(), "kind": kind.kind,
            "metadata": { "namespace": "shop", "name": "a" },
        });
        api.put(kind.plural, object);
        until(&mut source, &[&format!("+{} shop/a", kind.kind)]).await;
    }
}
