//! Whether a request can go at once: over Istio mTLS to where the application dialled.
//!
//! That skips everything that istiod would have configured, so nothing may have been configured: no route, no
//! traffic policy, no endpoint that takes plain text. And the answering side must be known beforehand, or any
//! workload of the mesh could answer.

use std::collections::BTreeSet;
use std::net::IpAddr;

use lazymesh_protocol::{Decision, MAX_SUBJECT_ALT_NAMES};

use super::ground::NotDirect;

use crate::inventory::{Endpoint, Form, Inventory, MeshService, Pod, Port};
use crate::names::ClusterId;
use crate::resolve::Question;

pub(super) fn decide(
    inventory: &Inventory,
    question: &Question,
    service: &MeshService,
    port: &Port,
) -> Result<Decision, NotDirect> {
    if !dials(inventory, question, service, port) {
        return Err(NotDirect::Elsewhere);
    }
    check_unshaped(inventory, question, service)?;
    Ok(Decision::Direct {
        subject_alt_names: identities(inventory, question, service, port)?,
        server_name: format!("outbound_.{}_._.{}", port.number, service.host()),
    })
}

/// Whether the application dialled an address of the service itself.
fn dials(inventory: &Inventory, question: &Question, service: &MeshService, port: &Port) -> bool {
    let Some(destination) = question.destination else {
        return false;
    };
    match service.form {
        Form::ClusterIp => {
            service.has_address(destination.ip()) && destination.port() == port.number
        }
        Form::Headless => {
            destination.port() == port.number
                && has_endpoint(inventory, question, service, destination.ip())
        }
        Form::ExternalName(_) | Form::Entry => false,
    }
}

fn has_endpoint(
    inventory: &Inventory,
    question: &Question,
    service: &MeshService,
    address: IpAddr,
) -> bool {
    let own = inventory.cluster_of(&question.cluster);
    let mut slices = inventory
        .endpoints
        .slices(service.namespace(), &service.name);
    slices.any(|(cluster, slice)| {
        let mut endpoints = slice.endpoints.iter();
        cluster == own && endpoints.any(|endpoint| endpoint.addresses.contains(&address))
    })
}

fn check_unshaped(
    inventory: &Inventory,
    question: &Question,
    service: &MeshService,
) -> Result<(), NotDirect> {
    let (client, host) = (&question.source.namespace, service.key());
    let root = &inventory.mesh().root_namespace;
    if inventory.routes.covering(host, client).next().is_some() {
        return Err(NotDirect::Routed);
    }
    let rules = &inventory.rules;
    match rules.shapes(host, client, service.namespace(), root) {
        true => Err(NotDirect::Shaped),
        false => Ok(()),
    }
}

/// SPIFFE identities of everything that may answer, where all of it speaks Istio mTLS.
fn identities(
    inventory: &Inventory,
    question: &Question,
    service: &MeshService,
    port: &Port,
) -> Result<Vec<String>, NotDirect> {
    let mesh = inventory.mesh();
    let own = inventory.cluster_of(&question.cluster);
    let mut ready = false;
    let mut accounts = BTreeSet::new();
    for (cluster, slice) in inventory
        .endpoints
        .slices(service.namespace(), &service.name)
    {
        // A Service's address leads to endpoints of its own cluster only; Istio balances over all.
        if cluster != own {
            return Err(NotDirect::OtherCluster);
        }
        let target_port = slice.target_port(&port.name);
        for endpoint in &slice.endpoints {
            let pod = pod_of(inventory, own, service, endpoint).ok_or(NotDirect::NoPod)?;
            if !pod.speaks_mtls
                || inventory
                    .peers
                    .disables(pod, target_port, &mesh.root_namespace)
            {
                return Err(NotDirect::PlainText);
            }
            accounts.insert((pod.namespace.as_str(), pod.service_account.as_str()));
            if accounts.len() > MAX_SUBJECT_ALT_NAMES {
                return Err(NotDirect::TooManyIdentities);
            }
            ready |= endpoint.ready;
        }
    }
    let trust = &mesh.trust_domain;
    let identity = |(namespace, account)| format!("spiffe://{trust}/ns/{namespace}/sa/{account}");
    match ready {
        true => Ok(accounts.into_iter().map(identity).collect()),
        false => Err(NotDirect::NotReady),
    }
}

fn pod_of<'a>(
    inventory: &'a Inventory,
    cluster: &ClusterId,
    service: &MeshService,
    endpoint: &Endpoint,
) -> Option<&'a Pod> {
    match &endpoint.pod {
        Some(name) => inventory.pods.named(cluster, service.namespace(), name),
        None => endpoint
            .addresses
            .first()
            .and_then(|&address| inventory.pods.at(cluster, address)),
    }
}
