//! Follows ExternalNames to what they stand for.

use crate::inventory::{Form, Inventory, MeshService};

/// Longest chain of ExternalNames that is followed. Kubernetes answers NXDOMAIN to a loop.
const MAX_ALIASES: usize = 16;

/// The service behind an ExternalName, or the service itself. Istio gives an ExternalName no cluster: its names
/// become further names of the service it stands for, if that is one of the mesh.
pub(crate) fn concrete<'a>(
    inventory: &'a Inventory,
    service: &'a MeshService,
    client: &str,
) -> Option<&'a MeshService> {
    let mut service = service;
    for _ in 0..MAX_ALIASES {
        let Form::ExternalName(host) = &service.form else {
            return Some(service);
        };
        service = inventory.services.visible(host, client)?;
    }
    None
}
