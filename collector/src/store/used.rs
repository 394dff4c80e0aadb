//! Says how one record was used since it was learned.

use std::cmp::Ordering;

use lazymesh_core::{Dependency, ExternalHost, Sightings};
use serde::{Deserialize, Serialize};

use super::record::{self, Key};
use super::{Snapshot, StoreError};

/// A record's key, when it was used first and last, how often, and who saw it. A line is that as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Used(String, u64, u64, u64, Option<Sightings>);

impl Used {
    pub(super) fn dependency(known: &Dependency) -> Result<Self, StoreError> {
        let key = Key::Dependency(known.source.clone(), known.host.clone());
        Ok(Self(
            text(&key)?,
            known.first_seen_ms,
            known.last_seen_ms,
            known.count,
            Some(known.sightings),
        ))
    }

    pub(super) fn external(known: &ExternalHost) -> Result<Self, StoreError> {
        let key = Key::External(known.source.clone(), known.host.clone());
        Ok(Self(
            text(&key)?,
            known.first_seen_ms,
            known.last_seen_ms,
            known.count,
            None,
        ))
    }

    pub(super) fn to_line(&self) -> Vec<u8> {
        // Strings and numbers always have a JSON form.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    pub(super) fn of_line(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// Tells the record of a sorted snapshot. What was forgotten meanwhile stays so, and of what was learned anew the record itself
    /// says more.
    pub(super) fn add_to(self, snapshot: &mut Snapshot) {
        match record::decode_key(self.0.as_bytes()) {
            Ok(Key::Dependency(source, host)) => {
                let order = |it: &Dependency| (&it.source, &it.host).cmp(&(&source, &host));
                let Some(known) = find(&mut snapshot.dependencies, order) else {
                    return;
                };
                let (first_ms, last_ms) = (&mut known.first_seen_ms, &mut known.last_seen_ms);
                if self.tell(first_ms, last_ms, &mut known.count) {
                    known.sightings = self.4.unwrap_or(known.sightings);
                }
            }
            Ok(Key::External(source, host)) => {
                let order = |it: &ExternalHost| (&it.source, &it.host).cmp(&(&source, &host));
                let Some(known) = find(&mut snapshot.externals, order) else {
                    return;
                };
                let (first_ms, last_ms) = (&mut known.first_seen_ms, &mut known.last_seen_ms);
                self.tell(first_ms, last_ms, &mut known.count);
            }
            Ok(Key::Revert(_)) | Err(_) => {}
        }
    }

    /// Tells what a record says, if it is of earlier; whether it is.
    fn tell(&self, first_seen_ms: &mut u64, last_seen_ms: &mut u64, seen: &mut u64) -> bool {
        let Self(_, first_ms, last_ms, count, _) = *self;
        let is_later =
            last_ms > *last_seen_ms || (last_ms == *last_seen_ms && first_ms < *first_seen_ms);
        if is_later {
            (*first_seen_ms, *last_seen_ms, *seen) = (first_ms, last_ms, count);
        }
        is_later
    }
}

fn text(key: &Key) -> Result<String, StoreError> {
    let key = record::encode_key(key)?;
    Ok(String::from_utf8_lossy(&key).into_owned())
}

fn find<T>(sorted: &mut [T], order: impl Fn(&T) -> Ordering) -> Option<&mut T> {
    let at = sorted.binary_search_by(order).ok()?;
    sorted.get_mut(at)
}
