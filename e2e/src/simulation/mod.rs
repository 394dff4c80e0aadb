//! A whole mesh: backends, collector, istiod's stand-in, and one workload's sidecar.

mod attachment;
mod builder;
pub mod envoy;
pub mod istiod;
pub mod names;
mod plan;
mod start;

use std::{collections::BTreeMap, net::SocketAddrV4};

use anyhow::{Context, Result, ensure};

pub use builder::{CollectorKind, Filter, MeshBuilder};
pub(crate) use names::{COLLECTOR_SERVICE, SYSTEM_NAMESPACE};
pub use names::{NAMESPACE, WORKLOAD};

use crate::{
    backend::{Backend, Ledger},
    certificates::spiffe,
    client::{Client, Dialer, Names},
    collector::Collector,
    fake_collector::FakeCollector,
    network::Block,
    service::{External, Placed, Service},
    simulation::envoy::{Envoy, files::Files},
    simulation::istiod::Istiod,
    state::State,
};

/// A running mesh. All of it stops when dropped.
pub struct Mesh {
    // Fields go in this order: first who asks, then who answers, last the files.
    client: Client,
    names: Names,
    istiod: Istiod,
    envoy: Envoy,
    collector: Option<Collector>,
    fake_collector: Option<FakeCollector>,
    backends: BTreeMap<String, Backend>,
    services: BTreeMap<String, Placed>,
    externals: Vec<External>,
    filter: Filter,
    failed: bool,
    state: State,
    _block: Block,
}

impl Mesh {
    /// Describes a mesh; without further words it has no service, the filter, and a real collector.
    #[must_use]
    pub fn builder() -> MeshBuilder {
        MeshBuilder::default()
    }

    /// The application behind the sidecar.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Another application behind the same sidecar, with one HTTP/2 connection of its own.
    #[must_use]
    pub fn http2_client(&self) -> Client {
        Client::http2(Dialer::new(self.envoy.outbound(), self.names.clone()))
    }

    /// SPIFFE identity of the sidecar's workload.
    #[must_use]
    pub fn identity(&self) -> String {
        spiffe(NAMESPACE, WORKLOAD)
    }

    /// The sidecar.
    #[must_use]
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// The stand-in for istiod.
    #[must_use]
    pub fn istiod(&self) -> &Istiod {
        &self.istiod
    }

    /// The real collector.
    ///
    /// # Errors
    /// When the mesh has none.
    pub fn collector(&self) -> Result<&Collector> {
        self.collector
            .as_ref()
            .context("this mesh has no real collector")
    }

    /// The real collector, to kill it.
    ///
    /// # Errors
    /// When the mesh has none.
    pub fn collector_mut(&mut self) -> Result<&mut Collector> {
        self.collector
            .as_mut()
            .context("this mesh has no real collector")
    }

    /// The fake collector.
    ///
    /// # Errors
    /// When the mesh has none.
    pub fn fake_collector(&self) -> Result<&FakeCollector> {
        self.fake_collector
            .as_ref()
            .context("this mesh has no fake collector")
    }

    /// Who called a service or an external host.
    ///
    /// # Errors
    /// When the mesh has none of that name.
    pub fn ledger(&self, name: &str) -> Result<&Ledger> {
        let backend = self.backends.get(name);
        backend
            .map(Backend::ledger)
            .with_context(|| format!("no backend {name}"))
    }

    /// A service with its addresses.
    ///
    /// # Errors
    /// When the mesh has none of that name.
    pub fn service(&self, name: &str) -> Result<&Placed> {
        self.services
            .get(name)
            .with_context(|| format!("no service {name}"))
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().map(|placed| &placed.service)
    }

    /// All hosts outside the mesh.
    pub fn externals(&self) -> impl Iterator<Item = &External> {
        self.externals.iter()
    }

    /// All that the application's DNS answers.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Address and port that an application dials for this name.
    ///
    /// # Errors
    /// When there is no such name.
    pub fn destination(&self, name: &str, port: u16) -> Result<SocketAddrV4> {
        Ok(SocketAddrV4::new(self.client.dialer().lookup(name)?, port))
    }

    /// The directory with configuration, stores and logs.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.state.root()
    }

    /// Says that something went wrong: the directory stays, and the logs' ends are printed.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether Envoy still runs and nothing in it, the filter above all, has crashed. Modules that are not ours may.
    ///
    /// # Errors
    /// When it ended, or the line of its log that says what crashed.
    pub fn check(&self) -> Result<()> {
        ensure!(self.envoy.is_running(), "Envoy has ended");
        if matches!(self.filter, Filter::Module(_)) {
            return Ok(());
        }
        let log = std::fs::read_to_string(Files::new(self.state.envoy()).log())?;
        let crash = log
            .lines()
            .find(|line| line.contains("][critical]") || line.contains("][error][wasm]"));
        ensure!(crash.is_none(), "Envoy's log has {crash:?}");
        Ok(())
    }

    fn print_logs(&self) {
        let files = Files::new(self.state.envoy());
        let collector = self.state.root().join("collector.log");
        eprintln!("state: {}", self.state.root().display());
        for log in [files.access_log(), files.log(), collector] {
            if log.exists() {
                eprintln!("--- {}\n{}", log.display(), envoy::tail(&log, 25));
            }
        }
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if self.failed || std::thread::panicking() {
            self.state.keep();
            self.print_logs();
        }
    }
}
