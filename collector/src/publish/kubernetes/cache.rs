//! Remembers our Sidecars as the watch last saw them, and as they were last published: so that our own changes are told
//! from those of others.

use std::collections::HashMap;

use parking_lot::Mutex;
use serde_json::Value;

use crate::publish::kubernetes::owner::is_as_desired;
use crate::publish::sink::Published;

/// Shared by the source, which sees what is there, and the sink, which knows what should be.
#[derive(Default)]
pub(crate) struct SidecarCache {
    sidecars: Mutex<HashMap<Published, Known>>,
}

#[derive(Default)]
struct Known {
    live: Option<Value>,
    desired: Option<Value>,
}

impl Known {
    fn is_settled(&self) -> bool {
        match (&self.live, &self.desired) {
            (None, None) => true,
            (Some(live), Some(desired)) => is_as_desired(live, desired),
            _ => false,
        }
    }
}

impl SidecarCache {
    /// Notes what is there, `None` for nothing of ours. `false` if somebody else made it differ from what was
    /// published.
    pub(crate) fn saw(&self, place: Published, live: Option<Value>) -> bool {
        self.with(place, |known| {
            known.live = live;
            known.is_settled()
        })
    }

    /// Notes what should be there, and whether it is.
    pub(crate) fn want(&self, place: Published, desired: Option<Value>) -> bool {
        self.with(place, |known| {
            known.desired = desired;
            known.is_settled()
        })
    }

    /// The Sidecar of ours that is there.
    pub(crate) fn live(&self, place: &Published) -> Option<Value> {
        self.sidecars.lock().get(place)?.live.clone()
    }

    /// The places where something of ours was seen.
    pub(crate) fn seen(&self) -> Vec<Published> {
        let sidecars = self.sidecars.lock();
        let seen = sidecars.iter().filter(|(_, known)| known.live.is_some());
        seen.map(|(place, _)| place.clone()).collect()
    }

    fn with(&self, place: Published, change: impl FnOnce(&mut Known) -> bool) -> bool {
        let mut sidecars = self.sidecars.lock();
        let known = sidecars.entry(place.clone()).or_default();
        let settled = change(known);
        if known.live.is_none() && known.desired.is_none() {
            sidecars.remove(&place);
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_do_is_told_from_our_own_echo() {
        let cache = SidecarCache::default();
        let place = || Published {
            namespace: "a".to_owned(),
            name: "lazymesh-x".to_owned(),
        };
        let sidecar = |host: &str| json!({ "spec": { "egress": [{ "hosts": [host] }] } });
        assert!(!cache.want(place(), Some(sidecar("a/b"))), "not there yet");
        assert!(cache.saw(place(), Some(sidecar("a/b"))), "our own echo");
        assert!(cache.want(place(), Some(sidecar("a/b"))), "nothing to do");
        assert!(!cache.saw(place(), Some(sidecar("*/*"))), "edited");
        assert_eq!(cache.seen(), [place()]);
        assert!(!cache.saw(place(), None), "deleted");
        assert!(!cache.saw(place(), Some(sidecar("a/b"))) || cache.seen() == [place()]);
        cache.want(place(), None);
        assert!(cache.saw(place(), None), "withdrawn");
        assert!(cache.sidecars.lock().is_empty());
        assert!(!cache.saw(place(), Some(sidecar("a/b"))), "nobody wants it");
    }
}
