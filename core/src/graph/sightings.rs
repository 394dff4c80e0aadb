//! Remembers who saw a dependency, and when: each witness by itself, so that one which was down proves nothing.

use serde::{Deserialize, Serialize};

/// What sees calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness {
    /// The filter: what its sidecar did not know.
    Filter,
    /// The sidecar's access log: a sample of everything.
    AccessLog,
    /// Prometheus, which has the sidecars' counters: the past, too.
    Prometheus,
}

/// When a witness saw something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// First, in milliseconds since 1970.
    pub first_ms: u64,
    /// Last, in milliseconds since 1970.
    pub last_ms: u64,
}

/// Who saw a dependency, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sightings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filter: Option<Seen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_log: Option<Seen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prometheus: Option<Seen>,
    /// For how long its workload was watched since.
    #[serde(default, skip_serializing_if = "is_zero")]
    silence_ms: u64,
}

impl Seen {
    /// Whether a time is between the first and the last.
    #[must_use]
    pub(super) fn covers(&self, at_ms: u64) -> bool {
        (self.first_ms..=self.last_ms).contains(&at_ms)
    }
}

impl Sightings {
    /// Seen by one witness only.
    #[must_use]
    pub fn of(witness: Witness, seen: Seen) -> Self {
        let mut sightings = Self::default();
        sightings.add(witness, seen);
        sightings
    }

    /// What there is, in the order of [`Witness`].
    pub fn iter(&self) -> impl Iterator<Item = (Witness, Seen)> + use<> {
        let all = [
            (Witness::Filter, self.filter),
            (Witness::AccessLog, self.access_log),
            (Witness::Prometheus, self.prometheus),
        ];
        all.into_iter()
            .filter_map(|(witness, seen)| Some((witness, seen?)))
    }

    /// For how long, in milliseconds, a witness has watched the workload and nobody has seen the dependency.
    #[must_use]
    pub fn silence_ms(&self) -> u64 {
        self.silence_ms
    }

    /// Lengthens the silence, at most to so much.
    pub(super) fn lengthen(&mut self, watched_ms: u64, most_ms: u64) {
        self.silence_ms = self.silence_ms.saturating_add(watched_ms).min(most_ms);
    }

    pub(super) fn add(&mut self, witness: Witness, seen: Seen) {
        let mut known = self.iter().map(|(_, seen)| seen.last_ms);
        let is_past = known.any(|last_ms| last_ms > seen.last_ms);
        if !(is_past && witness == Witness::Prometheus) {
            self.silence_ms = 0;
        }
        let known = match witness {
            Witness::Filter => &mut self.filter,
            Witness::AccessLog => &mut self.access_log,
            Witness::Prometheus => &mut self.prometheus,
        };
        *known = Some(known.map_or(seen, |known| Seen {
            first_ms: known.first_ms.min(seen.first_ms),
            last_ms: known.last_ms.max(seen.last_ms),
        }));
    }

    pub(super) fn merge(&mut self, other: Self) {
        let silence_ms = self.silence_ms.min(other.silence_ms);
        for (witness, seen) in other.iter() {
            self.add(witness, seen);
        }
        self.silence_ms = silence_ms;
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
