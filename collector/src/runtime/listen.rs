//! Binds the listeners: which addresses they may have, and what they then ask of callers.
//!
//! A port that others can reach and that asks nobody who they are is a mistake to refuse, not to log: the
//! ingest port widens scopes, and the admin port shows who calls whom.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lazymesh_core::Spiffe;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::TcpListener;

use crate::api::{Token, TokenError};
use crate::ingest::IngestIdentity;
use crate::runtime::flag;

/// Where to listen, and for whom.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Listeners")]
pub struct ListenConfig {
    /// Address of the port that filters call
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8480",
        value_parser = flag::address,
        env = "LAZYMESH_INGEST"
    )]
    pub ingest: SocketAddr,
    /// Address of a port that takes the access logs of sidecars: gRPC, in plain HTTP/2, from the same callers as --ingest
    #[arg(long, value_name = "IP:PORT", value_parser = flag::address, env = "LAZYMESH_ALS")]
    pub als: Option<SocketAddr>,
    /// Address of the port for people and programs, on loopback: it speaks plain HTTP
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8481",
        value_parser = flag::address,
        env = "LAZYMESH_ADMIN"
    )]
    pub admin: SocketAddr,
    /// Address of a port for the kubelet's probes, for where it cannot reach the others: plain HTTP, /livez and /readyz, and
    /// nothing that is worth a secret
    #[arg(long, value_name = "IP:PORT", value_parser = flag::address, env = "LAZYMESH_PROBES")]
    pub probes: Option<SocketAddr>,
    /// Where the identity of sidecars comes from; must be said unless --ingest and --als are on loopback
    #[arg(long, value_name = "FROM", env = "LAZYMESH_INGEST_IDENTITY")]
    pub ingest_identity: Option<IdentityFrom>,
    /// The collector's own SPIFFE id, for --ingest-identity xfcc:
    /// `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`
    #[arg(
        long,
        value_name = "URI",
        env = "LAZYMESH_SPIFFE_ID",
        required_if_eq("ingest_identity", "xfcc")
    )]
    pub spiffe_id: Option<String>,
    /// File with the bearer token of the admin port, for where others reach it through what speaks TLS, as a sidecar
    #[arg(long, value_name = "FILE", env = "LAZYMESH_ADMIN_TOKEN_FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Write the bound addresses into this file, as JSON; of use with port 0
    #[arg(long, value_name = "FILE", env = "LAZYMESH_ADDRESS_FILE")]
    pub address_file: Option<PathBuf>,
}

/// Where the identity of a filter comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IdentityFrom {
    /// From x-forwarded-client-cert, as the collector's own sidecar sets it
    Xfcc,
    /// Nowhere: whoever reaches the port may report for any workload
    None,
}

/// Why the listeners cannot be had.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The admin port would be open to everybody, or its token would cross the network in plain text.
    #[error(
        "--admin: expected an address on loopback, got {0}: the port speaks plain HTTP, so everybody on the way could read \
         its token; listen on 127.0.0.1 behind what speaks TLS, as a sidecar, an ssh tunnel or kubectl port-forward"
    )]
    AdminOpen(SocketAddr),
    /// Anybody who reaches a port of filters could say who it is.
    #[error(
        "{flag}: expected an address on loopback with --ingest-identity xfcc, got {address}: whoever reaches the port past the \
         sidecar could forge the identity that the sidecar tells; listen on 127.0.0.1 and have the sidecar forward to it"
    )]
    IngestForged {
        /// The flag.
        flag: &'static str,
        /// What it says.
        address: SocketAddr,
    },
    /// A port would take reports from anybody without that having been asked for.
    #[error(
        "{flag} {address} is not on loopback, so it must be said who may report: give --ingest-identity xfcc \
         behind a sidecar, or --ingest-identity none to trust everybody who reaches it"
    )]
    IngestOpen {
        /// The flag.
        flag: &'static str,
        /// What it says.
        address: SocketAddr,
    },
    /// The collector's own identity is missing or is none.
    #[error("--spiffe-id must be spiffe://<trust domain>/ns/<namespace>/sa/<service account>")]
    SpiffeId,
    /// The token file is of no use.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The addresses cannot be written down.
    #[error("cannot write the address file {path}: {source}")]
    AddressFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What the listeners are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// Of the ingest port.
    pub ingest: SocketAddr,
    /// Of the admin port.
    pub admin: SocketAddr,
    /// Of the port for access logs, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub als: Option<SocketAddr>,
    /// Of the port for probes, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<SocketAddr>,
}

/// The listeners, bound, and what they ask of callers.
pub(crate) struct Listeners {
    pub(crate) ingest: TcpListener,
    pub(crate) admin: TcpListener,
    pub(crate) als: Option<TcpListener>,
    pub(crate) probes: Option<TcpListener>,
    pub(crate) addresses: Addresses,
    pub(crate) identity: IngestIdentity,
    pub(crate) token: Option<Token>,
}

impl ListenConfig {
    /// Checks the configuration, then binds.
    pub(crate) async fn bind(&self) -> Result<Listeners, ListenError> {
        let identity = self.identity()?;
        let token = self.token()?;
        let ingest = bind(self.ingest).await?;
        let admin = bind(self.admin).await?;
        let mut addresses = Addresses {
            ingest: address(&ingest, self.ingest)?,
            admin: address(&admin, self.admin)?,
            als: None,
            probes: None,
        };
        let (als, bound) = bind_optional(self.als).await?.unzip();
        addresses.als = bound;
        let (probes, bound) = bind_optional(self.probes).await?.unzip();
        addresses.probes = bound;
        Ok(Listeners {
            ingest,
            admin,
            als,
            probes,
            addresses,
            identity,
            token,
        })
    }

    /// Writes the address file, if one is asked for.
    pub(crate) fn tell(&self, addresses: &Addresses) -> Result<(), ListenError> {
        match &self.address_file {
            Some(path) => addresses.write(path),
            None => Ok(()),
        }
    }

    fn identity(&self) -> Result<IngestIdentity, ListenError> {
        let als = self.als.map(|als| ("--als", als));
        let mut ports = [("--ingest", self.ingest)].into_iter().chain(als);
        let open = ports.find(|(_, address)| !is_loopback(*address));
        match self.ingest_identity {
            None => match open {
                None => Ok(IngestIdentity::None),
                Some((flag, address)) => Err(ListenError::IngestOpen { flag, address }),
            },
            Some(IdentityFrom::None) => Ok(IngestIdentity::None),
            Some(IdentityFrom::Xfcc) => {
                if let Some((flag, address)) = open {
                    return Err(ListenError::IngestForged { flag, address });
                }
                let id = self.spiffe_id.clone().ok_or(ListenError::SpiffeId)?;
                if Spiffe::parse(&id).is_none() {
                    return Err(ListenError::SpiffeId);
                }
                Ok(IngestIdentity::Xfcc { collector: id })
            }
        }
    }

    fn token(&self) -> Result<Option<Token>, ListenError> {
        if !is_loopback(self.admin) {
            return Err(ListenError::AdminOpen(self.admin));
        }
        let token = self.admin_token_file.as_deref().map(Token::read);
        Ok(token.transpose()?)
    }
}

/// Whether only this machine reaches an address.
pub(crate) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| ListenError::Bind { address, source })
}

async fn bind_optional(
    wanted: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, ListenError> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let listener = bind(wanted).await?;
    let bound = address(&listener, wanted)?;
    Ok(Some((listener, bound)))
}

fn address(listener: &TcpListener, address: SocketAddr) -> Result<SocketAddr, ListenError> {
    listener
        .local_addr()
        .map_err(|source| ListenError::Bind { address, source })
}

impl Addresses {
    /// Writes the file as a whole: a reader that waits for it never sees half of it.
    fn write(&self, path: &Path) -> Result<(), ListenError> {
        let failed = |source| ListenError::AddressFile {
            path: path.to_owned(),
            source,
        };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let file =
            tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new("."))).map_err(failed)?;
        serde_json::to_writer(&file, self).map_err(|error| failed(error.into()))?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}
