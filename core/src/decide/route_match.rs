//! Whether a request takes a route of a VirtualService, as far as the question says what its conditions ask for.

use std::collections::BTreeMap;

use lazymesh_protocol::Protocol;

use crate::inventory::{Inventory, Pod, binds_sidecars};
use crate::names::Host;
use crate::resolve;
use crate::resolve::Question;
use crate::resource::{RouteMatch, StringMatch};

/// How sure it is that a request takes a route that no earlier one took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It is a route for others: for gateways, for another port, for callers elsewhere, for another name.
    Never,
    /// That depends on what the question does not say, such as a header.
    Perhaps,
    Always,
}

/// The best fit of any condition. Without conditions everything fits.
pub(super) fn fit(inventory: &Inventory, question: &Question, conditions: &[RouteMatch]) -> Fit {
    let fits = conditions
        .iter()
        .map(|condition| one(inventory, question, condition));
    fits.max().unwrap_or(Fit::Always)
}

fn one(inventory: &Inventory, question: &Question, condition: &RouteMatch) -> Fit {
    let RouteMatch {
        gateways,
        source_namespace,
        source_labels,
        port,
        sni_hosts,
        uri,
        authority,
        others,
    } = condition;
    // As Istio (`sourceMatchHTTP`): a condition that names gateways does not look at the caller.
    let from_here = if gateways.is_empty() {
        let namespace =
            source_namespace.is_empty() || *source_namespace == question.source.namespace;
        sure(namespace).min(calls(inventory, question, source_labels))
    } else {
        sure(binds_sidecars(gateways))
    };
    let on_port = port.is_none_or(|port| resolve::port(question).is_none_or(|own| own == port));
    let by_name = sni_hosts.is_empty() || greets(sni_hosts, question);
    let by_path = uri.as_ref().map_or(Fit::Always, of_path);
    let to_authority = authority
        .as_ref()
        .map_or(Fit::Always, |text| of_authority(text, question));
    let by_others = if others.any {
        Fit::Perhaps
    } else {
        Fit::Always
    };
    let fits = [
        from_here,
        sure(on_port && by_name),
        by_path,
        to_authority,
        by_others,
    ];
    fits.into_iter().min().unwrap_or(Fit::Always)
}

fn sure(fits: bool) -> Fit {
    if fits { Fit::Always } else { Fit::Never }
}

/// Whether the caller has these labels: all of its pods, or none of them. Of a workload without pods nobody knows.
fn calls(inventory: &Inventory, question: &Question, labels: &BTreeMap<String, String>) -> Fit {
    if labels.is_empty() {
        return Fit::Always;
    }
    let has = |pod: &Pod| {
        labels
            .iter()
            .all(|(key, value)| pod.labels.get(key) == Some(value))
    };
    let mut pods = inventory.pods.of(&question.source).map(has);
    match pods.next() {
        Some(first) if pods.all(|other| other == first) => sure(first),
        _ => Fit::Perhaps,
    }
}

/// A question tells no path, but some conditions hold for all of them.
fn of_path(text: &StringMatch) -> Fit {
    if text.takes_every_path() {
        Fit::Always
    } else {
        Fit::Perhaps
    }
}

/// Envoy compares the authority as it was sent, so that only what differs in more than case is sure not to fit.
fn of_authority(text: &StringMatch, question: &Question) -> Fit {
    if text.is_open() {
        return Fit::Always;
    }
    let (None, Some(authority)) = (&text.regex, &question.authority) else {
        return Fit::Perhaps;
    };
    let authority = authority.to_string();
    let meets = |exact: Option<&str>, prefix: Option<&str>| {
        exact.is_none_or(|exact| exact == authority)
            && prefix.is_none_or(|prefix| authority.starts_with(prefix))
    };
    let (exact, prefix) = (text.exact.as_deref(), text.prefix.as_deref());
    let lower = |text: Option<&str>| text.map(str::to_ascii_lowercase);
    if meets(exact, prefix) {
        Fit::Always
    } else if meets(lower(exact).as_deref(), lower(prefix).as_deref()) {
        Fit::Perhaps
    } else {
        Fit::Never
    }
}

/// Whether one of these names is in the hello.
fn greets(sni_hosts: &[String], question: &Question) -> bool {
    let authority = question.authority.as_ref();
    let (Protocol::Tls, Some(Host::Name(name))) = (
        question.protocol,
        authority.map(|authority| &authority.host),
    ) else {
        return false;
    };
    sni_hosts
        .iter()
        .any(|pattern| match pattern.strip_prefix('*') {
            Some(suffix) => name.ends_with(suffix),
            None => pattern == name,
        })
}

#[cfg(test)]
mod tests {
    use lazymesh_protocol::Source;
    use serde_json::{Value, json};

    use super::*;
    use crate::resource::Object;

    /// Both of the caller's pods are `web`, one of them is new.
    fn inventory() -> Inventory {
        let mut inventory = Inventory::default();
        for version in ["old", "new"] {
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": version, "namespace": "shop", "labels": {
                    "service.istio.io/canonical-name": "cart", "app": "web", "version": version,
                } },
            });
            inventory.apply(Object::from_value(pod).unwrap().unwrap());
        }
        inventory
    }

    fn check(protocol: Protocol, conditions: Value, expect: Fit) {
        let source = Source {
            namespace: "shop".into(),
            workload: "cart".into(),
            cluster: None,
            service_account: None,
        };
        let destination = Some("10.0.0.1:80");
        let question = Question::new(&source, Some("a.example"), destination, protocol).unwrap();
        let read: Vec<RouteMatch> = serde_json::from_value(conditions.clone()).unwrap();
        let found = fit(&inventory(), &question, &read);
        assert_eq!(found, expect, "{conditions}");
    }

    #[test]
    fn conditions_of_http() {
        let check = |conditions, expect| check(Protocol::Http, conditions, expect);
        check(json!([]), Fit::Always);
        check(
            json!([{ "name": "n", "gateways": ["mesh"], "port": 80 }]),
            Fit::Always,
        );
        check(json!([{ "gateways": ["egress", "mesh"] }]), Fit::Always);
        check(json!([{ "gateways": ["egress"], "port": 80 }]), Fit::Never);
        check(json!([{ "port": 81 }]), Fit::Never);
        check(json!([{ "sourceNamespace": "shop" }]), Fit::Always);
        check(json!([{ "sourceNamespace": "other" }]), Fit::Never);
        check(
            json!([{ "sourceNamespace": "other", "gateways": ["mesh"] }]),
            Fit::Always,
        );
        check(
            json!([{ "headers": { "a": { "exact": "1" } } }]),
            Fit::Perhaps,
        );
        check(
            json!([{ "uri": { "prefix": "/a" }, "port": 81 }]),
            Fit::Never,
        );
        check(json!([{ "headers": {}, "uri": null }]), Fit::Always);
        check(
            json!([{ "gateways": ["egress"] }, { "uri": { "exact": "/" } }]),
            Fit::Perhaps,
        );
        check(
            json!([{ "uri": { "exact": "/" } }, { "port": 80 }]),
            Fit::Always,
        );
        check(json!([{ "uri": { "prefix": "/" } }]), Fit::Always);
        check(json!([{ "uri": { "regex": ".*" } }]), Fit::Always);
        check(json!([{ "uri": { "regex": "/a.*" } }]), Fit::Perhaps);
        check(
            json!([{ "uri": { "prefix": "/" }, "withoutHeaders": { "a": {} } }]),
            Fit::Perhaps,
        );
    }

    #[test]
    fn conditions_on_the_caller_and_the_authority() {
        let check = |conditions, expect| check(Protocol::Http, conditions, expect);
        check(json!([{ "sourceLabels": { "app": "web" } }]), Fit::Always);
        check(json!([{ "sourceLabels": { "app": "tester" } }]), Fit::Never);
        check(
            json!([{ "sourceLabels": { "version": "new" } }]),
            Fit::Perhaps,
        );
        check(
            json!([{ "sourceLabels": { "app": "tester" }, "gateways": ["mesh"] }]),
            Fit::Always,
        );
        check(
            json!([{ "authority": { "exact": "a.example" } }]),
            Fit::Always,
        );
        check(json!([{ "authority": { "prefix": "a." } }]), Fit::Always);
        check(
            json!([{ "authority": { "exact": "A.example" } }]),
            Fit::Perhaps,
        );
        check(
            json!([{ "authority": { "exact": "b.example" } }]),
            Fit::Never,
        );
        check(json!([{ "authority": { "regex": "a.*" } }]), Fit::Perhaps);
    }

    #[test]
    fn conditions_of_tls() {
        let check = |conditions, expect| check(Protocol::Tls, conditions, expect);
        check(
            json!([{ "sniHosts": ["a.example"], "port": 80 }]),
            Fit::Always,
        );
        check(json!([{ "sniHosts": ["*.example"] }]), Fit::Always);
        check(json!([{ "sniHosts": ["b.example"] }]), Fit::Never);
        check(
            json!([{ "sniHosts": ["b.example"] }, { "sniHosts": ["a.example"] }]),
            Fit::Always,
        );
        check(
            json!([{ "sniHosts": ["a.example"], "gateways": ["egress"] }]),
            Fit::Never,
        );
    }
}
