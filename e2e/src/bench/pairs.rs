//! Tells the ratio of turns that were taken in pairs, and when there are enough of them to judge by.

/// Half of the interval that the median must be known to lie in.
const NARROW: f64 = 0.01;
/// Half of a box plot's notch, in interquartile ranges over the root of the number of pairs: the interval in which
/// the median lies with some 95 %.
const NOTCH: f64 = 1.57;

/// The pairs' ratios.
pub(super) struct Ratios(Vec<f64>);

impl Ratios {
    /// Of each value over its baseline.
    pub(super) fn of(values: &[f64], baselines: &[f64]) -> Self {
        let pairs = values.iter().zip(baselines);
        let mut ratios: Vec<f64> = pairs.map(|(value, baseline)| value / baseline).collect();
        ratios.sort_by(f64::total_cmp);
        Self(ratios)
    }

    /// How many pairs there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// First quartile, median, third quartile.
    pub(super) fn quartiles(&self) -> [f64; 3] {
        [0.25, 0.5, 0.75].map(|share| percentile(&self.0, share))
    }

    /// Whether the median is known to about one percent.
    pub(super) fn are_narrow(&self) -> bool {
        let [first, _, third] = self.quartiles();
        NOTCH * (third - first) / (self.count() as f64).sqrt() <= NARROW
    }
}

/// The value below which `share` of all values lie; not a number when there are none.
pub(super) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    sorted
        .get((last * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_of_the_pairs() {
        let ratios = Ratios::of(&[2.0, 9.0, 4.0, 10.0, 6.0], &[2.0, 3.0, 2.0, 2.0, 1.5]);
        assert_eq!(ratios.quartiles(), [2.0, 3.0, 4.0]);
        assert_eq!(ratios.count(), 5);
    }

    #[test]
    fn more_pairs_make_the_same_spread_narrow() {
        let check = |spread: f64, count: usize, expect: bool| {
            let values: Vec<f64> = (0..count)
                .map(|index| 1.0 + spread * (index % 5) as f64)
                .collect();
            let ratios = Ratios::of(&values, &vec![1.0; count]);
            assert_eq!(ratios.are_narrow(), expect, "{spread} {count}");
        };
        check(0.001, 5, true);
        check(0.02, 5, false);
        check(0.02, 40, true);
        check(0.2, 40, false);
        check(0.0, 0, false);
    }
}
