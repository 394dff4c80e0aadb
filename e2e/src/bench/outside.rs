//! New connections of TLS to a server outside the mesh: with the filter, whatever the collector does, against without.

use std::{
    net::SocketAddrV4,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use lazymesh_protocol::{Decision, PassthroughReason};
use rustls::{
    ClientConfig, ServerConfig,
    pki_types::{PrivateKeyDer, ServerName},
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{pairs::Ratios, row::Row};
use crate::{
    CollectorKind, Filter, Mesh, client::Dialer, fake_collector::Behaviour, network::Block,
};

const CLIENTS: usize = 16;
const CONNECTIONS_PER_TURN: usize = 1_000;
/// So many times the turns that were asked for, until the ratios can be judged.
const PATIENCE: usize = 5;
const NAME: &str = "outside.example";
/// Longer than the filter waits.
const SLOW: Duration = Duration::from_secs(5);

/// What is measured against the first of them.
const VARIANTS: [&str; 4] = ["none", "", "-slow", "-down"];

pub(super) async fn run(turns: usize) -> Result<Vec<Row>> {
    let server = Server::start().await?;
    let meshes = try_join_all(VARIANTS.map(start)).await?;
    for mesh in &meshes {
        server.turn(mesh.client().dialer()).await?; // warm-up
    }
    let mut rates: [Vec<f64>; 4] = Default::default();
    while !are_enough(&rates, turns) {
        for (mesh, rates) in meshes.iter().zip(&mut rates) {
            rates.push(server.turn(mesh.client().dialer()).await?);
        }
    }
    let [none, others @ ..] = &rates;
    let rows = VARIANTS[1..].iter().zip(others);
    let rows = rows.map(|(variant, rates)| {
        let name = format!("tcp-external{variant}-ratio");
        let row = Row::paired(name, rates, "connections/s", none);
        // The figure is the ratio itself.
        Row {
            value: row.ratio,
            unit: "",
            baseline: 1.0,
            ..row
        }
    });
    Ok(rows.collect())
}

fn are_enough([none, others @ ..]: &[Vec<f64>; 4], turns: usize) -> bool {
    let narrow = || (others.iter()).all(|rates| Ratios::of(rates, none).are_narrow());
    none.len() >= PATIENCE * turns || (none.len() >= turns && narrow())
}

async fn start(variant: &str) -> Result<Mesh> {
    let (filter, collector) = match variant {
        "none" => (Filter::None, CollectorKind::Down),
        "-slow" => {
            let reason = PassthroughReason::External;
            let answer = Behaviour::answer(Decision::Passthrough { reason }, SLOW);
            (Filter::Attached, CollectorKind::Fake(answer))
        }
        "-down" => (Filter::Attached, CollectorKind::Down),
        _ => (Filter::Attached, CollectorKind::Real),
    };
    let mesh = Mesh::builder().filter(filter).collector(collector);
    mesh.without_access_log().start().await
}

/// A server of TLS that no mesh knows, and clients that believe it.
struct Server {
    address: SocketAddrV4,
    connector: TlsConnector,
    _block: Block,
}

impl Server {
    async fn start() -> Result<Self> {
        let block = Block::claim()?;
        let own = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
        let certificate = own.cert.der().clone();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let address = SocketAddrV4::new(block.address(2), 8443);
        let listener = TcpListener::bind(address).await?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let accepting = acceptor.accept(stream);
                tokio::spawn(async move {
                    if let Ok(mut stream) = accepting.await {
                        // Until the client goes.
                        let _ = stream.read_u8().await;
                    }
                });
            }
        });
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate)?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            address,
            connector: TlsConnector::from(Arc::new(config)),
            _block: block,
        })
    }

    /// New connections a second.
    async fn turn(&self, dialer: &Dialer) -> Result<f64> {
        let left = AtomicUsize::new(CONNECTIONS_PER_TURN);
        let start = Instant::now();
        try_join_all((0..CLIENTS).map(|_| self.connect(dialer, &left))).await?;
        Ok(CONNECTIONS_PER_TURN as f64 / start.elapsed().as_secs_f64())
    }

    async fn connect(&self, dialer: &Dialer, left: &AtomicUsize) -> Result<()> {
        let name = ServerName::try_from(NAME)?;
        let next = |left: usize| left.checked_sub(1);
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
            .is_ok()
        {
            let stream = dialer.dial(self.address).await?;
            let stream = self.connector.connect(name.clone(), stream).await;
            stream.context("no TLS with the server outside")?;
        }
        Ok(())
    }
}
