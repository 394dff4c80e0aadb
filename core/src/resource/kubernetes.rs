//! Reads Kubernetes' own objects.

use serde::{Deserialize, Deserializer};

use super::meta::{Metadata, or_default};

/// `v1 Namespace`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Namespace {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
}

/// `v1 Service`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Service {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it is.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: ServiceSpec,
}

/// What a [`Service`] is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub kind: String,
    /// An address, `None` for a headless service, or nothing.
    #[serde(rename = "clusterIP", deserialize_with = "or_default")]
    pub cluster_ip: String,
    /// All addresses of a dual-stack service.
    #[serde(rename = "clusterIPs", deserialize_with = "or_default")]
    pub cluster_ips: Vec<String>,
    /// Labels of its pods; none for a service whose endpoints something else makes.
    #[serde(deserialize_with = "or_default")]
    pub selector: std::collections::BTreeMap<String, String>,
    /// The DNS name that an `ExternalName` stands for.
    #[serde(deserialize_with = "or_default")]
    pub external_name: String,
    /// Its ports.
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<ServicePort>,
}

/// One port of a [`Service`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServicePort {
    /// Name; the EndpointSlice's port of the same name is its target.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Number.
    pub port: u16,
    /// `TCP` (also when empty), `UDP` or `SCTP`.
    #[serde(deserialize_with = "or_default")]
    pub protocol: String,
    /// What is spoken on it; it counts before the name.
    pub app_protocol: Option<String>,
}

/// `discovery.k8s.io/v1 EndpointSlice`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct EndpointSlice {
    /// Its name, and the label that names its service.
    #[serde(default)]
    pub metadata: Metadata,
    /// The endpoints.
    #[serde(default, deserialize_with = "or_default")]
    pub endpoints: Vec<Endpoint>,
    /// The ports that all of them have.
    #[serde(default, deserialize_with = "or_default")]
    pub ports: Vec<EndpointPort>,
}

/// One endpoint of an [`EndpointSlice`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Endpoint {
    /// IP addresses.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<String>,
    /// Its state.
    #[serde(deserialize_with = "or_default")]
    pub conditions: EndpointConditions,
    /// What stands behind it.
    pub target_ref: Option<EndpointTarget>,
}

/// State of an [`Endpoint`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct EndpointConditions {
    /// Whether it takes traffic; Kubernetes takes unknown for yes.
    pub ready: Option<bool>,
}

/// What stands behind an [`Endpoint`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EndpointTarget {
    /// `Pod`, or something else.
    #[serde(deserialize_with = "or_default")]
    pub kind: String,
    /// Name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
}

/// One port of an [`EndpointSlice`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EndpointPort {
    /// Name of the service's port.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Number on the endpoint; absent for all of them.
    pub port: Option<u16>,
}

/// `v1 Pod`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Pod {
    /// Its name and labels.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it runs as.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: PodSpec,
    /// Where it runs.
    #[serde(default, deserialize_with = "or_default")]
    pub status: PodStatus,
    /// Whether its sidecar belongs to a control plane that reads no Sidecar of ours: it is an endpoint, but of no
    /// workload. No manifest says it.
    #[serde(skip)]
    pub foreign: bool,
}

/// What a [`Pod`] runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// Service account; empty in a manifest that leaves it to Kubernetes.
    #[serde(deserialize_with = "or_default")]
    pub service_account_name: String,
    /// Whether it shares its node's address.
    #[serde(deserialize_with = "or_default")]
    pub host_network: bool,
    /// What runs in it.
    #[serde(deserialize_with = "read_containers")]
    pub containers: Containers,
    /// What runs before these, and besides them where Kubernetes has sidecars of its own.
    #[serde(deserialize_with = "read_containers")]
    pub init_containers: Containers,
}

/// What is read of the containers of a [`Pod`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Containers {
    /// Whether there are any.
    pub any: bool,
    /// Istio's sidecar, if one of them is that.
    pub proxy: Option<Proxy>,
}

/// Istio's sidecar in a [`Pod`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Whether it answers the pod's questions to DNS. However a user says that it shall, in the mesh's configuration, by
    /// an annotation or with a ProxyConfig, the injector makes it this variable.
    pub captures_dns: bool,
    /// Whether it is an agent only, with no Envoy: the application speaks xDS itself.
    pub is_proxyless: bool,
    /// Whether it has its own service as Envoy's local cluster, for load balancing that is aware of zones.
    pub discovers_itself: bool,
    /// Whether it is beside no application: a gateway, or a waypoint.
    pub is_gateway: bool,
    /// Whether its image says that it is older than the filter is for.
    pub is_old: bool,
}

/// Where a [`Pod`] runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(deserialize_with = "or_default")]
    pub phase: String,
    /// First address.
    #[serde(rename = "podIP", deserialize_with = "or_default")]
    pub pod_ip: String,
    /// All addresses.
    #[serde(rename = "podIPs", deserialize_with = "or_default")]
    pub pod_ips: Vec<PodIp>,
}

/// One address of a [`Pod`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PodIp {
    /// The address.
    #[serde(default)]
    pub ip: String,
}

/// The oldest minor release of Istio 1 whose sidecars the filter is for.
pub const OLDEST_SIDECAR: u32 = 28;

/// Name of Istio's sidecar in every injection template.
const PROXY: &str = "istio-proxy";
/// What pilot-agent is started as, behind `proxy`, where it is no sidecar.
const GATEWAYS: [&str; 2] = ["router", "waypoint"];

const DNS_CAPTURE: &str = "ISTIO_META_DNS_CAPTURE";
const GENERATOR: &str = "ISTIO_META_GENERATOR";
const SELF_DISCOVERY: &str = "ISTIO_META_ENABLE_SELF_DISCOVERY";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    #[serde(deserialize_with = "or_default")]
    image: String,
    #[serde(deserialize_with = "or_default")]
    args: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    env: Vec<Variable>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Variable {
    name: String,
    #[serde(deserialize_with = "or_default")]
    value: String,
}

fn read_containers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Containers, D::Error> {
    let containers = Option::<Vec<Container>>::deserialize(deserializer)?.unwrap_or_default();
    let proxy = containers.iter().find(|container| container.name == PROXY);
    Ok(Containers {
        any: !containers.is_empty(),
        proxy: proxy.map(read_proxy),
    })
}

fn read_proxy(proxy: &Container) -> Proxy {
    let says = |name: &str, means: fn(&str) -> bool| {
        let mut variables = proxy.env.iter();
        variables.any(|variable| variable.name == name && means(&variable.value))
    };
    Proxy {
        captures_dns: says(DNS_CAPTURE, is_true),
        is_proxyless: says(GENERATOR, |value| value == "grpc"),
        discovers_itself: says(SELF_DISCOVERY, is_true),
        is_gateway: (proxy.args.get(1)).is_some_and(|role| GATEWAYS.contains(&role.as_str())),
        is_old: minor_release(&proxy.image).is_some_and(|minor| minor < OLDEST_SIDECAR),
    }
}

/// The minor release of Istio 1 that an image's tag says; none for a digest, and for tags of one's own.
fn minor_release(image: &str) -> Option<u32> {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let (_, tag) = name
        .rsplit_once('/')
        .unwrap_or(("", name))
        .1
        .split_once(':')?;
    let minor = tag.strip_prefix("1.")?.split(['.', '-']).next()?;
    minor.parse().ok()
}

/// As Go's `strconv.ParseBool`, by which pilot-agent reads variables.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_say_the_release() {
        let check = |image: &str, expect: Option<u32>| {
            assert_eq!(minor_release(image), expect, "{image}");
        };
        check("docker.io/istio/proxyv2:1.27.3-distroless", Some(27));
        check("registry.test:5000/istio/proxyv2:1.31-dev", Some(31));
        check("istio/proxyv2:1.9@sha256:00", Some(9));
        check("registry.test:5000/istio/proxyv2", None);
        check("istio/proxyv2@sha256:00", None);
        check("istio/proxyv2:ours", None);
        check("istio/proxyv2:2.1", None);
        check("auto", None);
        check("", None);
    }
}
