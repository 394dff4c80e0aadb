//! Lists the kinds that lazymesh reads, and where the Kubernetes API serves them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One line a kind: its name, group, version, plural, scope, and whether its CustomResourceDefinition may be absent.
/// The struct of a kind has its name; whatever does something for every kind hands its own macro to this one.
macro_rules! kinds {
    ($then:ident) => {
        $then! {
            Namespace "" "v1" "namespaces" Cluster Required;
            Service "" "v1" "services" Namespaced Required;
            EndpointSlice "discovery.k8s.io" "v1" "endpointslices" Namespaced Required;
            Pod "" "v1" "pods" Namespaced Required;
            ServiceEntry "networking.istio.io" "v1" "serviceentries" Namespaced Required;
            VirtualService "networking.istio.io" "v1" "virtualservices" Namespaced Required;
            DestinationRule "networking.istio.io" "v1" "destinationrules" Namespaced Required;
            Sidecar "networking.istio.io" "v1" "sidecars" Namespaced Required;
            PeerAuthentication "security.istio.io" "v1" "peerauthentications" Namespaced Required;
            EnvoyFilter "networking.istio.io" "v1alpha3" "envoyfilters" Namespaced Optional;
            WasmPlugin "extensions.istio.io" "v1alpha1" "wasmplugins" Namespaced Optional;
            RequestAuthentication "security.istio.io" "v1" "requestauthentications" Namespaced Optional;
            HTTPRoute "gateway.networking.k8s.io" "v1" "httproutes" Namespaced Optional;
            GRPCRoute "gateway.networking.k8s.io" "v1" "grpcroutes" Namespaced Optional;
        }
    };
}
pub(crate) use kinds;

macro_rules! define {
    ($($kind:ident $group:literal $version:literal $plural:literal $scope:ident $presence:ident;)*) => {
        /// The kinds that lazymesh reads.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[allow(missing_docs, reason = "each is named after the kind it is")]
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            /// All of them, in the order in which they are read.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Where the Kubernetes API serves it.
            #[must_use]
            pub const fn api(self) -> KindApi {
                match self {
                    $(Self::$kind => KindApi {
                        group: $group,
                        version: $version,
                        kind: stringify!($kind),
                        plural: $plural,
                        scope: Scope::$scope,
                        presence: Presence::$presence,
                    },)*
                }
            }
        }
    };
}
kinds!(define);

/// Where the Kubernetes API serves a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindApi {
    /// API group; empty for Kubernetes' own core.
    pub group: &'static str,
    /// The version that is read.
    pub version: &'static str,
    /// As it stands in manifests.
    pub kind: &'static str,
    /// As it stands in URLs and RBAC rules.
    pub plural: &'static str,
    /// Whether its objects have a namespace.
    pub scope: Scope,
    /// Whether every cluster serves it.
    pub presence: Presence,
}

/// Whether the objects of a kind have a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// They have none.
    Cluster,
    /// They have one.
    Namespaced,
}

/// Whether every cluster serves a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Without it the mesh is not known.
    Required,
    /// Where its CustomResourceDefinition is absent, it has no objects.
    Optional,
}

impl Kind {
    pub(super) fn of(group: &str, kind: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|known| known.api().group == group && known.api().kind == kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.api().kind)
    }
}
