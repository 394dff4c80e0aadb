use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

/// Who called, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// SPIFFE identity of the caller; `None` over plain text.
    pub peer: Option<String>,
    /// The backend's address that was called.
    pub address: SocketAddr,
}

/// What a backend remembers.
#[derive(Debug)]
pub struct Ledger {
    name: String,
    requests: Mutex<BTreeMap<Call, u64>>,
}

impl Ledger {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            requests: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn record(&self, call: &Call) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = requests.get_mut(call) {
            *count += 1;
        } else {
            requests.insert(call.clone(), 1);
        }
    }

    /// Requests by caller and address.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<Call, u64> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.calls().values().sum()
    }

    /// Identities of all callers; `None` stands for plain text.
    #[must_use]
    pub fn peers(&self) -> Vec<Option<String>> {
        let mut peers: Vec<_> = self.calls().into_keys().map(|call| call.peer).collect();
        peers.dedup();
        peers
    }
}
