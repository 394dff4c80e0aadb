//! The services of the mesh: those that are called have real pods behind them, the others only addresses.

use std::{net::Ipv4Addr, ops::Range};

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use serde_json::{Value, json};

use super::Options;
use crate::lab::{HTTP, Lab, Pod, PodSpec, reference};

/// kube-apiserver takes so many at a time.
const AT_ONCE: usize = 16;

/// Where endpoints are that nobody calls: outside the lab's pods.
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 128, 0, 0);

/// Label by which kube-proxy leaves a Service alone: what nobody calls needs no rules.
const WITHOUT_PROXY: &str = "service.kubernetes.io/service-proxy-name";

pub(super) struct Services<'a> {
    lab: &'a Lab,
    namespace: &'a str,
    /// How many there are now.
    count: usize,
    /// How many of them, the first, are called.
    called: usize,
    endpoints: usize,
    /// Every one is an endpoint of every service that is called.
    backends: Vec<Pod>,
}

impl<'a> Services<'a> {
    /// The namespace and the pods behind the services, which come later.
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
        Ok(Self {
            lab,
            namespace,
            count: 0,
            called: options.called(),
            endpoints: options.endpoints,
            backends: try_join_all(backends).await?,
        })
    }

    /// Adds services until there are so many.
    pub(super) async fn grow(&mut self, count: usize) -> Result<()> {
        let new = self.count..count;
        self.apply(new, |index| [self.service(index), self.slice(index, 0)])
            .await?;
        self.count = count;
        Ok(())
    }

    /// Takes an endpoint from a service.
    pub(super) async fn change(&self, index: usize) -> Result<()> {
        self.apply(index..index + 1, |index| [self.slice(index, 1)])
            .await
    }

    async fn apply<const N: usize>(
        &self,
        services: Range<usize>,
        objects: impl Fn(usize) -> [Value; N],
    ) -> Result<()> {
        stream::iter(services.flat_map(objects))
            .map(|object| async move { self.lab.cluster().apply_object(&object).await })
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |_| Ok(()))
            .await
    }

    /// The host of a service.
    pub(super) fn host(&self, index: usize) -> String {
        format!("{}.{}.svc.cluster.local", name(index), self.namespace)
    }

    fn is_called(&self, index: usize) -> bool {
        index < self.called
    }

    fn service(&self, index: usize) -> Value {
        let mut service = reference("v1", "Service", self.namespace, &name(index));
        if !self.is_called(index) {
            service["metadata"]["labels"] = json!({ WITHOUT_PROXY: "none" });
        }
        service["spec"] = json!({ "ports": [{ "name": "http", "port": 80, "targetPort": HTTP }] });
        service
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
        slice["ports"] = json!([{ "name": "http", "port": HTTP }]);
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
            None => {
                let offset = (index * self.endpoints + number) as u32;
                let address = Ipv4Addr::from(u32::from(NOBODY) + offset);
                endpoint["addresses"] = json!([address]);
            }
        }
        endpoint
    }
}

fn name(index: usize) -> String {
    format!("service-{index}")
}
