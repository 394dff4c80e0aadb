//! Keeps an index for each cluster.

use std::collections::BTreeMap;

use crate::names::ClusterId;

/// Things of which each cluster has its own.
#[derive(Debug)]
pub(crate) struct Clusters<T> {
    clusters: BTreeMap<ClusterId, T>,
}

impl<T> Default for Clusters<T> {
    fn default() -> Self {
        Self {
            clusters: BTreeMap::new(),
        }
    }
}

impl<T> Clusters<T> {
    pub(crate) fn get(&self, cluster: &ClusterId) -> Option<&T> {
        self.clusters.get(cluster)
    }

    pub(crate) fn remove(&mut self, cluster: &ClusterId) {
        self.clusters.remove(cluster);
    }

    pub(crate) fn entry(&mut self, cluster: &ClusterId) -> &mut T
    where
        T: Default,
    {
        self.clusters.entry(cluster.clone()).or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ClusterId, &T)> {
        self.clusters.iter()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> + Clone {
        self.clusters.values()
    }
}
