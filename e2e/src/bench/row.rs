use serde::Serialize;

/// One figure beside what it is compared with.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure, in `unit`.
    pub value: f64,
    /// Unit of `value` and `baseline`.
    pub unit: &'static str,
    /// The same thing without what is measured, in the same run.
    pub baseline: f64,
    /// `value` over `baseline`; where turns were paired, the median of the pairs' ratios.
    pub ratio: f64,
}

impl Row {
    pub(super) fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        baseline: f64,
    ) -> Self {
        let ratio = value / baseline;
        Self {
            name: name.into(),
            value,
            unit,
            baseline,
            ratio,
        }
    }

    /// Medians of turns that were taken in pairs.
    pub(super) fn paired(
        name: impl Into<String>,
        values: &[f64],
        unit: &'static str,
        baselines: &[f64],
    ) -> Self {
        let pairs = values.iter().zip(baselines);
        let ratios: Vec<f64> = pairs.map(|(value, baseline)| value / baseline).collect();
        Self {
            ratio: percentile(&ratios, 0.5),
            ..Self::new(
                name,
                percentile(values, 0.5),
                unit,
                percentile(baselines, 0.5),
            )
        }
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
