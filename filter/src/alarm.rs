//! The plugin's only timer: set to the next thing that is due, off when nothing is. An idle tick costs CPU in every
//! worker of every sidecar.

/// Longest period, in milliseconds; a later alarm rings early and is set again.
const MAX_PERIOD_MS: u64 = 60_000;

/// The host's periodic tick, used as an alarm.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    period_ms: u32,
    rings_ms: u64,
}

impl Alarm {
    /// The period to set so that it rings by then, if the one that is set would be too late.
    pub(crate) fn by(&mut self, due_ms: Option<u64>, now_ms: u64) -> Option<u32> {
        let due_ms = due_ms?;
        if self.period_ms != 0 && self.rings_ms <= due_ms {
            return None;
        }
        self.set(period(due_ms, now_ms), now_ms)
    }

    /// As [`Alarm::by`], when it has just rung: turns it off when nothing is due.
    pub(crate) fn next(&mut self, due_ms: Option<u64>, now_ms: u64) -> Option<u32> {
        self.set(due_ms.map_or(0, |due_ms| period(due_ms, now_ms)), now_ms)
    }

    fn set(&mut self, period_ms: u32, now_ms: u64) -> Option<u32> {
        self.rings_ms = now_ms.saturating_add(period_ms.into());
        let changed = period_ms != self.period_ms;
        self.period_ms = period_ms;
        changed.then_some(period_ms)
    }
}

fn period(due_ms: u64, now_ms: u64) -> u32 {
    let period_ms = due_ms.saturating_sub(now_ms).clamp(1, MAX_PERIOD_MS);
    u32::try_from(period_ms).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_only_when_it_would_ring_too_late() {
        let mut alarm = Alarm::default();
        assert_eq!(alarm.by(None, 0), None);
        assert_eq!(alarm.by(Some(100), 0), Some(100));
        assert_eq!(alarm.by(Some(200), 50), None);
        assert_eq!(alarm.by(Some(55), 50), Some(5));
        assert_eq!(alarm.by(Some(56), 51), None);
    }

    #[test]
    fn off_when_nothing_is_due() {
        let mut alarm = Alarm::default();
        alarm.by(Some(5), 0);
        assert_eq!(
            alarm.next(Some(10), 5),
            None,
            "the host repeats a period by itself"
        );
        assert_eq!(alarm.next(Some(110), 10), Some(100));
        assert_eq!(alarm.next(None, 110), Some(0));
        assert_eq!(alarm.next(None, 110), None);
        assert_eq!(alarm.by(Some(111), 110), Some(1));
    }

    #[test]
    fn overdue_and_far_off() {
        let mut alarm = Alarm::default();
        assert_eq!(alarm.by(Some(0), 100), Some(1));
        assert_eq!(alarm.next(Some(u64::MAX), 101), Some(60_000));
    }
}
