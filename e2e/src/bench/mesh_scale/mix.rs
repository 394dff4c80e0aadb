//! What the services of the mesh are like: those of real applications, over and over, in an order that mixes applications.

use std::collections::BTreeSet;

use anyhow::Result;

use super::spoken::Spoken;
use crate::bench::corpus::{self, Service};

/// Has no common divisor with the number of services in the corpus, so that each has its turn.
const STRIDE: usize = 100;
/// Ports that are moved are moved by so much: nobody has those.
const FAR: u16 = 20_000;

/// The services, in their order.
pub(super) struct Mix {
    services: Vec<Service>,
    /// Those that can be called by requests, and lazily.
    requests: Vec<usize>,
    /// Those that can be called by connections, and lazily.
    streams: Vec<usize>,
}

impl Mix {
    /// With the share in every scope that applications have for themselves, unless `one_mesh`: TCP on a number that only another
    /// application has for HTTP moves to one of its own.
    pub(super) fn of_corpus(one_mesh: bool) -> Result<Self> {
        let mut corpus = corpus::services()?;
        // Istio has nothing for UDP.
        for service in &mut corpus {
            service.ports.retain(|port| Spoken::on(port) != Spoken::Udp);
        }
        if !one_mesh {
            move_apart(&mut corpus)?;
        }
        let order = (0..corpus.len()).map(|index| index * STRIDE % corpus.len());
        let services: Vec<Service> = order.map(|index| corpus[index].clone().apart()).collect();
        let eager = corpus::in_every_scope(&services)?;
        let called = |is_wanted: fn(Spoken) -> bool| -> Vec<usize> {
            let services = services.iter().zip(&eager).enumerate();
            let called = services.filter(|(_, (service, is_eager))| {
                let first = service.ports.first().map(Spoken::on);
                !**is_eager && !service.headless && first.is_some_and(is_wanted)
            });
            called.map(|(index, _)| index).collect()
        };
        Ok(Self {
            requests: called(Spoken::takes_requests),
            streams: called(|spoken| spoken == Spoken::Tcp),
            services,
        })
    }

    /// A service that nobody calls.
    pub(super) fn any(&self, index: usize) -> &Service {
        &self.services[index % self.services.len()]
    }

    /// A service whose first port takes requests.
    pub(super) fn of_requests(&self, index: usize) -> &Service {
        &self.services[self.requests[index % self.requests.len()]]
    }

    /// A service whose first port takes connections.
    pub(super) fn of_streams(&self, index: usize) -> &Service {
        &self.services[self.streams[index % self.streams.len()]]
    }

    /// All numbers on which there may be HTTP.
    pub(super) fn numbers(&self) -> BTreeSet<u16> {
        let ports = self.services.iter().flat_map(|service| &service.ports);
        let ports = ports.filter(|port| Spoken::on(port).takes_requests());
        ports.map(|port| port.number).collect()
    }
}

/// Gives a service that is in every scope only since applications share a mesh other numbers for TCP.
fn move_apart(corpus: &mut [Service]) -> Result<()> {
    let alone = of_each_application(corpus)?;
    let mesh: Vec<Service> = corpus.iter().cloned().map(Service::apart).collect();
    let together = corpus::in_every_scope(&mesh)?;
    let shares = alone.into_iter().zip(together);
    for (service, (is_alone, is_together)) in corpus.iter_mut().zip(shares) {
        if is_together && !is_alone {
            let ports = service.ports.iter_mut();
            for port in ports.filter(|port| Spoken::on(port) == Spoken::Tcp) {
                port.number += FAR;
            }
        }
    }
    Ok(())
}

/// Whether each is in every scope where its application has the mesh for itself. An application's services stand together.
fn of_each_application(corpus: &[Service]) -> Result<Vec<bool>> {
    let applications = corpus.chunk_by(|one, next| one.application == next.application);
    let scopes = applications.map(corpus::in_every_scope);
    Ok(scopes.collect::<Result<Vec<_>>>()?.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_every_scope(services: &[Service]) -> usize {
        let scopes = corpus::in_every_scope(services).expect("a plan");
        scopes.into_iter().filter(|is_eager| *is_eager).count()
    }

    #[test]
    fn the_mix_has_the_share_that_applications_have_for_themselves() -> Result<()> {
        let corpus = corpus::services()?;
        let alone = of_each_application(&corpus)?;
        let alone = alone.into_iter().filter(|is_eager| *is_eager).count();
        let [mix, one_mesh] = [false, true].map(Mix::of_corpus);
        let (mix, one_mesh) = (mix?, one_mesh?);
        assert_eq!(in_every_scope(&mix.services), alone);
        assert!(in_every_scope(&one_mesh.services) > alone);
        assert_eq!(mix.services.len(), corpus.len());
        Ok(())
    }
}
