//! What a mesh is made of: services with one workload each, and hosts outside.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::{network::Block, simulation::names::NAMESPACE};

/// Port on which every workload listens, behind its service's own port.
pub const TARGET_PORT: u16 = 8080;

/// Who may speak to a workload, as Istio's PeerAuthentication calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Mesh mTLS only.
    Strict,
    /// Mesh mTLS or plain text.
    Permissive,
    /// A pod without a sidecar: plain text only.
    NoSidecar,
}

/// A Kubernetes Service with one ready endpoint.
#[derive(Clone, Debug)]
pub struct Service {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) port: u16,
    pub(crate) port_name: &'static str,
    pub(crate) exposure: Exposure,
    pub(crate) impostor: bool,
    pub(crate) known: bool,
}

impl Service {
    /// An HTTP service on port 9080 of namespace `shop`, behind STRICT mTLS.
    #[must_use]
    pub fn http(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: NAMESPACE.to_owned(),
            port: 9080,
            port_name: "http",
            exposure: Exposure::Strict,
            impostor: false,
            known: false,
        }
    }

    /// A gRPC service on port 9090; it answers the standard health checks.
    #[must_use]
    pub fn grpc(name: &str) -> Self {
        Self {
            port: 9090,
            port_name: "grpc",
            ..Self::http(name)
        }
    }

    /// A TCP service on port 5432, whose server greets first and then echoes.
    #[must_use]
    pub fn tcp(name: &str) -> Self {
        Self {
            port: 5432,
            port_name: "tcp",
            ..Self::http(name)
        }
    }

    /// Whether it is called by HTTP.
    #[must_use]
    pub fn is_http(&self) -> bool {
        self.port_name != "tcp"
    }

    /// The same service with another exposure.
    #[must_use]
    pub fn exposure(mut self, exposure: Exposure) -> Self {
        self.exposure = exposure;
        self
    }

    /// The same service in another namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// The same service, answered by somebody with a certificate of the mesh but another service account.
    #[must_use]
    pub fn impostor(mut self) -> Self {
        self.impostor = true;
        self
    }

    /// The same service, always visible to every workload.
    #[must_use]
    pub fn known(mut self) -> Self {
        self.known = true;
        self
    }

    /// Fully qualified name.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.name, self.namespace)
    }

    /// Entry of a Sidecar's `egress.hosts`.
    #[must_use]
    pub fn egress_host(&self) -> String {
        format!("{}/{}", self.namespace, self.host())
    }

    /// Istio's name of the service's cluster.
    #[must_use]
    pub fn cluster(&self) -> String {
        format!("outbound|{}||{}", self.port, self.host())
    }
}

/// A host outside the mesh that speaks plain text.
#[derive(Clone, Debug)]
pub struct External {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) http: bool,
}

impl External {
    /// Port 9080 of this host, the mesh's usual port of HTTP.
    #[must_use]
    pub fn http(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            port: 9080,
            http: true,
        }
    }

    /// Port 5432 of this host, as [`Service::tcp`].
    #[must_use]
    pub fn tcp(host: &str) -> Self {
        Self {
            port: 5432,
            http: false,
            ..Self::http(host)
        }
    }
}

/// A service with its addresses.
#[derive(Clone, Debug)]
pub struct Placed {
    /// What was asked for.
    pub service: Service,
    /// The virtual address that applications dial.
    pub cluster_ip: Ipv4Addr,
    /// Where the workload is.
    pub pod_ip: Ipv4Addr,
}

impl Placed {
    /// Gives the `index`th service its addresses.
    #[must_use]
    pub fn new(service: Service, index: u8, block: &Block) -> Self {
        Self {
            service,
            cluster_ip: block.address(10 + index),
            pod_ip: block.address(100 + index),
        }
    }

    /// Cluster IP and service port.
    #[must_use]
    pub fn virtual_address(&self) -> SocketAddr {
        SocketAddrV4::new(self.cluster_ip, self.service.port).into()
    }

    /// Pod IP and target port.
    #[must_use]
    pub fn endpoint(&self) -> SocketAddr {
        SocketAddrV4::new(self.pod_ip, TARGET_PORT).into()
    }
}
