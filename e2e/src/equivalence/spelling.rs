//! Spells every host of a mesh as applications do, and dials it on every port.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::Value;

use super::call::{Call, Speaks};
use super::mesh::Mesh;

/// Where a name leads that nothing in the mesh has an address for.
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

/// A host that nothing in the mesh speaks of.
const UNKNOWN: &str = "nothing.example";

/// Requests and connections by every spelling of every host on every port, and to the address of another host.
pub(super) fn calls(mesh: &Mesh) -> Vec<Call> {
    let (ports, hosts) = (ports(&mesh.objects), hosts(mesh));
    let owners = owners(mesh);
    let others = hosts.values().cycle().skip(1);
    let mut calls = BTreeSet::new();
    for ((host, address), other) in hosts.iter().zip(others) {
        let names = spellings(host, mesh);
        for port in &ports {
            let (at, elsewhere) = (
                SocketAddr::new(*address, *port),
                SocketAddr::new(*other, *port),
            );
            calls.extend(by_address(at, &owners));
            let first = names.first().filter(|_| at != elsewhere);
            calls.extend(first.into_iter().flat_map(|name| {
                let speaks = [Speaks::Http, Speaks::Tls];
                speaks.map(|speaks| Call::new(speaks, name, elsewhere).elsewhere())
            }));
            for name in &names {
                calls.insert(Call::new(Speaks::Http, name, at));
                calls.insert(Call::new(Speaks::Tls, name, at));
            }
        }
    }
    for (address, owner) in &owners {
        for port in &ports {
            let at = SocketAddr::new(*address, *port);
            calls.extend(by_address(at, &owners));
            let names = owner.hosts.iter().filter(|host| !host.contains('*'));
            calls.extend(names.map(|host| Call::new(Speaks::Http, host, at)));
        }
    }
    let of_pods = target_ports(&mesh.objects);
    for address in endpoints(&mesh.objects) {
        for port in ports.union(&of_pods) {
            calls.extend(by_address(SocketAddr::new(address, *port), &owners));
        }
    }
    let unknown = ports.iter().map(|port| SocketAddr::new(OUTSIDE, *port));
    calls.extend(unknown.map(|at| Call::new(Speaks::Http, UNKNOWN, at)));
    let conditional: Vec<_> = calls
        .iter()
        .flat_map(|call| conditions(mesh, call))
        .collect();
    calls.into_iter().chain(conditional).collect()
}

/// A connection to an address, and a request for it. Of several hosts, and of several addresses of one, istiod chooses by chance who has such
/// a request.
fn by_address(at: SocketAddr, owners: &Owners) -> impl Iterator<Item = Call> {
    let is_clear = owners
        .get(&at.ip())
        .is_none_or(|owner| owner.hosts.len() < 2 && !owner.has_others);
    let request = is_clear.then(|| Call::new(Speaks::Http, &at.ip().to_string(), at));
    [Call::new(Speaks::Tcp, "", at)].into_iter().chain(request)
}

/// Who has each address.
type Owners = BTreeMap<IpAddr, Owner>;

#[derive(Default)]
struct Owner {
    hosts: BTreeSet<String>,
    /// Whether one of them has other addresses, too.
    has_others: bool,
}

fn owners(mesh: &Mesh) -> Owners {
    let mut owners = Owners::new();
    for object in &mesh.objects {
        for address in addresses(object) {
            let owner = owners.entry(address).or_default();
            owner
                .hosts
                .extend(named(object, &mesh.settings.cluster_domain));
            owner.has_others |= addresses(object).count() > 1;
        }
    }
    owners
}

fn ports(objects: &[Value]) -> BTreeSet<u16> {
    let number = |port: &Value| {
        port.get("port")
            .or(port.get("number"))?
            .as_u64()?
            .try_into()
            .ok()
    };
    let of_spec = |object: &Value| {
        object["spec"]["ports"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let kinds = ["Service", "ServiceEntry"];
    let exposed = objects
        .iter()
        .filter(|object| kinds.iter().any(|kind| object["kind"] == *kind));
    exposed
        .flat_map(of_spec)
        .filter_map(|port| number(&port))
        .chain([80])
        .collect()
}

/// The ports on which pods listen.
fn target_ports(objects: &[Value]) -> BTreeSet<u16> {
    let slices = objects
        .iter()
        .filter(|object| object["kind"] == "EndpointSlice");
    let ports = slices.flat_map(|slice| slice["ports"].as_array().into_iter().flatten());
    ports
        .filter_map(|port| port["port"].as_u64()?.try_into().ok())
        .collect()
}

/// The addresses of all endpoints.
fn endpoints(objects: &[Value]) -> BTreeSet<IpAddr> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let endpoints = objects.iter().flat_map(|object| list(&object["endpoints"]));
    let addresses = endpoints.flat_map(|endpoint| list(&endpoint["addresses"]));
    addresses
        .filter_map(|address| address.as_str()?.parse().ok())
        .collect()
}

/// Every host that something in the mesh speaks of, with the address that its name leads to.
fn hosts(mesh: &Mesh) -> BTreeMap<String, IpAddr> {
    let mut hosts = BTreeMap::new();
    for object in &mesh.objects {
        let named = named(object, &mesh.settings.cluster_domain);
        let address = address(object);
        for host in named {
            let known = hosts.entry(host).or_insert(OUTSIDE);
            *known = address.unwrap_or(*known);
        }
    }
    // What the resolver completes leads where the complete name does.
    let full = hosts.clone();
    for (host, address) in &mut hosts {
        let domain = &mesh.settings.cluster_domain;
        let completed = [format!("{host}.{domain}"), format!("{host}.svc.{domain}")];
        *address = completed
            .iter()
            .find_map(|name| full.get(name))
            .copied()
            .unwrap_or(*address);
    }
    hosts
}

fn named(object: &Value, domain: &str) -> Vec<String> {
    let namespace = object["metadata"]["namespace"]
        .as_str()
        .unwrap_or("default");
    let strings = |value: &Value| {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|host| host.as_str().map(str::to_lowercase))
            .collect::<Vec<_>>()
    };
    match object["kind"].as_str() {
        Some("Service") => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            vec![format!("{name}.{namespace}.svc.{domain}")]
        }
        Some("ServiceEntry") => strings(&object["spec"]["hosts"]),
        Some("VirtualService") => strings(&object["spec"]["hosts"])
            .into_iter()
            .map(|host| match host.contains('.') || host == "*" {
                true => host,
                false => format!("{host}.{namespace}.svc.{domain}"),
            })
            .collect(),
        _ => Vec::new(),
    }
}

fn address(object: &Value) -> Option<IpAddr> {
    addresses(object).next()
}

fn addresses(object: &Value) -> impl Iterator<Item = IpAddr> {
    let spec = &object["spec"];
    let written = spec["addresses"].as_array().into_iter().flatten();
    let texts = spec["clusterIP"].as_str().into_iter();
    let texts = texts.chain(written.filter_map(Value::as_str));
    texts.filter_map(|text| text.parse().ok())
}

/// A host as it is, as the caller's resolver completes it, and in capitals; names that a wildcard stands for.
fn spellings(host: &str, mesh: &Mesh) -> Vec<String> {
    if let Some(suffix) = host.strip_prefix('*') {
        return ["one", "two.one"]
            .map(|label| format!("{label}{suffix}"))
            .into();
    }
    let mut names = vec![host.to_owned(), host.to_uppercase()];
    if !host.ends_with('.') {
        names.push(format!("{host}."));
    }
    let domain = format!(".svc.{}", mesh.settings.cluster_domain);
    let short = host
        .strip_suffix(&domain)
        .and_then(|short| short.rsplit_once('.'));
    if let Some((name, namespace)) = short {
        names.extend([
            format!("{name}.{namespace}"),
            format!("{name}.{namespace}.svc"),
        ]);
        if namespace == mesh.caller.namespace {
            names.push(name.to_owned());
        }
    }
    names
}

/// A request again, so that it meets the conditions that VirtualServices make.
fn conditions<'a>(mesh: &'a Mesh, call: &'a Call) -> impl Iterator<Item = Call> + 'a {
    let own = mesh.objects.iter().filter(|object| {
        call.speaks == Speaks::Http
            && named(object, &mesh.settings.cluster_domain).contains(&call.host)
    });
    let routes = own.flat_map(|object| object["spec"]["http"].as_array().into_iter().flatten());
    let conditions = routes.flat_map(|route| route["match"].as_array().into_iter().flatten());
    conditions.filter_map(|condition| meeting(call, condition))
}

fn meeting(call: &Call, condition: &Value) -> Option<Call> {
    let mut call = call.clone();
    let text = |value: &Value| {
        let exact = value["exact"].as_str().or(value["prefix"].as_str());
        exact.map(str::to_owned)
    };
    call.path = text(&condition["uri"]).unwrap_or(call.path);
    for (name, value) in condition["headers"].as_object().into_iter().flatten() {
        call.headers.insert(name.clone(), text(value)?);
    }
    if let Some(method) = text(&condition["method"]) {
        call.headers.insert(":method".to_owned(), method);
    }
    (call.path != "/" || !call.headers.is_empty()).then_some(call)
}
