//! Addresses for one mesh: a /24 of `127.0.0.0/8`, so that meshes never meet, not even those of other processes.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Result, bail};

/// Where every claimed block keeps its lock. Below the ephemeral ports, so that no client's socket sits on it.
const CLAIM_PORT: u16 = 15_999;

const BLOCKS: u32 = 64 * 256;
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A /24 of the loopback network that belongs to this value alone.
#[derive(Debug)]
pub struct Block {
    network: [u8; 3],
    _claim: TcpListener,
}

impl Block {
    /// Takes a free block.
    ///
    /// # Errors
    /// When none of 16,384 is free.
    pub fn claim() -> Result<Self> {
        for _ in 0..BLOCKS {
            // Never the same block twice: what just left it may not be quite dead.
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = std::process::id().wrapping_add(number) % BLOCKS;
            let [_, _, high, low] = number.to_be_bytes();
            let network = [127, 64 + high, low];
            let lock = SocketAddr::from((address(network, 254), CLAIM_PORT));
            if let Ok(claim) = TcpListener::bind(lock) {
                return Ok(Self {
                    network,
                    _claim: claim,
                });
            }
        }
        bail!("no free /24 in 127.64.0.0/10")
    }

    /// The block's address that ends with this number; 254 is taken.
    #[must_use]
    pub fn address(&self, host: u8) -> Ipv4Addr {
        address(self.network, host)
    }
}

fn address([a, b, c]: [u8; 3], host: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, host)
}
