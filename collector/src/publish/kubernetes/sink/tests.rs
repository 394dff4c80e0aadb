use std::collections::BTreeSet;

use lazymesh_core::EgressHost;
use serde_json::json;

use super::*;
use crate::kubernetes::fixtures::{FakeApi, sidecar};

const PLACE: &str = "shop/lazymesh-web";

struct Fixture {
    api: FakeApi,
    sink: KubernetesSink,
}

fn start(revision: Option<&str>) -> Fixture {
    let (api, client) = FakeApi::start();
    let owner = Owner {
        revision: revision.map(str::to_owned),
    };
    let sink = KubernetesSink::new(client, owner, Arc::default());
    Fixture { api, sink }
}

fn spec(hosts: &[&str]) -> SidecarSpec {
    SidecarSpec {
        namespace: "shop".to_owned(),
        name: "lazymesh-web".to_owned(),
        hosts: hosts
            .iter()
            .map(|host| host.parse::<EgressHost>().unwrap())
            .collect::<BTreeSet<_>>(),
        ..SidecarSpec::default()
    }
}

impl Fixture {
    async fn publish(&self, host: &str) -> Result<PublishOutcome, String> {
        let sidecar = spec(&[host]);
        let scope = EgressScope::whole(&sidecar);
        let applied = self.sink.apply(&sidecar, &scope).await;
        applied.map_err(|error| error.to_string())
    }

    fn hosts(&self) -> serde_json::Value {
        self.api.get("sidecars", PLACE).unwrap()["spec"]["egress"][0]["hosts"].clone()
    }

    fn expect(&self, requests: &[&str]) {
        assert_eq!(self.api.take_requests(), requests);
    }
}

#[tokio::test]
async fn a_sidecar_is_created_then_updated_then_left_alone() {
    let fixture = start(None);
    assert_eq!(fixture.publish("a/b.c").await, Ok(PublishOutcome::Created));
    fixture.expect(&["get sidecars", "patch sidecars"]);
    assert_eq!(fixture.publish("a/d.e").await, Ok(PublishOutcome::Updated));
    assert_eq!(fixture.hosts(), json!(["a/d.e"]));
    fixture.expect(&["get sidecars", "patch sidecars"]);
    assert_eq!(
        fixture.publish("a/d.e").await,
        Ok(PublishOutcome::Unchanged)
    );
    fixture.expect(&[]);
}

#[tokio::test]
async fn one_that_is_there_already_costs_one_look() {
    let fixture = start(None);
    fixture.api.put(
        "sidecars",
        sidecar("shop", "lazymesh-web", "lazymesh", "a/b.c"),
    );
    assert_eq!(
        fixture.publish("a/b.c").await,
        Ok(PublishOutcome::Unchanged)
    );
    fixture.expect(&["get sidecars"]);
    assert_eq!(
        fixture.publish("a/b.c").await,
        Ok(PublishOutcome::Unchanged)
    );
    fixture.expect(&[]);
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let fixture = start(None);
    let theirs = sidecar("shop", "lazymesh-web", "Helm", "*/*");
    fixture.api.put("sidecars", theirs);
    let left_alone = "Sidecar shop/lazymesh-web is not labelled as managed by lazymesh; left alone";
    assert_eq!(fixture.publish("a/b.c").await.unwrap_err(), left_alone);
    let refused = fixture
        .sink
        .withdraw("shop", "lazymesh-web")
        .await
        .unwrap_err();
    assert!(matches!(refused, SinkError::NotOurs { .. }));
    assert_eq!(fixture.hosts(), json!(["*/*"]));
    fixture.expect(&["get sidecars", "get sidecars"]);
    assert!(fixture.sink.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_selector_that_somebody_added_goes_and_other_fields_stay() {
    let fixture = start(None);
    let mut edited = sidecar("shop", "lazymesh-web", "lazymesh", "a/b.c");
    edited["spec"]["workloadSelector"] = json!({ "labels": { "app": "x" } });
    edited["spec"]["outboundTrafficPolicy"] = json!({ "mode": "ALLOW_ANY" });
    fixture.api.put("sidecars", edited);
    assert_eq!(fixture.publish("a/b.c").await, Ok(PublishOutcome::Updated));
    let spec = &fixture.api.get("sidecars", PLACE).unwrap()["spec"];
    assert_eq!(spec["workloadSelector"], json!(null));
    assert_eq!(
        spec["outboundTrafficPolicy"],
        json!({ "mode": "ALLOW_ANY" })
    );
}

#[tokio::test]
async fn sidecars_are_withdrawn_once() {
    let fixture = start(None);
    fixture.publish("a/b.c").await.unwrap();
    let place = Published {
        namespace: "shop".to_owned(),
        name: "lazymesh-web".to_owned(),
    };
    assert_eq!(fixture.sink.list().await.unwrap(), [place]);
    assert!(fixture.sink.withdraw("shop", "lazymesh-web").await.unwrap());
    assert!(!fixture.sink.withdraw("shop", "lazymesh-web").await.unwrap());
    assert_eq!(fixture.api.get("sidecars", PLACE), None);
}

#[tokio::test]
async fn a_revision_s_sidecars_are_for_it_alone() {
    let fixture = start(Some("blue"));
    fixture.publish("a/b.c").await.unwrap();
    let live = fixture.api.get("sidecars", PLACE).unwrap();
    assert_eq!(live["metadata"]["labels"]["istio.io/rev"], "blue");
    let mut green = sidecar("shop", "lazymesh-web", "lazymesh", "a/b.c");
    green["metadata"]["labels"]["istio.io/rev"] = json!("green");
    fixture.api.put("sidecars", green);
    assert!(fixture.sink.list().await.unwrap().is_empty());
    assert!(
        fixture
            .publish("a/d.e")
            .await
            .unwrap_err()
            .contains("left alone")
    );
}

#[tokio::test]
async fn a_refusal_says_what_kubernetes_said() {
    let fixture = start(None);
    fixture.api.set_unknown("sidecars", true);
    let error = fixture.publish("a/b.c").await.unwrap_err();
    assert!(error.contains("Sidecar shop/lazymesh-web"), "{error}");
}
