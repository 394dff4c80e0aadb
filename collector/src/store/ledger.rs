//! Keeps account of what the store holds, by kind and namespace.
//!
//! | key | value |
//! |---|---|
//! | `s/<d or e>/<namespace>` | how many records, and the sum of their checksums |
//! | `generation` | how many commits there were |
//!
//! Both are written in the batch of the records that they count.

use std::collections::BTreeMap;

use super::checked::{Sum, wrap};
use super::keys::{self, GENERATION_KEY, SUM_PREFIX};

/// The account of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    pub(super) generation: u64,
    pub(super) groups: BTreeMap<Vec<u8>, Sum>,
}

impl Ledger {
    /// The account of nothing, at a generation.
    pub(super) fn new(generation: u64) -> Self {
        Self {
            generation,
            groups: BTreeMap::new(),
        }
    }

    /// Counts a record that is new, gone, or another.
    pub(super) fn change(&mut self, key: &[u8], before: Option<&[u8]>, after: Option<&[u8]>) {
        let group = keys::group(key);
        let sum = self.groups.entry(group.to_vec()).or_default();
        if let Some(before) = before {
            sum.remove(before);
        }
        if let Some(after) = after {
            sum.add(after);
        }
    }

    /// All records together.
    pub(super) fn total(&self) -> Sum {
        self.groups.values().fold(Sum::default(), |all, sum| Sum {
            count: all.count.wrapping_add(sum.count),
            hash: all.hash.wrapping_add(sum.hash),
        })
    }

    /// What has to be written once these keys have changed: none for a group that is empty.
    pub(super) fn entries<'a>(
        &self,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let mut entries = BTreeMap::new();
        for group in keys.map(keys::group) {
            let sum = self.groups.get(group).copied().unwrap_or_default();
            let key = [SUM_PREFIX, group].concat();
            let value = (sum.count > 0).then(|| wrap(&key, sum.to_text().as_bytes()));
            entries.insert(key, value);
        }
        let generation = self.generation.to_string();
        let value = wrap(GENERATION_KEY, generation.as_bytes());
        entries.insert(GENERATION_KEY.to_vec(), Some(value));
        entries
    }
}
