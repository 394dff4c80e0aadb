use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use anyhow::{Context, Result, ensure};
use lazymesh_envoyfilters::ALS_PORT;
use serde_json::json;

use super::{
    COLLECTOR_SERVICE, CollectorKind, Mesh, MeshBuilder, NAMESPACE, SYSTEM_NAMESPACE, WORKLOAD,
    attachment, plan::Plan,
};
use crate::{
    backend::{Application, Backend, Transport},
    certificates::{CertificateAuthority, spiffe},
    client::{Client, Dialer},
    collector::{Collector, Options},
    fake_collector::FakeCollector,
    manifests,
    network::Block,
    service::{Exposure, Service},
    simulation::envoy::{Bootstrap, Envoy, files, files::Files},
    simulation::istiod::{Istiod, Scope},
    state::State,
    wait,
};

impl MeshBuilder {
    /// Starts the mesh, and waits until the sidecar is live.
    ///
    /// # Errors
    /// When a part does not start: the message says which, and has the end of its log; the directory stays.
    pub async fn start(self) -> Result<Mesh> {
        let state = State::new()?;
        let directory = state.root().to_owned();
        let mesh = self.start_in(state).await;
        mesh.inspect(|mesh| mesh.state.tidy())
            .with_context(|| format!("state: {}", directory.display()))
    }

    async fn start_in(self, state: State) -> Result<Mesh> {
        let block = Block::claim()?;
        let plan = Plan::new(self, block);
        let authority = CertificateAuthority::new()?;
        let backends = plan.start_backends(&authority).await?;

        manifests::write(&state.manifests(), &plan.manifests())?;
        let (collector, fake_collector) = plan.start_collector(&state).await?;
        plan.first_sidecar(&state).await?;

        let files = Files::new(state.envoy());
        files.write_secrets(&authority, &authority.issue(&spiffe(NAMESPACE, WORKLOAD))?)?;
        let attached = attachment::attach(&plan, &files)?;
        let (filters, patches) = attached.unzip();
        let istiod = Istiod::start(plan.istiod(&state, patches))?;
        let (http_filter, tcp_filter) = filters.unzip();
        let bootstrap = Bootstrap {
            files: files.clone(),
            address: plan.envoy(),
            namespace: NAMESPACE.to_owned(),
            workload: WORKLOAD.to_owned(),
            http_ports: plan.http_ports(),
            http_filter,
            tcp_filter,
            access_log: plan.builder.access_log,
            als: plan.als(),
        };
        files::write(&files.bootstrap(), &bootstrap.render())?;
        let envoy = Envoy::start(files, plan.builder.concurrency).await?;

        let names = plan.names();
        Ok(Mesh {
            client: Client::new(Dialer::new(envoy.outbound(), names.clone())),
            names,
            istiod,
            envoy,
            collector,
            fake_collector,
            backends,
            services: plan.services,
            externals: plan.builder.externals,
            filter: plan.builder.filter,
            failed: false,
            state,
            _block: plan.block,
        })
    }
}

impl Plan {
    async fn start_backends(
        &self,
        authority: &CertificateAuthority,
    ) -> Result<BTreeMap<String, Backend>> {
        let mut backends = BTreeMap::new();
        for (name, placed) in &self.services {
            let addresses = [placed.virtual_address(), placed.endpoint()];
            let transport = transport(authority, &placed.service)?;
            backends.insert(
                name.clone(),
                Backend::start(
                    name,
                    &addresses,
                    transport,
                    Application::new(placed.service.is_http()),
                )
                .await?,
            );
        }
        for (host, (external, address)) in &self.externals {
            let address = SocketAddr::from((*address, external.port));
            backends.insert(
                host.clone(),
                Backend::start(
                    host,
                    &[address],
                    Transport::Plain,
                    Application::new(external.http),
                )
                .await?,
            );
        }
        Ok(backends)
    }

    async fn start_collector(
        &self,
        state: &State,
    ) -> Result<(Option<Collector>, Option<FakeCollector>)> {
        let options = Options {
            address: self.collector(),
            manifests: state.manifests(),
            sidecars: state.sidecars(),
            store: state.store(),
            log: state.root().join("collector.log"),
            always: self.always(),
            flags: self.flags(),
            cgroup: None,
        };
        match &self.builder.collector {
            CollectorKind::Real => Ok((Some(Collector::start(options).await?), None)),
            CollectorKind::Fake(behaviour) => {
                let fake = FakeCollector::start(options.ingest(), behaviour.clone()).await?;
                Ok((None, Some(fake)))
            }
            CollectorKind::Down => Ok((None, None)),
        }
    }

    fn flags(&self) -> Vec<String> {
        let als = self.builder.als;
        let als = als.map(|_| format!("--als={}:{ALS_PORT}", self.collector()));
        let flags = self.builder.collector_flags.iter().cloned();
        flags.chain(als).collect()
    }

    /// Sees to it that the workload is scoped before its sidecar starts, as it is in a mesh that lazymesh manages:
    /// the real collector does it; for the others it is what an earlier one has left behind.
    async fn first_sidecar(&self, state: &State) -> Result<()> {
        if !matches!(self.builder.collector, CollectorKind::Real) {
            let collector = format!(
                "{SYSTEM_NAMESPACE}/{COLLECTOR_SERVICE}.{SYSTEM_NAMESPACE}.svc.cluster.local"
            );
            let hosts: BTreeSet<String> = self.always().into_iter().chain([collector]).collect();
            let sidecar = json!({
                "apiVersion": "networking.istio.io/v1",
                "kind": "Sidecar",
                "metadata": { "name": "lazymesh-default", "namespace": NAMESPACE },
                "spec": { "egress": [{ "hosts": hosts }] },
            });
            let folder = state.sidecars().join(NAMESPACE);
            std::fs::create_dir_all(&folder)?;
            return files::write(&folder.join("lazymesh-default.yaml"), &sidecar);
        }
        wait::until("the namespace's Sidecar", async || {
            let scope = Scope::read(&state.sidecars(), NAMESPACE, WORKLOAD)?;
            ensure!(
                scope != Scope::Mesh,
                "no Sidecar for {NAMESPACE}/{WORKLOAD}"
            );
            Ok(())
        })
        .await
    }
}

fn transport(authority: &CertificateAuthority, service: &Service) -> Result<Transport> {
    let account = if service.impostor {
        "impostor"
    } else {
        &service.name
    };
    let tls = authority.server(&authority.issue(&spiffe(&service.namespace, account))?)?;
    Ok(match service.exposure {
        Exposure::Strict => Transport::Strict(tls),
        Exposure::Permissive => Transport::Permissive(tls),
        Exposure::NoSidecar => Transport::Plain,
    })
}
