//! Whether a request takes a route of a VirtualService, as far as the question says what its conditions ask for.

use lazymesh_protocol::Protocol;

use crate::inventory::binds_sidecars;
use crate::names::Host;
use crate::resolve;
use crate::resolve::Question;
use crate::resource::RouteMatch;

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
pub(super) fn fit(conditions: &[RouteMatch], question: &Question) -> Fit {
    let fits = conditions.iter().map(|condition| one(condition, question));
    fits.max().unwrap_or(Fit::Always)
}

fn one(condition: &RouteMatch, question: &Question) -> Fit {
    let RouteMatch {
        gateways,
        source_namespace,
        port,
        sni_hosts,
        others,
    } = condition;
    // As Istio (`sourceMatchHTTP`): a condition that names gateways does not look at the caller.
    let from_here = if gateways.is_empty() {
        source_namespace.is_empty() || *source_namespace == question.source.namespace
    } else {
        binds_sidecars(gateways)
    };
    let on_port = port.is_none_or(|port| resolve::port(question).is_none_or(|own| own == port));
    let by_name = sni_hosts.is_empty() || greets(sni_hosts, question);
    match (from_here && on_port && by_name, others.any) {
        (false, _) => Fit::Never,
        (true, true) => Fit::Perhaps,
        (true, false) => Fit::Always,
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

    fn check(protocol: Protocol, conditions: Value, expect: Fit) {
        let source = Source {
            namespace: "shop".into(),
            workload: "cart".into(),
            service_account: None,
        };
        let destination = Some("10.0.0.1:80");
        let question = Question::new(&source, Some("a.example"), destination, protocol).unwrap();
        let read: Vec<RouteMatch> = serde_json::from_value(conditions.clone()).unwrap();
        assert_eq!(fit(&read, &question), expect, "{conditions}");
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
