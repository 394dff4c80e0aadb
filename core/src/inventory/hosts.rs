//! Things by host, wildcards included: services, VirtualServices, DestinationRules.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Order among things of the same host: smaller wins. Istio lets Kubernetes win over ServiceEntries, then the
/// older over the newer; names make the order total, so that it never hangs on the order of arrival.
pub(crate) trait Ranked {
    fn rank(&self) -> Rank<'_>;
}

/// What orders things of the same host, and tells them apart.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank<'a> {
    /// Whether it yields to others.
    pub(crate) last: bool,
    pub(crate) created: &'a str,
    /// Namespace and name, in the order in which Istio compares them.
    pub(crate) name: (&'a str, &'a str),
    /// The cluster that has it; none for what the whole mesh has.
    pub(crate) cluster: Option<&'a str>,
}

/// An index by host.
#[derive(Debug)]
pub(crate) struct HostIndex<T> {
    exact: HashMap<String, Vec<Arc<T>>>,
    /// By what follows the `*`.
    wild: HashMap<String, Vec<Arc<T>>>,
    /// All hosts from their ends, so that those with a common end are neighbours.
    reversed: BTreeSet<String>,
    /// How many wildcards stop inside a label, as `*-v1.example.com`.
    partial: usize,
}

impl<T> Default for HostIndex<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            wild: HashMap::new(),
            reversed: BTreeSet::new(),
            partial: 0,
        }
    }
}

fn reverse(host: &str) -> String {
    host.chars().rev().collect()
}

fn is_partial(suffix: &str) -> bool {
    !suffix.is_empty() && !suffix.starts_with('.')
}

impl<T: Ranked> HostIndex<T> {
    /// Adds a thing under a lower-case host.
    pub(crate) fn insert(&mut self, host: &str, thing: &Arc<T>) {
        let list = match host.strip_prefix('*') {
            Some(suffix) => {
                self.partial += usize::from(is_partial(suffix));
                self.wild.entry(suffix.to_owned())
            }
            None => self.exact.entry(host.to_owned()),
        }
        .or_default();
        if list.is_empty() {
            self.reversed.insert(reverse(host));
        }
        let at = list.partition_point(|other| other.rank() <= thing.rank());
        list.insert(at, Arc::clone(thing));
    }

    pub(crate) fn remove(&mut self, host: &str, thing: &T) {
        let (map, key) = match host.strip_prefix('*') {
            Some(suffix) => (&mut self.wild, suffix),
            None => (&mut self.exact, host),
        };
        let Some(list) = map.get_mut(key) else { return };
        let Some(at) = list.iter().position(|other| other.rank() == thing.rank()) else {
            return;
        };
        list.remove(at);
        if list.is_empty() {
            map.remove(key);
            self.reversed.remove(&reverse(host));
        }
        if host.starts_with('*') {
            self.partial -= usize::from(is_partial(key));
        }
    }

    /// The things of this very host, a wildcard as such included; best first.
    pub(crate) fn exact(&self, host: &str) -> &[Arc<T>] {
        let list = match host.strip_prefix('*') {
            Some(suffix) => self.wild.get(suffix),
            None => self.exact.get(host),
        };
        list.map_or(&[], Vec::as_slice)
    }

    /// The wildcards that cover a name: what follows their `*`, and their things; longest first.
    pub(crate) fn wild<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = (&'n str, &'a [Arc<T>])> {
        let starts = (1..=name.len()).filter(move |&at| {
            self.partial > 0 || at == name.len() || name.as_bytes().get(at) == Some(&b'.')
        });
        let possible = if self.wild.is_empty() {
            None
        } else {
            Some(starts)
        };
        possible.into_iter().flatten().filter_map(move |at| {
            let suffix = name.get(at..)?;
            Some((suffix, self.wild.get(suffix)?.as_slice()))
        })
    }

    /// The things of each host that covers a host, the most specific host first.
    pub(crate) fn covering(&self, host: &str) -> impl Iterator<Item = &[Arc<T>]> {
        // A wildcard host is covered by itself and by wider ones, never by what it covers.
        let name = host.strip_prefix('*').unwrap_or(host);
        let wild = self.wild(name).map(|(_, things)| things);
        std::iter::once(self.exact(host)).chain(wild)
    }

    /// The things of each host that `*<suffix>` covers, itself aside.
    pub(crate) fn under(&self, suffix: &str) -> impl Iterator<Item = &[Arc<T>]> {
        let end = reverse(suffix);
        let from = self.reversed.range(end.clone()..);
        from.take_while(move |host| host.starts_with(&end))
            .map(|host| reverse(host))
            .filter(move |host| host.len() > suffix.len() + 1 || !host.starts_with('*'))
            .map(|host| self.exact(&host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(&'static str);

    impl Ranked for Thing {
        fn rank(&self) -> Rank<'_> {
            Rank {
                name: (self.0, ""),
                ..Rank::default()
            }
        }
    }

    #[test]
    fn finds_what_covers_a_host() {
        let hosts = [
            "a.example.com",
            "*.example.com",
            "*-v1.example.com",
            "*.com",
            "*",
        ];
        let mut index = HostIndex::default();
        for host in hosts {
            index.insert(host, &Arc::new(Thing(host)));
        }
        let check = |index: &HostIndex<Thing>, host: &str, expect: &[&str]| {
            let found: Vec<_> = index
                .covering(host)
                .flatten()
                .map(|thing| thing.0)
                .collect();
            assert_eq!(found, expect, "{host}");
        };
        let check_under = |index: &HostIndex<Thing>, suffix: &str, expect: &[&str]| {
            let found: Vec<_> = index.under(suffix).flatten().map(|thing| thing.0).collect();
            assert_eq!(found, expect, "{suffix}");
        };
        check_under(
            &index,
            ".example.com",
            &["*-v1.example.com", "a.example.com"],
        );
        check_under(
            &index,
            ".com",
            &["*.example.com", "*-v1.example.com", "a.example.com"],
        );
        check_under(&index, "-v1.example.com", &[]);
        check(
            &index,
            "a.example.com",
            &["a.example.com", "*.example.com", "*.com", "*"],
        );
        check(
            &index,
            "b-v1.example.com",
            &["*-v1.example.com", "*.example.com", "*.com", "*"],
        );
        check(&index, "*.example.com", &["*.example.com", "*.com", "*"]);
        check(&index, "example.com", &["*.com", "*"]);
        check(&index, "local", &["*"]);
        for host in hosts {
            index.remove(host, &Thing(host));
        }
        check(&index, "a.example.com", &[]);
        check_under(&index, "", &[]);
        assert_eq!(index.partial, 0);
    }
}
