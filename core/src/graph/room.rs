//! Says how far a graph may grow, and leaves room for others in whatever one namespace takes.
//!
//! A namespace may have as many as are left: one alone gets half of everything, two get a third each, and one that comes
//! later finds as much as anybody has. What a tenant does with its own workloads so costs no other tenant anything.

use std::net::{IpAddr, SocketAddr};

use super::Graph;
use super::limits::{Room, Share};
use super::record::Learned;
use crate::names::Workload;
use crate::resource::Mode;

impl Graph {
    /// Whether this is known already, or there is room to learn it in a mode.
    #[must_use]
    pub fn admits(&self, workload: &Workload, learned: &Learned, mode: Mode) -> bool {
        match learned {
            Learned::Host(host) => self.has_room(workload, mode) || self.knows(workload, host),
            Learned::External(host) => {
                self.has_room_for_external(workload, host, mode)
                    || self.knows_external(workload, host)
            }
            Learned::Nothing => true,
        }
    }

    /// Whether one more dependency of a workload could be learned in a mode.
    #[must_use]
    pub fn has_room(&self, workload: &Workload, mode: Mode) -> bool {
        let has_room = match self.nodes.get(workload) {
            Some(node) => node.dependencies.len() < self.limits.dependencies_per_workload,
            None => !self.is_full(&workload.namespace, mode),
        };
        has_room && self.has_room_for_dependencies(&workload.namespace)
    }

    /// The room of a namespace for workloads and dependencies more.
    #[must_use]
    pub fn room_in(&self, namespace: &str) -> Room {
        let has_room = self.has_room_for_dependencies(namespace);
        Room {
            learn: has_room && !self.is_full(namespace, Mode::Learn),
            enforce: has_room && !self.is_full(namespace, Mode::Enforce),
        }
    }

    /// Whether one of so many dependencies more could be the last that a namespace may have. Below half of all not even one
    /// that has them all is short of room.
    #[must_use]
    pub fn is_filling_up(&self, more: usize) -> bool {
        self.dependency_count.saturating_add(more) >= self.limits.dependencies / 2
    }

    /// Whether a namespace has all that it may have of anything.
    #[must_use]
    pub fn is_crowded(&self, namespace: &str) -> bool {
        self.is_full(namespace, Mode::Learn)
            || !self.has_room_for_dependencies(namespace)
            || !self.has_room_for_externals(namespace)
    }

    /// Whether a namespace has no room for a workload more of a mode.
    fn is_full(&self, namespace: &str, mode: Mode) -> bool {
        let most = match mode {
            Mode::Enforce => self.limits.workloads.saturating_mul(2),
            Mode::Learn | Mode::Off => self.limits.workloads,
        };
        self.share(namespace).workloads >= most.saturating_sub(self.nodes.len())
    }

    fn has_room_for_external(&self, workload: &Workload, host: &str, mode: Mode) -> bool {
        let most = self.limits.externals_per_workload;
        // There may be any number of addresses behind one name. They leave room for names.
        let most = if is_address(host) { most / 2 } else { most };
        let namespace = &workload.namespace;
        let has_room = match self.nodes.get(workload) {
            Some(node) => node.externals.len() < most,
            None => !self.is_full(namespace, mode),
        };
        has_room && self.has_room_for_externals(namespace)
    }

    fn has_room_for_dependencies(&self, namespace: &str) -> bool {
        let left = self
            .limits
            .dependencies
            .saturating_sub(self.dependency_count);
        self.share(namespace).dependencies < left
    }

    fn has_room_for_externals(&self, namespace: &str) -> bool {
        let left = self.limits.externals.saturating_sub(self.external_count);
        self.share(namespace).externals < left
    }

    fn share(&self, namespace: &str) -> Share {
        self.namespaces.get(namespace).copied().unwrap_or_default()
    }
}

/// Whether an external host is not a name, with a port or without.
fn is_address(host: &str) -> bool {
    let alone = host.trim_start_matches('[').trim_end_matches(']');
    alone.parse::<IpAddr>().is_ok() || host.parse::<SocketAddr>().is_ok()
}
