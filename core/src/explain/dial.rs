//! Dials as an application would: a name is looked up, and the port is the one that was said, or the one that there is.

use std::net::{IpAddr, SocketAddr};

use lazymesh_protocol::Protocol;

use super::Call;
use crate::inventory::{Form, Inventory, MeshService, Spoken, ToldBy};
use crate::names::{ClusterId, Host};
use crate::resolve::{self, Question, Target, resolve};

/// What a sidecar would ask.
pub(super) fn question(inventory: &Inventory, call: &Call) -> Question {
    let mut question = Question {
        source: call.source.clone(),
        cluster: ClusterId::default(),
        service_account: None,
        authority: Some(call.authority.clone()),
        destination: call.destination,
        protocol: call.protocol.unwrap_or(Protocol::Http),
    };
    if let (None, Host::Ip(ip)) = (call.destination, &call.authority.host) {
        question.destination = resolve::port(&question).map(|port| (*ip, port).into());
    }
    let behind = match resolve(inventory, &question) {
        Target::Service { service, .. } => {
            resolve::concrete(inventory, service, &call.source.namespace)
        }
        _ => None,
    };
    if let Some(service) = behind {
        complete(inventory, service, call, &mut question);
    }
    question
}

/// Adds what the service says about how it is called.
fn complete(inventory: &Inventory, service: &MeshService, call: &Call, question: &mut Question) {
    let is_said = call.authority.port.is_some() || call.destination.is_some();
    let usual = resolve::port(question);
    let mut ports = service.ports.iter();
    let port = (ports.find(|port| Some(port.number) == usual))
        .or_else(|| service.ports.first().filter(|_| !is_said));
    if call.protocol.is_none() {
        question.protocol = match port.map(|port| port.protocol) {
            Some(Spoken::Tcp | Spoken::Exclusive) => Protocol::Tcp,
            Some(Spoken::Tls) => Protocol::Tls,
            Some(Spoken::Http | Spoken::HttpProxy | Spoken::Detected) | None => Protocol::Http,
        };
    }
    let number = port.map(|port| port.number).or(usual);
    question.destination = question.destination.or_else(|| {
        let address = address(inventory, service)?;
        Some(SocketAddr::new(address, number?))
    });
    if question.protocol == Protocol::Tcp && question.destination.is_some() {
        // Nothing of such a connection tells a name.
        question.authority = None;
    }
}

/// What DNS says.
fn address(inventory: &Inventory, service: &MeshService) -> Option<IpAddr> {
    if service.form == Form::Headless {
        let mut slices = (inventory.endpoints).slices(service.namespace(), &service.name);
        return slices.find_map(|(_, slice)| {
            let mut addresses = slice.endpoints.iter().flat_map(|it| &it.addresses);
            addresses.next().copied()
        });
    }
    // Istio's own DNS alone knows what istiod allocates.
    let mut blocks = (service.addresses().iter()).filter(|_| service.told_by != ToldBy::Name);
    let single = blocks.find(|block| block.prefix_len() == block.max_prefix_len());
    single.map(ipnet::IpNet::addr)
}
