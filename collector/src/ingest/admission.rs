//! Bounds what one caller may ask for at once and in a row, so that others find the collector free.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thiserror::Error;

use crate::ingest::identity::Caller;

/// Most requests of one caller at once. A caller is a service account, which many pods may share.
const SLOTS: usize = 512;
/// Requests a second that a caller may go on with, and how many it may make in a row before that.
const RATE: u32 = 2_000;
const BURST: u32 = 10_000;
/// From how many callers on those who have been quiet are forgotten.
const MANY: usize = 1_024;

/// Who is being served, by caller.
#[derive(Default)]
pub(crate) struct Admission {
    accounts: Mutex<HashMap<Caller, Account>>,
}

struct Account {
    inside: usize,
    credit: u32,
    since: Instant,
}

/// A slot that a request has until this is dropped.
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    pub(crate) caller: Caller,
}

/// A caller asks for more than its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Crowded {
    #[error(
        "{SLOTS} requests of this service account are being worked on, which is as many as it may have"
    )]
    Slots,
    #[error("this service account makes more than {RATE} requests a second")]
    Rate,
}

impl Account {
    fn new(now: Instant) -> Self {
        Self {
            inside: 0,
            credit: BURST,
            since: now,
        }
    }

    /// Adds what has been earned since.
    fn earn(&mut self, now: Instant) {
        let earned =
            now.saturating_duration_since(self.since).as_millis() * u128::from(RATE) / 1_000;
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(BURST);
            self.credit = self.credit.saturating_add(earned).min(BURST);
            self.since = now;
        }
    }

    /// Whether a new account would say the same.
    fn is_quiet(&self, now: Instant) -> bool {
        let full = Duration::from_secs((BURST / RATE).into());
        self.inside == 0 && now.saturating_duration_since(self.since) > full
    }
}

impl Admission {
    /// Takes a request in. Callers without an identity have no share: their connections are bounded.
    ///
    /// # Errors
    /// [`Crowded`] when the caller has its share already.
    pub(crate) fn admit(
        self: &Arc<Self>,
        caller: Caller,
        now: Instant,
    ) -> Result<Admitted, Crowded> {
        if let Caller::Proven { .. } = caller {
            let mut accounts = self.accounts.lock();
            if accounts.len() >= MANY && !accounts.contains_key(&caller) {
                accounts.retain(|_, account| !account.is_quiet(now));
            }
            let account = accounts
                .entry(caller.clone())
                .or_insert_with(|| Account::new(now));
            account.earn(now);
            if account.inside >= SLOTS {
                return Err(Crowded::Slots);
            }
            account.credit = account.credit.checked_sub(1).ok_or(Crowded::Rate)?;
            account.inside += 1;
        }
        let admission = Arc::clone(self);
        Ok(Admitted { admission, caller })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if let Some(account) = self.admission.accounts.lock().get_mut(&self.caller) {
            account.inside = account.inside.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Caller {
        Caller::Proven {
            namespace: "shop".to_owned(),
            service_account: name.to_owned(),
        }
    }

    #[test]
    fn one_caller_leaves_slots_for_others() {
        let (admission, now) = (Arc::new(Admission::default()), Instant::now());
        let mut held: Vec<_> = (0..SLOTS)
            .map(|_| admission.admit(caller("a"), now).expect("a slot"))
            .collect();
        assert_eq!(
            admission.admit(caller("a"), now).err(),
            Some(Crowded::Slots)
        );
        assert!(admission.admit(caller("b"), now).is_ok());
        held.pop();
        assert!(admission.admit(caller("a"), now).is_ok());
        for _ in 0..2 * SLOTS {
            held.push(
                admission
                    .admit(Caller::Anybody, now)
                    .expect("no share, no bound"),
            );
        }
    }

    #[test]
    fn a_caller_has_a_rate() {
        let (admission, now) = (Arc::new(Admission::default()), Instant::now());
        let ask = |after_ms: u64, times: u32| {
            let now = now + Duration::from_millis(after_ms);
            (0..times)
                .filter(|_| admission.admit(caller("a"), now).is_ok())
                .count()
        };
        assert_eq!(ask(0, BURST + 5), BURST as usize);
        assert_eq!(ask(100, 1_000), RATE as usize / 10);
        assert_eq!(ask(60_000, BURST + 5), BURST as usize);
    }

    #[test]
    fn quiet_callers_are_forgotten() {
        let (admission, now) = (Arc::new(Admission::default()), Instant::now());
        for name in 0..MANY {
            let _ = admission.admit(caller(&name.to_string()), now);
        }
        let _ = admission.admit(caller("late"), now + Duration::from_secs(60));
        assert_eq!(admission.accounts.lock().len(), 1);
    }
}
