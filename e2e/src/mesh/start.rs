use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    COLLECTOR_SERVICE, CollectorKind, Mesh, MeshBuilder, NAMESPACE, SYSTEM_NAMESPACE, WORKLOAD,
    attachment,
};
use crate::{
    backend::{Backend, Transport},
    certificates::{CertificateAuthority, spiffe},
    client::{Client, Dialer, Names},
    collector::{Collector, Options},
    envoy::{Bootstrap, Envoy, files, files::Files},
    fake_collector::FakeCollector,
    istiod::{Config, Entry, Istiod, Scope},
    manifests,
    network::Block,
    service::{Exposure, External, Placed, Service},
    state::State,
    wait,
};

/// Last byte of the address of virtualOutbound and of Envoy's admin port.
const ENVOY: u8 = 1;
/// Last byte of the collector's address.
const COLLECTOR: u8 = 2;
/// Last byte of the pod IP of the sidecar's workload.
const POD: u8 = 3;
/// Last byte of the first external host's address.
const EXTERNALS: u8 = 200;

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
        let attached = attachment::attach(&plan.builder, &plan.http_ports(), &files)?;
        let (filters, patches) = attached.unzip();
        let istiod = Istiod::start(plan.istiod(&state, patches))?;
        let bootstrap = Bootstrap {
            files: files.clone(),
            address: plan.block.address(ENVOY),
            namespace: NAMESPACE.to_owned(),
            workload: WORKLOAD.to_owned(),
            http_ports: plan.http_ports(),
            filters: filters.into_iter().collect(),
            access_log: plan.builder.access_log,
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

/// A mesh whose members have their addresses.
struct Plan {
    builder: MeshBuilder,
    block: Block,
    services: BTreeMap<String, Placed>,
    externals: BTreeMap<String, (External, Ipv4Addr)>,
}

impl Plan {
    fn new(builder: MeshBuilder, block: Block) -> Self {
        let services = (0..).zip(&builder.services);
        let services = services
            .map(|(index, service)| {
                (
                    service.name.clone(),
                    Placed::new(service.clone(), index, &block),
                )
            })
            .collect();
        let externals = (EXTERNALS..).zip(&builder.externals);
        let externals = externals
            .map(|(last, external)| {
                (
                    external.host.clone(),
                    (external.clone(), block.address(last)),
                )
            })
            .collect();
        Self {
            builder,
            block,
            services,
            externals,
        }
    }

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
                Backend::start(name, &addresses, transport).await?,
            );
        }
        for (host, (external, address)) in &self.externals {
            let address = SocketAddr::from((*address, external.port));
            backends.insert(
                host.clone(),
                Backend::start(host, &[address], Transport::Plain).await?,
            );
        }
        Ok(backends)
    }

    fn manifests(&self) -> Vec<serde_json::Value> {
        let mut namespaces: BTreeSet<&str> = self
            .builder
            .services
            .iter()
            .map(|s| s.namespace.as_str())
            .collect();
        namespaces.insert(NAMESPACE);
        let mut all: Vec<_> = namespaces
            .iter()
            .map(|name| manifests::namespace(name, *name == NAMESPACE))
            .collect();
        let pod_ip = self.block.address(POD).to_string();
        let collector_ip = self.block.address(COLLECTOR).to_string();
        all.extend([
            manifests::namespace(SYSTEM_NAMESPACE, false),
            manifests::kubernetes_service(
                SYSTEM_NAMESPACE,
                COLLECTOR_SERVICE,
                &collector_ip,
                ("http-ingest", 8480, 8480),
            ),
            manifests::pod(NAMESPACE, WORKLOAD, &pod_ip, true),
        ]);
        all.extend(self.services.values().flat_map(manifests::service));
        all.extend(self.builder.manifests.iter().cloned());
        all
    }

    /// `namespace/host` entries that every Sidecar has.
    fn always(&self) -> Vec<String> {
        let known = self.builder.services.iter().filter(|service| service.known);
        known.map(Service::egress_host).collect()
    }

    async fn start_collector(
        &self,
        state: &State,
    ) -> Result<(Option<Collector>, Option<FakeCollector>)> {
        let options = Options {
            address: self.block.address(COLLECTOR),
            manifests: state.manifests(),
            sidecars: state.sidecars(),
            store: state.store(),
            log: state.root().join("collector.log"),
            always: self.always(),
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

    fn http_ports(&self) -> BTreeSet<u16> {
        let services = self.services.values().map(|placed| placed.service.port);
        let externals = self.externals.values().map(|(external, _)| external.port);
        services.chain(externals).collect()
    }

    fn istiod(&self, state: &State, patches: Option<crate::istiod::Patches>) -> Config {
        let collector = self.block.address(COLLECTOR);
        let collector = Entry {
            namespace: SYSTEM_NAMESPACE.to_owned(),
            name: COLLECTOR_SERVICE.to_owned(),
            port: 8480,
            cluster_ip: collector,
            endpoint: (collector, 8480).into(),
            service_account: None,
            http2: false,
        };
        Config {
            registry: self
                .services
                .values()
                .map(entry)
                .chain([collector])
                .collect(),
            http_ports: self.http_ports(),
            namespace: NAMESPACE.to_owned(),
            workload: WORKLOAD.to_owned(),
            policy: self.builder.policy,
            patches,
            sidecars: state.sidecars(),
            files: Files::new(state.envoy()),
        }
    }

    /// What cluster DNS, with the search domains of the client's pod, and the DNS of the world answer.
    fn names(&self) -> Names {
        let mut names = Names::new();
        for placed in self.services.values() {
            let Service {
                name, namespace, ..
            } = &placed.service;
            if namespace == NAMESPACE {
                names.insert(name.clone(), placed.cluster_ip);
            }
            for suffix in ["", ".svc", ".svc.cluster.local"] {
                names.insert(format!("{name}.{namespace}{suffix}"), placed.cluster_ip);
            }
        }
        let externals = self.externals.iter();
        names.extend(externals.map(|(host, (_, address))| (host.clone(), *address)));
        names
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
        Exposure::Permissive => Transport::Permissive(Arc::clone(&tls)),
        Exposure::NoSidecar => Transport::Plain,
    })
}

fn entry(placed: &Placed) -> Entry {
    let service = &placed.service;
    let sidecar = service.exposure != Exposure::NoSidecar;
    Entry {
        namespace: service.namespace.clone(),
        name: service.name.clone(),
        port: service.port,
        cluster_ip: placed.cluster_ip,
        endpoint: placed.endpoint(),
        service_account: sidecar.then(|| service.name.clone()),
        http2: service.port_name == "grpc",
    }
}
