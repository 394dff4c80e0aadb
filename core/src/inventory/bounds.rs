//! Tells what a Sidecar of the root namespace lets a client see: lazymesh shows no more.
//!
//! It rules where a namespace has none, so a scope that takes its place has to stay within it.

/// Entries of `egress.hosts`; none for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    entries: Option<Vec<Entry>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Whether it takes out what others let in.
    excludes: bool,
    namespace: Place,
    /// In lower case.
    host: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Any,
    Client,
    Named(String),
}

impl Entry {
    /// As istiod reads it (`convertIstioListenerToWrapper`): what has not one `/` is nothing.
    fn new(text: &str) -> Option<Self> {
        let (namespace, host) = text
            .split_once('/')
            .filter(|(_, host)| !host.contains('/'))?;
        let excluded = namespace.strip_prefix('~');
        let namespace = match excluded.unwrap_or(namespace) {
            "" | "*" => Place::Any,
            "." => Place::Client,
            named => Place::Named(named.to_owned()),
        };
        Some(Self {
            excludes: excluded.is_some(),
            namespace,
            host: host.to_ascii_lowercase(),
        })
    }

    fn is_for(&self, namespace: &str, client: &str) -> bool {
        match &self.namespace {
            Place::Any => true,
            Place::Client => namespace == client,
            Place::Named(named) => named == namespace,
        }
    }
}

impl Bounds {
    pub(super) fn new<'a>(entries: impl Iterator<Item = &'a str>) -> Self {
        Self {
            entries: Some(entries.filter_map(Entry::new).collect()),
        }
    }

    /// Whether a client sees a service of a namespace by its host, in lower case.
    pub(crate) fn admits(&self, namespace: &str, host: &str, client: &str) -> bool {
        self.matches(
            namespace,
            client,
            |entry| is_within(host, &entry.host),
            host,
        )
    }

    /// Whether a client obeys a VirtualService of a namespace by one of its hosts. A host lets in what it covers, and what
    /// covers it.
    pub(super) fn admits_route(&self, namespace: &str, host: &str, client: &str) -> bool {
        let meets = |entry: &Entry| {
            let both_ways = is_within(host, &entry.host) || is_within(&entry.host, host);
            both_ways
                && (host == entry.host || host.starts_with('*') || entry.host.starts_with('*'))
        };
        self.matches(namespace, client, meets, host)
    }

    fn matches(
        &self,
        namespace: &str,
        client: &str,
        meets: impl Fn(&Entry) -> bool,
        host: &str,
    ) -> bool {
        let Some(entries) = &self.entries else {
            return true;
        };
        let mut admitted = false;
        for entry in entries
            .iter()
            .filter(|entry| entry.is_for(namespace, client))
        {
            match entry.excludes {
                true if is_within(host, &entry.host) => return false,
                true => {}
                false => admitted |= meets(entry),
            }
        }
        admitted
    }
}

/// Istio's `SubsetOf`: whether everything that one host stands for another does, too.
fn is_within(host: &str, other: &str) -> bool {
    match (host.strip_prefix('*'), other.strip_prefix('*')) {
        (Some(end), Some(other)) => end.ends_with(other),
        (None, Some(other)) => host.ends_with(other),
        (_, None) => host == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_bound_what_is_seen() {
        let check = |entries: &[&str], namespace: &str, host: &str, expect: bool| {
            let bounds = Bounds::new(entries.iter().copied());
            let found = bounds.admits(namespace, host, "web");
            assert_eq!(found, expect, "{entries:?} {namespace}/{host}");
        };
        assert!(Bounds::default().admits("shop", "a.example", "web"));
        check(&[], "web", "a.example", false);
        check(&["./*"], "web", "a.example", true);
        check(&["./*"], "shop", "a.example", false);
        check(&["shop/*.example"], "shop", "a.example", true);
        check(&["shop/*.example"], "shop", "*.a.example", true);
        check(&["shop/a.example"], "shop", "*.example", false);
        check(&["*/*", "~shop/*"], "shop", "a.example", false);
        check(&["*/*", "~shop/*"], "web", "a.example", true);
        check(&["*/*", "~/a.example"], "shop", "a.example", false);
        check(&["*/*", "~./b.example"], "web", "b.example", false);
        check(&["./*", "~/*"], "web", "a.example", false);
        check(&["a.example"], "web", "a.example", false);
    }

    #[test]
    fn routes_are_let_in_both_ways() {
        let check = |entries: &[&str], host: &str, expect: bool| {
            let bounds = Bounds::new(entries.iter().copied());
            assert_eq!(bounds.admits_route("shop", host, "web"), expect, "{host}");
        };
        check(&["shop/a.example"], "*.example", true);
        check(&["shop/a.example"], "a.example", true);
        check(&["shop/a.example"], "b.example", false);
        check(&["shop/*.example"], "b.example", true);
        check(&["shop/*.example", "~shop/b.example"], "b.example", false);
    }
}
