//! Tells whether the collector has what it needs to answer, and what it still waits for.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

/// One thing that the collector needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// `store`, `inventory`, `publisher`, `attachment`, `prometheus`, `filters` or `canaries`.
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

impl NotReady {
    /// What is said to filters, who have nothing to do with files and their faults.
    pub(crate) fn not_whole() -> Self {
        let reason = "the inventory is not whole, so what is not in it may be in the mesh; /readyz of the admin port says why";
        Self(reason.to_owned())
    }
}

/// The state behind `/readyz`.
pub(crate) struct Readiness {
    /// Whether there is enough to decide anything.
    ready: AtomicBool,
    /// Whether all of the inventory could be used at least once.
    was_whole: watch::Sender<bool>,
    /// Why only a restart can help, once that is so.
    dead: watch::Sender<Option<String>>,
    parts: Mutex<Parts>,
}

struct Parts {
    store: Result<(), String>,
    inventory: Result<(), String>,
    /// What of a synced inventory cannot be used.
    unusable: Option<String>,
    publisher: Result<(), String>,
    attachment: Result<(), String>,
    prometheus: Result<(), String>,
    filters: Result<(), String>,
    canaries: Result<(), String>,
}

impl Parts {
    fn whole_inventory(&self) -> Result<(), String> {
        self.inventory.clone()?;
        self.unusable.clone().map_or(Ok(()), Err)
    }
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self {
            ready: AtomicBool::new(false),
            was_whole: watch::Sender::new(false),
            dead: watch::Sender::new(None),
            parts: Mutex::new(Parts {
                store: Err("the store is being loaded".to_owned()),
                inventory: Err("the inventory has not synced yet".to_owned()),
                unusable: None,
                publisher: Ok(()),
                attachment: Ok(()),
                prometheus: Ok(()),
                filters: Ok(()),
                canaries: Ok(()),
            }),
        }
    }

    pub(crate) fn store_loaded(&self) {
        self.update(|parts| parts.store = Ok(()));
    }

    /// The store will take nothing more until it is opened anew.
    pub(crate) fn store_died(&self, reason: String) {
        self.update(|parts| parts.store = Err(reason.clone()));
        self.dead.send_if_modified(|dead| {
            let first = dead.is_none();
            dead.get_or_insert(reason);
            first
        });
    }

    /// Whether only a restart can help.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.borrow().is_some()
    }

    /// Ready when only a restart can help, with the reason.
    pub(crate) async fn died(&self) -> String {
        let mut dead = self.dead.subscribe();
        let reason = dead.wait_for(Option::is_some).await;
        reason
            .ok()
            .and_then(|reason| reason.clone())
            .unwrap_or_default()
    }

    pub(crate) fn inventory(&self, state: Result<(), String>) {
        self.update(|parts| parts.inventory = state);
    }

    /// Something of the inventory cannot be used, or all of it can. What is known goes on being decided.
    pub(crate) fn unusable(&self, what: Option<String>) {
        self.update(|parts| parts.unusable = what);
    }

    /// Waits until all of the inventory could be used once: what is planned before that may lack something that an
    /// earlier collector knew.
    pub(crate) async fn whole_once(&self) {
        // The sender lives as long as this does.
        let _ = self.was_whole.subscribe().wait_for(|was| *was).await;
    }

    pub(crate) fn publisher(&self, state: Result<(), String>) {
        self.update(|parts| parts.publisher = state);
    }

    pub(crate) fn attachment(&self, state: Result<(), String>) {
        self.update(|parts| parts.attachment = state);
    }

    pub(crate) fn prometheus(&self, state: Result<(), String>) {
        self.update(|parts| parts.prometheus = state);
    }

    pub(crate) fn filters(&self, state: Result<(), String>) {
        self.update(|parts| parts.filters = state);
    }

    pub(crate) fn canaries(&self, state: Result<(), String>) {
        self.update(|parts| parts.canaries = state);
    }

    fn update(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock();
        change(&mut parts);
        let ready = parts.store.is_ok() && parts.inventory.is_ok();
        self.ready.store(ready, Ordering::Release);
        if parts.whole_inventory().is_ok() {
            self.was_whole.send_replace(true);
        }
    }

    /// Whether nothing is missing.
    pub(crate) fn is_ready(&self) -> bool {
        self.require_all().is_ok()
    }

    /// Whether what is not in the inventory is not in the mesh.
    pub(crate) fn is_whole(&self) -> bool {
        self.parts.lock().whole_inventory().is_ok()
    }

    /// What is behind `/readyz`.
    ///
    /// # Errors
    /// [`NotReady`] names what is missing, or cannot be used.
    pub(crate) fn require_all(&self) -> Result<(), NotReady> {
        let parts = self.parts.lock();
        let missing = [parts.store.clone(), parts.whole_inventory()];
        let missing: Vec<String> = missing.into_iter().filter_map(Result::err).collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(NotReady(missing.join("; "))),
        }
    }

    /// What a decision needs.
    ///
    /// # Errors
    /// [`NotReady`] names what is missing.
    pub(crate) fn require(&self) -> Result<(), NotReady> {
        if self.ready.load(Ordering::Acquire) {
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
            ("inventory", &parts.whole_inventory(), true),
            ("publisher", &parts.publisher, false),
            ("attachment", &parts.attachment, false),
            ("prometheus", &parts.prometheus, false),
            ("filters", &parts.filters, false),
            ("canaries", &parts.canaries, false),
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
        let found = readiness.require_all().map_err(|error| error.to_string());
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
    fn an_inventory_that_is_not_whole_decides_what_it_knows() {
        let readiness = Readiness::new();
        readiness.store_loaded();
        readiness.unusable(Some("a.yaml:3".to_owned()));
        readiness.inventory(Ok(()));
        assert!(readiness.require().is_ok());
        let missing = readiness.require_all().unwrap_err().to_string();
        assert_eq!(missing, "a.yaml:3");
        assert!(!readiness.is_whole() && !*readiness.was_whole.borrow());
        readiness.unusable(None);
        assert!(readiness.is_ready() && readiness.is_whole());
        readiness.unusable(Some("b.yaml:1".to_owned()));
        assert!(!readiness.is_ready() && *readiness.was_whole.borrow());
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
