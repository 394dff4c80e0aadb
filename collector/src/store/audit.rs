//! Finds out whether what the store holds is what was written.

use std::collections::BTreeSet;

use super::checked::{Sum, unwrap};
use super::keys::{self, GENERATION_KEY, SUM_PREFIX};
use super::ledger::Ledger;
use super::record;

/// Reads a store's records and its account of them, each as it comes.
#[derive(Default)]
pub(super) struct Audit {
    counted: Ledger,
    written: Ledger,
    faults: Vec<String>,
}

impl Audit {
    /// Takes one entry of the store.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) {
        if let Err(reason) = self.try_take(key, value) {
            self.faults.push(format!("{} {reason}", key.escape_ascii()));
        }
    }

    fn try_take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let body = unwrap(key, value)?;
        if key == GENERATION_KEY {
            let text = std::str::from_utf8(body).ok();
            let generation = text.and_then(|text| text.parse().ok());
            self.written.generation = generation.ok_or("is not a number")?;
        } else if let Some(group) = key.strip_prefix(SUM_PREFIX) {
            let sum = Sum::from_text(body).ok_or("is not a sum")?;
            self.written.groups.insert(group.to_vec(), sum);
        } else {
            record::check(key, body)?;
            self.counted.change(key, None, Some(value));
        }
        Ok(())
    }

    /// The account, when it is right.
    ///
    /// # Errors
    /// Everything that is wrong, in words.
    pub(super) fn close(mut self) -> Result<Ledger, Vec<String>> {
        let groups = self.counted.groups.keys().chain(self.written.groups.keys());
        let groups: BTreeSet<_> = groups.collect();
        for group in groups {
            let sum = |ledger: &Ledger| ledger.groups.get(group).copied().unwrap_or_default();
            let (found, expected) = (sum(&self.counted), sum(&self.written));
            let name = keys::group_name(group);
            if found.count != expected.count {
                let (found, expected) = (found.count, expected.count);
                self.faults
                    .push(format!("expected {expected} {name}, got {found}"));
            } else if found != expected {
                self.faults
                    .push(format!("{name} are not those that were written"));
            }
        }
        match self.faults.is_empty() {
            true => Ok(self.written),
            false => Err(self.faults),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::Change;
    use crate::store::checked::wrap;
    use crate::store::fixtures::{dependency, external};
    use crate::store::record::{Op, encode};

    type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

    fn entries() -> Entries {
        let mut ledger = Ledger::new(7);
        let mut entries = Entries::new();
        for change in [
            Change::Dependency(dependency("web", "a")),
            Change::Dependency(dependency("web", "b")),
            Change::External(external("web", "example.com")),
        ] {
            if let Op::Put { key, value } = encode(&change).unwrap() {
                ledger.change(&key, None, Some(&value));
                entries.insert(key, value);
            }
        }
        let own = ledger.entries(entries.keys().map(Vec::as_slice));
        entries.extend(
            own.into_iter()
                .filter_map(|(key, value)| Some((key, value?))),
        );
        entries
    }

    fn audit(entries: &Entries) -> Result<Ledger, String> {
        let mut audit = Audit::default();
        for (key, value) in entries {
            audit.take(key, value);
        }
        audit.close().map_err(|faults| faults.join("; "))
    }

    #[test]
    fn an_account_that_is_right_is_read_back() {
        let ledger = audit(&entries()).unwrap();
        assert_eq!(ledger.generation, 7);
        assert_eq!(ledger.total().count, 3);
        assert_eq!(audit(&Entries::new()).unwrap(), Ledger::default());
    }

    #[test]
    fn whatever_is_gone_or_differs_shows() {
        for key in entries().keys() {
            let mut gone = entries();
            gone.remove(key);
            let is_generation = key == GENERATION_KEY;
            // That one is compared with the seal.
            assert_eq!(
                audit(&gone).is_ok(),
                is_generation,
                "{}",
                key.escape_ascii()
            );
            let mut differs = entries();
            differs.insert(key.clone(), wrap(b"another", b"body"));
            assert!(audit(&differs).is_err());
        }
        let mut stale = entries();
        let old = external("web", "example.com");
        let old = lazymesh_core::ExternalHost { count: 1, ..old };
        if let Op::Put { key, value } = encode(&Change::External(old)).unwrap() {
            stale.insert(key, value);
        }
        let fault = audit(&stale).unwrap_err();
        assert_eq!(
            fault,
            "external hosts of shop are not those that were written"
        );
    }

    #[test]
    fn a_fault_says_what_is_gone() {
        let mut gone = entries();
        gone.remove(b"d/shop/web/prod/a.prod.svc.cluster.local".as_slice());
        assert_eq!(
            audit(&gone).unwrap_err(),
            "expected 2 dependencies of shop, got 1"
        );
    }
}
