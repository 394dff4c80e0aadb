//! Tells the collector that there is a filter: it makes no namespace lazy before it has heard from one there.

/// Workers begin at different times within this, in milliseconds: a module is rolled out to a whole mesh at once.
const SPREAD_MS: u64 = 1_000;
/// When to try again after the collector could not be told, in milliseconds.
const RETRY_MS: u64 = 5_000;

/// When to tell.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    interval_ms: u64,
    delay_ms: u64,
    due_ms: Option<u64>,
}

impl Heartbeat {
    /// Told every so many milliseconds; 0: never. Nothing is due before [`Heartbeat::start`].
    pub(crate) fn new(interval_ms: u32, seed: u64) -> Self {
        Self {
            interval_ms: interval_ms.into(),
            delay_ms: seed.checked_rem(SPREAD_MS).unwrap_or_default(),
            due_ms: None,
        }
    }

    /// The filter can tell from now on.
    pub(crate) fn start(&mut self, now_ms: u64) {
        self.due_ms = (self.interval_ms != 0).then(|| now_ms.saturating_add(self.delay_ms));
    }

    /// It is being told; until the collector has answered, that may have failed. One that fails anyhow is told so no
    /// sooner again.
    pub(crate) fn sent(&mut self, now_ms: u64, works: bool) {
        let retry_ms = if works { RETRY_MS } else { self.interval_ms };
        self.put_off(now_ms, retry_ms);
    }

    /// The collector knows.
    pub(crate) fn answered(&mut self, now_ms: u64) {
        self.put_off(now_ms, self.interval_ms);
    }

    /// When to tell it next, in milliseconds.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.due_ms
    }

    fn put_off(&mut self, now_ms: u64, by_ms: u64) {
        if let Some(due_ms) = &mut self.due_ms {
            *due_ms = now_ms.saturating_add(by_ms);
        }
    }
}
