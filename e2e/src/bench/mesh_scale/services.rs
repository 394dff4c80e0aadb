//! The services of the mesh: those that are called have real pods behind them, the others only addresses.

use std::{net::Ipv4Addr, ops::Range};

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use serde_json::{Value, json};

use super::{Options, mix::Mix, rules, spoken::Spoken};
use crate::{
    bench::corpus::{Port, Service},
    lab::{GREETING, GRPC, HTTP, Lab, Pod, PodSpec, reference},
};

/// kube-apiserver takes so many at a time.
const AT_ONCE: usize = 16;

/// Where endpoints are that nobody calls: outside the lab's pods.
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 0);

/// Label by which kube-proxy leaves a Service alone: what nobody calls needs no rules.
const WITHOUT_PROXY: &str = "service.kubernetes.io/service-proxy-name";

/// Where and how a service is called.
pub(super) struct Callee {
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether it takes requests; else it greets.
    pub(super) requests: bool,
}

pub(super) struct Services<'a> {
    lab: &'a Lab,
    namespace: &'a str,
    mix: Mix,
    /// How many there are now.
    count: usize,
    /// How many of them, the first, are called.
    called: usize,
    /// How many each workload calls.
    dependencies: usize,
    endpoints: usize,
    /// Every one is an endpoint of every service that is called.
    backends: Vec<Pod>,
}

impl<'a> Services<'a> {
    /// The namespace, the numbers of all ports and the pods behind the services, which come later.
    pub(super) async fn start(
        lab: &'a Lab,
        namespace: &'a str,
        options: &Options,
    ) -> Result<Services<'a>> {
        // The backends call nobody, so enforcing keeps them small.
        lab.namespace(namespace, &[("lazymesh.io/mode", "enforce")])
            .await?;
        let backends = (0..options.endpoints).map(|index| {
            let name = format!("backend-{index}");
            lab.pod(PodSpec::new(namespace, &name).service_account("backend"))
        });
        let services = Self {
            lab,
            namespace,
            mix: Mix::of_corpus(options.one_mesh)?,
            count: 0,
            called: options.called(),
            dependencies: options.dependencies,
            endpoints: options.endpoints,
            backends: try_join_all(backends).await?,
        };
        lab.cluster().apply_object(&services.numbers()).await?;
        Ok(services)
    }

    /// A service with all numbers that HTTP may be on: how many a mesh has does not grow with it.
    fn numbers(&self) -> Value {
        let numbers = self.mix.numbers().into_iter();
        let ports =
            numbers.map(|number| json!({ "name": format!("any-{number}"), "port": number }));
        let mut service = reference("v1", "Service", self.namespace, "numbers");
        service["metadata"]["labels"] = json!({ WITHOUT_PROXY: "none" });
        service["spec"] = json!({ "ports": ports.collect::<Vec<_>>() });
        service
    }

    /// Adds services until there are so many.
    pub(super) async fn grow(&mut self, count: usize) -> Result<()> {
        let new = self.count..count;
        self.apply(new, |index| {
            let mut objects = vec![self.service(index), self.slice(index, 0)];
            objects.extend(self.rules(index));
            objects
        })
        .await?;
        self.count = count;
        Ok(())
    }

    /// Takes an endpoint from a service.
    pub(super) async fn change(&self, index: usize) -> Result<()> {
        self.apply(index..index + 1, |index| vec![self.slice(index, 1)])
            .await
    }

    /// Services that change, evenly spread: the endpoints of a headless one are told by other means.
    pub(super) fn changing(&self, changes: usize) -> Vec<usize> {
        let places = (0..changes).map(|change| change * self.count / changes);
        let changing = places.map(|place| {
            let mut after = place..self.count;
            after.find(|index| !self.like(*index).headless)
        });
        changing.flatten().collect()
    }

    /// The address that a service of which nobody calls loses when it changes.
    pub(super) fn lost(&self, index: usize) -> Option<Ipv4Addr> {
        (!self.is_called(index)).then(|| self.address(index, 0))
    }

    async fn apply(
        &self,
        services: Range<usize>,
        objects: impl Fn(usize) -> Vec<Value>,
    ) -> Result<()> {
        stream::iter(services.flat_map(objects))
            .map(|object| async move { self.lab.cluster().apply_object(&object).await })
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |_| Ok(()))
            .await
    }

    /// How many clusters a sidecar has of them at least.
    pub(super) fn clusters(&self) -> usize {
        let services = (0..self.count).map(|index| self.like(index));
        services.map(|service| service.ports.len()).sum()
    }

    /// A service that is called, by its first port.
    pub(super) fn callee(&self, index: usize) -> Option<Callee> {
        let port = self.like(index).ports.first()?;
        Some(Callee {
            host: self.host(index),
            port: port.number,
            requests: Spoken::on(port).takes_requests(),
        })
    }

    fn host(&self, index: usize) -> String {
        format!("{}.{}.svc.cluster.local", name(index), self.namespace)
    }

    fn is_called(&self, index: usize) -> bool {
        index < self.called
    }

    /// The last of each workload's dependencies takes connections, the others requests.
    fn like(&self, index: usize) -> &Service {
        match self.is_called(index) {
            false => self.mix.any(index),
            true if (index + 1).is_multiple_of(self.dependencies) => self.mix.of_streams(index),
            true => self.mix.of_requests(index),
        }
    }

    fn service(&self, index: usize) -> Value {
        let like = self.like(index);
        let mut service = reference("v1", "Service", self.namespace, &name(index));
        if !self.is_called(index) {
            service["metadata"]["labels"] = json!({ WITHOUT_PROXY: "none" });
        }
        let mut ports = json!(like.ports);
        for (port, of) in ports.as_array_mut().into_iter().flatten().zip(&like.ports) {
            port["targetPort"] = json!(target(of));
        }
        service["spec"] = json!({ "ports": ports });
        if like.headless {
            service["spec"]["clusterIP"] = json!("None");
        }
        service
    }

    fn rules(&self, index: usize) -> Vec<Value> {
        if self.is_called(index) {
            return Vec::new();
        }
        let first = self.like(index).ports.first();
        let requests =
            first.is_some_and(|port| matches!(Spoken::on(port), Spoken::Http | Spoken::Grpc));
        rules::beside(self.namespace, index, &self.host(index), requests)
    }

    /// The endpoints of a service, without the first few.
    fn slice(&self, index: usize, without: usize) -> Value {
        let name = name(index);
        let kind = ("discovery.k8s.io/v1", "EndpointSlice");
        let mut slice = reference(kind.0, kind.1, self.namespace, &name);
        let mut labels = json!({
            "kubernetes.io/service-name": name,
            "endpointslice.kubernetes.io/managed-by": "lab",
        });
        if !self.is_called(index) {
            labels[WITHOUT_PROXY] = json!("none");
        }
        slice["metadata"]["labels"] = labels;
        slice["addressType"] = json!("IPv4");
        let ports = self.like(index).ports.iter();
        let ports = ports.map(|port| json!({ "name": port.name.as_deref().unwrap_or_default(), "port": target(port) }));
        slice["ports"] = ports.collect();
        let endpoints = (without..self.endpoints).map(|number| self.endpoint(index, number));
        slice["endpoints"] = endpoints.collect();
        slice
    }

    fn endpoint(&self, index: usize, number: usize) -> Value {
        let mut endpoint = json!({ "conditions": { "ready": true } });
        match self.backends.get(number).filter(|_| self.is_called(index)) {
            Some(backend) => {
                endpoint["addresses"] = json!([backend.address()]);
                endpoint["targetRef"] = json!({
                    "kind": "Pod",
                    "namespace": self.namespace,
                    "name": format!("backend-{number}"),
                });
            }
            None => endpoint["addresses"] = json!([self.address(index, number)]),
        }
        endpoint
    }

    /// Where there is nobody.
    fn address(&self, index: usize, number: usize) -> Ipv4Addr {
        let offset = (index * self.endpoints + number) as u32;
        Ipv4Addr::from(u32::from(NOBODY) + offset)
    }
}

/// Where the lab's application speaks what a port does.
fn target(port: &Port) -> u16 {
    match Spoken::on(port) {
        Spoken::Grpc => GRPC,
        Spoken::Tcp => GREETING,
        _ => HTTP,
    }
}

fn name(index: usize) -> String {
    format!("service-{index}")
}
