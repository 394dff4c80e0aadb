//! Whether the collector has what it needs to answer, and what it still waits for.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

/// One thing that the collector needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// `store`, `inventory`, `publisher` or `attachment`.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Whether the collector is unready without it.
    pub required: bool,
    /// What is missing, or what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The collector lacks something that it needs to answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(String);

/// The state behind `/readyz`.
pub(crate) struct Readiness {
    ready: AtomicBool,
    parts: Mutex<Parts>,
}

struct Parts {
    /// Set when only a restart can help.
    dead: bool,
    store: Result<(), String>,
    inventory: Result<(), String>,
    publisher: Result<(), String>,
    attachment: Result<(), String>,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self {
            ready: AtomicBool::new(false),
            parts: Mutex::new(Parts {
                dead: false,
                store: Err("the store is being loaded".to_owned()),
                inventory: Err("the inventory has not synced yet".to_owned()),
                publisher: Ok(()),
                attachment: Ok(()),
            }),
        }
    }

    pub(crate) fn store_loaded(&self) {
        self.update(|parts| parts.store = Ok(()));
    }

    /// The store will take nothing more until it is opened anew.
    pub(crate) fn store_died(&self, reason: String) {
        self.update(|parts| {
            parts.dead = true;
            parts.store = Err(reason);
        });
    }

    /// What only a restart can cure.
    pub(crate) fn dead(&self) -> Option<String> {
        let parts = self.parts.lock();
        parts.store.clone().err().filter(|_| parts.dead)
    }

    pub(crate) fn inventory(&self, state: Result<(), String>) {
        self.update(|parts| parts.inventory = state);
    }

    pub(crate) fn publisher(&self, state: Result<(), String>) {
        self.update(|parts| parts.publisher = state);
    }

    pub(crate) fn attachment(&self, state: Result<(), String>) {
        self.update(|parts| parts.attachment = state);
    }

    fn update(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock();
        change(&mut parts);
        let ready = parts.store.is_ok() && parts.inventory.is_ok();
        self.ready.store(ready, Ordering::Release);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// # Errors
    /// [`NotReady`] names what is missing.
    pub(crate) fn require(&self) -> Result<(), NotReady> {
        if self.is_ready() {
            return Ok(());
        }
        let parts = self.parts.lock();
        let missing: Vec<&str> = [&parts.store, &parts.inventory]
            .into_iter()
            .filter_map(|part| part.as_ref().err().map(String::as_str))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(NotReady(missing.join("; ")))
    }

    pub(crate) fn checks(&self) -> Vec<Check> {
        let parts = self.parts.lock();
        [
            ("store", &parts.store, true),
            ("inventory", &parts.inventory, true),
            ("publisher", &parts.publisher, false),
            ("attachment", &parts.attachment, false),
        ]
        .into_iter()
        .map(|(name, state, required)| Check {
            name,
            ok: state.is_ok(),
            required,
            detail: state.as_ref().err().cloned(),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&Readiness), expect: Result<(), &str>) {
        let readiness = Readiness::new();
        change(&readiness);
        let found = readiness.require().map_err(|error| error.to_string());
        assert_eq!(found, expect.map_err(str::to_owned));
        assert_eq!(readiness.is_ready(), found.is_ok());
    }

    #[test]
    fn says_what_is_missing() {
        check(
            |_| {},
            Err("the store is being loaded; the inventory has not synced yet"),
        );
        check(
            Readiness::store_loaded,
            Err("the inventory has not synced yet"),
        );
        check(
            |readiness| {
                readiness.store_loaded();
                readiness.inventory(Ok(()));
            },
            Ok(()),
        );
    }

    #[test]
    fn what_only_keeps_scopes_large_is_told_but_tolerated() {
        let readiness = Readiness::new();
        readiness.store_loaded();
        readiness.inventory(Ok(()));
        readiness.publisher(Err("the disk is full".to_owned()));
        readiness.attachment(Err("no such Istio".to_owned()));
        assert!(readiness.is_ready());
        let tolerated = readiness
            .checks()
            .into_iter()
            .filter(|check| !check.ok && !check.required);
        let told: Vec<_> = tolerated.filter_map(|check| check.detail).collect();
        assert_eq!(told, ["the disk is full", "no such Istio"]);
    }
}
