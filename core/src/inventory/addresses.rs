//! Indexes things by IP address and by CIDR block.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::hosts::Ranked;

/// An index by address; a single address is a block of one.
#[derive(Debug)]
pub(crate) struct AddressIndex<T> {
    blocks: HashMap<IpNet, Vec<Arc<T>>>,
    /// How many blocks there are of a length, by family. A mesh has few lengths, so that a look-up is a few
    /// look-ups in `blocks`.
    lengths: BTreeMap<(bool, u8), usize>,
}

impl<T> Default for AddressIndex<T> {
    fn default() -> Self {
        Self {
            blocks: HashMap::new(),
            lengths: BTreeMap::new(),
        }
    }
}

/// Reads an address or a CIDR block.
pub(crate) fn parse_block(text: &str) -> Option<IpNet> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(IpNet::from(address)),
        Err(_) => text.parse::<IpNet>().ok().map(|block| block.trunc()),
    }
}

fn length_of(block: &IpNet) -> (bool, u8) {
    (block.addr().is_ipv6(), block.prefix_len())
}

impl<T: Ranked> AddressIndex<T> {
    pub(crate) fn insert(&mut self, block: IpNet, thing: &Arc<T>) {
        let list = self.blocks.entry(block).or_default();
        if list.is_empty() {
            *self.lengths.entry(length_of(&block)).or_default() += 1;
        }
        let at = list.partition_point(|other| other.rank() <= thing.rank());
        list.insert(at, Arc::clone(thing));
    }

    pub(crate) fn remove(&mut self, block: IpNet, thing: &T) {
        let Some(list) = self.blocks.get_mut(&block) else {
            return;
        };
        list.retain(|other| other.rank() != thing.rank());
        if list.is_empty() {
            self.blocks.remove(&block);
            let length = length_of(&block);
            if let Some(count) = self.lengths.get_mut(&length) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&length);
                }
            }
        }
    }

    /// The things whose blocks hold an address, smallest block first; with each, how many bits its block leaves open.
    pub(crate) fn covering(&self, address: IpAddr) -> impl Iterator<Item = (&Arc<T>, u8)> {
        let family = address.is_ipv6();
        self.lengths
            .range((family, 0)..=(family, u8::MAX))
            .rev()
            .filter_map(move |(&(_, length), _)| {
                let block = IpNet::new(address, length).ok()?.trunc();
                let open = block.max_prefix_len() - block.prefix_len();
                let things = self.blocks.get(&block)?;
                Some(things.iter().map(move |thing| (thing, open)))
            })
            .flatten()
    }

    /// The things with blocks that have addresses in common with a block.
    pub(crate) fn overlapping(&self, block: IpNet) -> impl Iterator<Item = &Arc<T>> {
        let single = block.prefix_len() == block.max_prefix_len();
        let wider = self.covering(block.addr()).map(|(thing, _)| thing);
        let inside = self.blocks.iter().filter(move |_| !single);
        let inside = inside.filter(move |(other, _)| block.contains(*other));
        wider.chain(inside.flat_map(|(_, things)| things))
    }
}
