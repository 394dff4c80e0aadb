//! The addresses of the mesh, by prefix: a connection to any other is not the mesh's, and waits for nothing.

use std::net::{IpAddr, SocketAddr};

use lazymesh_protocol::MAX_MESH_PREFIXES;

/// Ranges of addresses, in order, none of which meets another. IPv4 addresses are in their IPv6-mapped form.
#[derive(Debug, Default)]
pub(crate) struct Prefixes(Vec<(u128, u128)>);

impl Prefixes {
    /// Reads addresses and CIDR blocks.
    ///
    /// # Errors
    /// The first that is neither, or that is one too many.
    pub(crate) fn parse(texts: &[String]) -> Result<Self, &str> {
        if let Some(text) = texts.get(MAX_MESH_PREFIXES) {
            return Err(text);
        }
        let ranges = texts
            .iter()
            .map(|text| range(text).ok_or(text.as_str()))
            .collect::<Result<_, _>>()?;
        Ok(Self(merge(ranges)))
    }

    /// Whether one of them holds the address of an `IP:port`.
    pub(crate) fn contain(&self, destination: &str) -> bool {
        let Ok(destination) = destination.parse::<SocketAddr>() else {
            return false;
        };
        let (address, _) = bits(destination.ip());
        let after = self.0.partition_point(|(first, _)| *first <= address);
        let range = after.checked_sub(1).and_then(|before| self.0.get(before));
        range.is_some_and(|(_, last)| address <= *last)
    }
}

fn range(text: &str) -> Option<(u128, u128)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let (address, most) = bits(address.parse().ok()?);
    let free = most.checked_sub(length.unwrap_or(most))?;
    let size = 1_u128.checked_shl(free);
    let mask = size.map_or(u128::MAX, |size| size.saturating_sub(1));
    Some((address & !mask, address | mask))
}

/// An address as a number, and how many bits of it a prefix of its family may fix.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (address.to_ipv6_mapped().into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

fn merge(unordered: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    // Few enough to insert: a sort would be 5 KB for V8 to compile.
    let mut ranges = Vec::with_capacity(unordered.len());
    for range in unordered {
        let place = ranges.partition_point(|other| *other < range);
        ranges.insert(place, range);
    }
    ranges.dedup_by(|(first, last), (_, before)| {
        let meets = *first <= *before;
        if meets {
            *before = (*before).max(*last);
        }
        meets
    });
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Result<Prefixes, String> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        Prefixes::parse(&texts).map_err(str::to_owned)
    }

    fn check(prefixes: &[&str], destination: &str, expect: bool) {
        let parsed = parse(prefixes).unwrap();
        assert_eq!(
            parsed.contain(destination),
            expect,
            "{prefixes:?} {destination}"
        );
    }

    #[test]
    fn addresses_in_and_outside() {
        let mesh = &["10.96.0.0/12", "10.244.1.0/24", "240.240.0.7", "fd00::/64"];
        for inside in [
            "10.96.0.0:80",
            "10.111.255.255:80",
            "10.244.1.9:5432",
            "240.240.0.7:443",
            "[::ffff:10.244.1.9]:5432",
            "[fd00::7]:80",
        ] {
            check(mesh, inside, true);
        }
        for outside in [
            "10.95.255.255:80",
            "10.112.0.0:80",
            "10.244.2.0:80",
            "240.240.0.8:443",
            "[fd00:0:0:1::7]:80",
            "reviews:80",
            "10.96.0.1",
            "",
        ] {
            check(mesh, outside, false);
        }
        check(&[], "10.96.0.1:80", false);
        check(&["0.0.0.0/0"], "1.2.3.4:1", true);
        check(&["0.0.0.0/0"], "[fd00::7]:80", false);
        check(&["::/0"], "1.2.3.4:1", true);
        check(&["10.0.0.9/8"], "10.1.1.1:1", true);
    }

    #[test]
    fn overlapping_ones() {
        let mesh = &["10.0.0.0/24", "10.0.0.0/8", "10.0.0.7", "10.1.0.0/16"];
        check(mesh, "10.0.0.7:1", true);
        check(mesh, "10.200.0.7:1", true);
        assert_eq!(parse(mesh).unwrap().0.len(), 1);
    }

    #[test]
    fn what_is_no_prefix() {
        for text in [
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0/8",
            "mesh",
            "",
            "10.0.0.0/",
            "10.0.0.0/-1",
        ] {
            assert_eq!(parse(&["10.0.0.1", text]).unwrap_err(), text);
        }
        assert!(parse(&["10.0.0.1"; MAX_MESH_PREFIXES]).is_ok());
        assert!(parse(&["10.0.0.1"; MAX_MESH_PREFIXES + 1]).is_err());
    }
}
