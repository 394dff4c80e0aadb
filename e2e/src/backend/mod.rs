//! Workloads that answer: a protocol whose server speaks first, HTTP/1.1, HTTP/2, gRPC, WebSocket and uploads, over mesh mTLS or plain text.
//!
//! A backend is sidecar and application in one. It remembers who called it and on which of its addresses, which
//! tells whether a request came by the virtual address or by an endpoint of the real cluster.

mod connection;
mod handler;
mod ledger;

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use rustls::ServerConfig;
use tokio::{net::TcpListener, task::AbortHandle};

pub use handler::Echo;
pub use ledger::{Call, Ledger};

/// How a backend takes connections.
#[derive(Clone)]
pub enum Transport {
    /// mTLS only.
    Strict(Arc<ServerConfig>),
    /// mTLS or plain text.
    Permissive(Arc<ServerConfig>),
    /// Plain text only.
    Plain,
}

/// What a backend speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Application {
    /// HTTP.
    Http,
    /// It greets with `hello from <name>` and a newline, then echoes.
    Greeter,
}

impl Application {
    /// HTTP, or not.
    #[must_use]
    pub fn new(http: bool) -> Self {
        if http { Self::Http } else { Self::Greeter }
    }
}

/// A running workload. It stops when dropped.
pub struct Backend {
    ledger: Arc<Ledger>,
    tasks: Vec<AbortHandle>,
}

impl Backend {
    /// Listens on all of these addresses.
    ///
    /// # Errors
    /// When an address is taken.
    pub async fn start(
        name: &str,
        addresses: &[SocketAddr],
        transport: Transport,
        application: Application,
    ) -> Result<Self> {
        let ledger = Arc::new(Ledger::new(name));
        let mut backend = Self {
            ledger: Arc::clone(&ledger),
            tasks: Vec::new(),
        };
        for address in addresses {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("{name} cannot listen on {address}"))?;
            let serve = connection::accept(
                listener,
                transport.clone(),
                application,
                Arc::clone(&ledger),
            );
            backend.tasks.push(tokio::spawn(serve).abort_handle());
        }
        Ok(backend)
    }

    /// Who called.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
