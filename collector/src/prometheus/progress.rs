//! Says which time is to be read next: what is new before what is old, and the past day by day, backwards.

use std::time::Duration;

const MS: u64 = 1_000;
/// What is read first: in it each living pod has all that it has ever called.
const FIRST_MS: u64 = 600 * MS;
/// What one question asks for, at most and at least.
const LONGEST_MS: u64 = 86_400 * MS;
const SHORTEST_MS: u64 = 3_600 * MS;

/// A span of time, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    /// Whether it is of the past, from before this collector began to read.
    pub(crate) past: bool,
}

impl Window {
    pub(crate) fn span(&self) -> Duration {
        Duration::from_millis(self.to_ms.saturating_sub(self.from_ms))
    }
}

/// What has been read, without a gap.
pub(crate) struct Progress {
    every_ms: u64,
    lookback_ms: u64,
    read: Option<Read>,
    /// How much is asked for at once, at most.
    step_ms: u64,
}

#[derive(Clone, Copy)]
struct Read {
    from_ms: u64,
    to_ms: u64,
    /// From where on the past is read.
    begin_ms: u64,
}

impl Progress {
    pub(crate) fn new(every: Duration, lookback: Duration) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            every_ms: ms(every),
            lookback_ms: ms(lookback),
            read: None,
            step_ms: LONGEST_MS,
        }
    }

    /// What is to be read now, if anything is.
    pub(crate) fn next(&self, now_ms: u64) -> Option<Window> {
        let Some(read) = self.read else {
            return Some(Window {
                from_ms: now_ms.saturating_sub(FIRST_MS),
                to_ms: now_ms,
                past: false,
            });
        };
        if now_ms >= read.to_ms.saturating_add(self.every_ms) {
            let to_ms = now_ms.min(read.to_ms.saturating_add(self.step_ms));
            return Some(Window {
                from_ms: read.to_ms,
                to_ms,
                past: false,
            });
        }
        let from_ms = read.from_ms.saturating_sub(self.step_ms).max(read.begin_ms);
        (from_ms < read.from_ms).then_some(Window {
            from_ms,
            to_ms: read.from_ms,
            past: true,
        })
    }

    /// It has been read.
    pub(crate) fn done(&mut self, window: &Window) {
        let first = Read {
            from_ms: window.from_ms,
            to_ms: window.to_ms,
            begin_ms: window.to_ms.saturating_sub(self.lookback_ms),
        };
        let read = self.read.get_or_insert(first);
        read.from_ms = read.from_ms.min(window.from_ms);
        read.to_ms = read.to_ms.max(window.to_ms);
        // A minute that could be read says nothing of days.
        if window.to_ms - window.from_ms >= self.step_ms {
            self.step_ms = self.step_ms.saturating_mul(2).min(LONGEST_MS);
        }
    }

    /// It could not be read, maybe for being too long.
    pub(crate) fn failed(&mut self) {
        self.step_ms = (self.step_ms / 2).max(SHORTEST_MS);
    }

    /// Whether all of the past has been read.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.read.is_some_and(|read| read.from_ms <= read.begin_ms)
    }

    /// Until when it has been read.
    pub(crate) fn until_ms(&self) -> Option<u64> {
        self.read.map(|read| read.to_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600 * MS;
    const DAY: u64 = 24 * HOUR;
    const NOW: u64 = 1_000 * DAY;

    fn span(window: Option<Window>) -> Option<(u64, u64)> {
        window.map(|it| (it.from_ms, it.to_ms))
    }

    fn progress(lookback: u64) -> Progress {
        Progress::new(Duration::from_secs(60), Duration::from_millis(lookback))
    }

    #[test]
    fn the_past_is_read_backwards_without_a_gap() {
        let mut progress = progress(2 * DAY + HOUR);
        let mut windows = Vec::new();
        while let Some(window) = progress.next(NOW) {
            windows.push((window.from_ms, window.to_ms));
            progress.done(&window);
        }
        let first = NOW - FIRST_MS;
        let begin = NOW - 2 * DAY - HOUR;
        assert_eq!(
            windows,
            [
                (first, NOW),
                (first - DAY, first),
                (first - 2 * DAY, first - DAY),
                (begin, first - 2 * DAY)
            ]
        );
        assert!(progress.is_caught_up());
    }

    #[test]
    fn what_is_new_comes_first_and_is_never_left_out() {
        let mut progress = progress(30 * DAY);
        let first = progress.next(NOW).expect("a window");
        progress.done(&first);
        let check = |progress: &Progress, now: u64, expect: (u64, u64)| {
            assert_eq!(span(progress.next(now)), Some(expect), "{now}");
        };
        check(
            &progress,
            NOW + 59 * MS,
            (NOW - FIRST_MS - DAY, NOW - FIRST_MS),
        );
        check(&progress, NOW + 60 * MS, (NOW, NOW + 60 * MS));
        // After an outage, all that it has missed.
        check(&progress, NOW + 3 * HOUR, (NOW, NOW + 3 * HOUR));
        check(&progress, NOW + 3 * DAY, (NOW, NOW + DAY));
        // A clock that was put back.
        check(
            &progress,
            NOW - HOUR,
            (NOW - FIRST_MS - DAY, NOW - FIRST_MS),
        );
        assert!(!progress.is_caught_up());
    }

    #[test]
    fn what_is_too_much_is_asked_for_in_smaller_parts() {
        let mut progress = progress(30 * DAY);
        let first = progress.next(NOW).expect("a window");
        progress.done(&first);
        let next = |progress: &Progress| progress.next(NOW).expect("a window");
        for expect in [DAY, DAY / 2, DAY / 4] {
            let window = next(&progress);
            assert_eq!(window.span(), Duration::from_millis(expect));
            progress.failed();
        }
        for _ in 0..10 {
            progress.failed();
        }
        let window = next(&progress);
        assert_eq!(window.span(), Duration::from_millis(HOUR));
        // So is what an outage has left unread.
        let missed = progress.next(NOW + DAY);
        assert_eq!(span(missed), Some((NOW, NOW + HOUR)));
        progress.done(&window);
        assert_eq!(next(&progress).span(), Duration::from_millis(2 * HOUR));
        let minute = progress.next(NOW + 60 * MS).expect("a window");
        progress.done(&minute);
        assert_eq!(next(&progress).span(), Duration::from_millis(2 * HOUR));
    }
}
