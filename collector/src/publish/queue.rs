//! The agenda, shared: requests put Sidecars on it, the publishing task takes them off.

use std::time::Instant;

use lazymesh_core::Workload;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::publish::workqueue::{Agenda, Target};

#[derive(Default)]
pub(crate) struct PublishQueue {
    agenda: Mutex<Agenda>,
    changed: Notify,
}

impl PublishQueue {
    /// Asks for targets to be planned and published.
    pub(crate) fn add(&self, targets: impl IntoIterator<Item = Target>) {
        let now = Instant::now();
        let mut agenda = self.agenda.lock();
        for target in targets {
            agenda.add(target, now);
        }
        drop(agenda);
        self.changed.notify_one();
    }

    /// Asks for a target to be planned and published at a later time.
    pub(crate) fn add_at(&self, target: Target, due: Instant) {
        self.agenda.lock().add_at(target, due);
        self.changed.notify_one();
    }

    /// Asks for a target whose change a held request waits for.
    pub(crate) fn hurry(&self, target: Target) {
        self.agenda.lock().hurry(target, Instant::now());
        self.changed.notify_one();
    }

    /// Waits until a target is due and takes it.
    pub(crate) async fn next(&self) -> Target {
        loop {
            let next = {
                let mut agenda = self.agenda.lock();
                if let Some(target) = agenda.take(Instant::now()) {
                    return target;
                }
                agenda.next()
            };
            match next {
                None => self.changed.notified().await,
                Some(due) => {
                    tokio::select! {
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep_until(due.into()) => {}
                    }
                }
            }
        }
    }

    /// Takes a workload that is due and that a held request waits for.
    pub(crate) fn take_urgent(&self) -> Option<Workload> {
        self.agenda.lock().take_urgent(Instant::now())
    }

    /// Looks at or changes the agenda itself.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Agenda) -> T) -> T {
        look(&mut self.agenda.lock())
    }
}
