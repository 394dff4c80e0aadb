//! What must hold of the objects whatever they look like.

use lazymesh_envoyfilters::{
    Attachment, CATCH_ALL_VIRTUAL_HOSTS, IstioVersion, catch_all_route_patch, cluster_header_route,
    direct_cluster, http_filter, tcp_filter, virtual_host_patch,
};
use lazymesh_protocol::{CLUSTER_HEADER, DIRECT_CLUSTER, FilterConfig};
use serde_json::{Value, json};

fn attachment(istio: IstioVersion) -> Attachment {
    Attachment::new(
        istio,
        "oci://registry.example/lazymesh/filter",
        FilterConfig::new("outbound|8480||collector.lazymesh-system.svc.cluster.local"),
    )
}

fn of_kind(attachment: &Attachment, kind: &str) -> Option<Value> {
    let mut objects = attachment.objects().into_iter();
    objects.find(|object| object["kind"] == kind)
}

/// Values of the EnvoyFilter's patches of one kind, with what they match.
fn patches(attachment: &Attachment, apply_to: &str, operation: &str) -> Vec<(Value, Value)> {
    let filter = of_kind(attachment, "EnvoyFilter").unwrap();
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    patches
        .iter()
        .filter(|patch| patch["applyTo"] == apply_to && patch["patch"]["operation"] == operation)
        .map(|patch| (patch["match"].clone(), patch["patch"]["value"].clone()))
        .collect()
}

#[test]
fn yaml_reads_back_as_the_objects() {
    for istio in IstioVersion::ALL {
        let attachment = attachment(istio);
        let read: Vec<Value> = serde_saphyr::from_multiple(&attachment.yaml()).unwrap();
        assert_eq!(read, attachment.objects());
    }
}

#[test]
fn the_filter_reads_its_configuration_back() {
    let attachment = attachment(IstioVersion::V1_30);
    let plugin = of_kind(&attachment, "WasmPlugin").unwrap();
    let config: FilterConfig =
        serde_json::from_value(plugin["spec"]["pluginConfig"].clone()).unwrap();
    assert_eq!(config, attachment.config);
}

#[test]
fn sidecars_get_the_pieces_that_a_bare_envoy_gets() {
    for istio in IstioVersion::ALL {
        let attachment = attachment(istio);
        let check = |apply_to, operation, piece: Value, times| {
            let patches = patches(&attachment, apply_to, operation);
            let values: Vec<_> = patches.into_iter().map(|(_, value)| value).collect();
            assert_eq!(values, vec![piece; times], "{apply_to} {operation}");
        };
        check("HTTP_FILTER", "REPLACE", http_filter(&attachment), 1);
        check(
            "NETWORK_FILTER",
            "INSERT_BEFORE",
            tcp_filter(&attachment),
            2,
        );
        check("VIRTUAL_HOST", "MERGE", virtual_host_patch(&attachment), 2);
        check("HTTP_ROUTE", "INSERT_FIRST", cluster_header_route(), 2);
        check("HTTP_ROUTE", "MERGE", catch_all_route_patch(), 1);
        check("CLUSTER", "ADD", direct_cluster(), 1);
    }
}

#[test]
fn connections_are_decided_unless_that_is_not_wanted() {
    for istio in IstioVersion::ALL {
        let mut attachment = attachment(istio);
        for (tcp, plugins, filters) in [(true, 2, 2), (false, 1, 0)] {
            attachment.tcp = tcp;
            let objects = attachment.objects();
            let found = objects.iter().filter(|it| it["kind"] == "WasmPlugin");
            assert_eq!(found.count(), plugins);
            let found = patches(&attachment, "NETWORK_FILTER", "INSERT_BEFORE");
            assert_eq!(found.len(), filters);
        }
    }
}

#[test]
fn the_filter_is_off_but_on_the_catch_all_virtual_hosts() {
    let attachment = attachment(IstioVersion::V1_30);
    assert_eq!(http_filter(&attachment)["disabled"], true);
    let hosts: Vec<_> = patches(&attachment, "VIRTUAL_HOST", "MERGE")
        .into_iter()
        .map(|(matched, _)| matched["routeConfiguration"]["vhost"].clone())
        .collect();
    assert_eq!(
        hosts,
        CATCH_ALL_VIRTUAL_HOSTS.map(|name| json!({ "name": name }))
    );
}

#[test]
fn gateways_go_without_the_filter() {
    let attachment = attachment(IstioVersion::V1_30);
    let removed = patches(&attachment, "HTTP_FILTER", "REMOVE");
    let contexts: Vec<_> = removed
        .iter()
        .map(|(matched, _)| &matched["context"])
        .collect();
    assert_eq!(contexts, ["GATEWAY"]);
}

#[test]
fn the_entry_is_named_as_that_istio_names_it() {
    let old = "extensions.istio.io/wasmplugin/istio-system.lazymesh";
    let new =
        "extensions.istio.io/trafficextension/istio-system.lazymesh~istio-translated-wasmplugin";
    let names = IstioVersion::ALL.map(|istio| attachment(istio).plugin_entry());
    assert_eq!(names, [old, old, new, new, new]);
}

#[test]
fn the_header_names_the_cluster_and_stays_in_the_sidecar() {
    let route = cluster_header_route();
    assert_eq!(route["route"]["cluster_header"], CLUSTER_HEADER);
    assert_eq!(route["request_headers_to_remove"], json!([CLUSTER_HEADER]));
    assert_eq!(direct_cluster()["name"], DIRECT_CLUSTER);
}

#[test]
fn there_is_an_anchor_for_every_http_port() {
    let mut attachment = attachment(IstioVersion::V1_30);
    attachment.http_ports = [9080, 80].into();
    let anchor = of_kind(&attachment, "Service").unwrap();
    assert_eq!(anchor["metadata"]["name"], attachment.anchor_name());
    assert_eq!(
        anchor["spec"],
        json!({ "ports": [
            { "name": "http-80", "port": 80, "protocol": "TCP" },
            { "name": "http-9080", "port": 9080, "protocol": "TCP" },
        ] })
    );

    attachment.http_ports.clear();
    assert_eq!(of_kind(&attachment, "Service"), None);
}

#[test]
fn a_digest_is_said_only_if_it_is_given() {
    let mut attachment = attachment(IstioVersion::V1_30);
    let sha256 = |attachment: &Attachment| {
        of_kind(attachment, "WasmPlugin").unwrap()["spec"]
            .get("sha256")
            .cloned()
    };
    assert_eq!(sha256(&attachment), None);
    attachment.sha256 = Some("00".repeat(32));
    assert_eq!(sha256(&attachment), Some(json!("00".repeat(32))));
}
