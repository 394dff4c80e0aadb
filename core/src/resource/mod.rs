//! Reads the objects that lazymesh needs, trimmed to the fields it needs.
//!
//! Everything else in them is ignored, so an object that uses a newer API than this crate knows is still read,
//! and ten thousand Pods do not carry their annotations and volumes into memory.

mod canary;
mod extension;
mod gateway;
mod istio;
mod kind;
mod kubernetes;
mod label_selector;
mod mesh;
mod meta;
mod mode;
mod object;
mod ttl;

pub use canary::{Canary, ENFORCE_PERCENT_LABEL};
pub use extension::{
    EnvoyFilter, EnvoyFilterSpec, JwtRule, RequestAuthentication, RequestAuthenticationSpec,
    WasmPlugin, WasmPluginSpec,
};
pub use gateway::{
    GRPCRoute, GatewayFilter, GatewayMatch, GatewayMirror, GatewayRouteSpec, GatewayRule,
    HTTPRoute, ObjectReference, PathMatch,
};
pub use istio::{
    AllocatedAddress, Delegate, Destination, DestinationRule, DestinationRuleSpec, HttpMirror,
    HttpRoute, MutualTls, Others, PeerAuthentication, PeerAuthenticationSpec, PortNumber,
    RouteMatch, ServiceEntry, ServiceEntryPort, ServiceEntrySpec, ServiceEntryStatus, Sidecar,
    SidecarSpecification, StreamRoute, StringMatch, Subset, TrafficPolicy, VirtualService,
    VirtualServiceSpec, WeightedDestination,
};
pub(crate) use kind::kinds;
pub use kind::{Kind, KindApi, Presence, Scope};
pub use kubernetes::{
    Containers, Endpoint, EndpointConditions, EndpointPort, EndpointSlice, EndpointTarget,
    Namespace, OLDEST_SIDECAR, Pod, PodIp, PodSpec, PodStatus, Proxy, Service, ServicePort,
    ServiceSpec,
};
pub use label_selector::{LabelSelector, LabelSelectorRequirement};
pub use mesh::{DefaultExportTo, Mesh};
pub use meta::{Annotations, Metadata, OwnerReference, Selector};
pub use mode::{MODE_LABEL, Mode, ModeError};
pub use object::{Object, ObjectError, ObjectKey};
pub use ttl::{TTL_LABEL, Ttl, TtlError};
