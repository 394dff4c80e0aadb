//! Remembers what is published, for those who ask.

use std::collections::HashMap;

use lazymesh_core::{EgressHost, EgressScope, Stage};
use parking_lot::Mutex;

use crate::publish::sink::Published;

/// The scopes of the Sidecars that this collector has put in place.
#[derive(Default)]
pub(crate) struct PublishedScopes {
    scopes: Mutex<HashMap<Published, EgressScope>>,
}

impl PublishedScopes {
    pub(crate) fn get(&self, place: &Published) -> Option<EgressScope> {
        self.scopes.lock().get(place).cloned()
    }

    /// How far a host is in a Sidecar, if it is there at all.
    pub(crate) fn stage(&self, place: &Published, host: &EgressHost) -> Option<Stage> {
        let scopes = self.scopes.lock();
        scopes.get(place)?.stage(host, &place.namespace)
    }

    pub(crate) fn places(&self) -> Vec<Published> {
        self.scopes.lock().keys().cloned().collect()
    }

    pub(crate) fn insert(&self, place: Published, scope: EgressScope) {
        self.scopes.lock().insert(place, scope);
    }

    pub(crate) fn remove(&self, place: &Published) {
        self.scopes.lock().remove(place);
    }
}
