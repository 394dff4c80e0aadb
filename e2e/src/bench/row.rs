//! One line of a benchmark's answer.

use std::fmt;

use serde::Serialize;

use super::pairs::{Ratios, percentile};

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
    /// Where turns were paired.
    #[serde(flatten)]
    pub pairs: Option<Pairs>,
}

/// How far the ratios of pairs lie apart.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pairs {
    /// How many there are.
    pub pairs: usize,
    /// First and third quartile of their ratios.
    pub ratio_quartiles: [f64; 2],
}

impl Row {
    pub(super) fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        baseline: f64,
    ) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            baseline,
            ratio: value / baseline,
            pairs: None,
        }
    }

    /// Medians of turns that were taken in pairs.
    pub(super) fn paired(
        name: impl Into<String>,
        values: &[f64],
        unit: &'static str,
        baselines: &[f64],
    ) -> Self {
        let ratios = Ratios::of(values, baselines);
        let [first, median, third] = ratios.quartiles();
        Self {
            ratio: median,
            pairs: Some(Pairs {
                pairs: ratios.count(),
                ratio_quartiles: [first, third],
            }),
            ..Self::new(
                name,
                percentile(values, 0.5),
                unit,
                percentile(baselines, 0.5),
            )
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            value,
            unit,
            baseline,
            ratio,
            pairs,
        } = self;
        write!(
            f,
            "{name:<22} {value:>16.3} {unit:<13} baseline {baseline:>16.3}  ratio {ratio:.3}"
        )?;
        if let Some(Pairs {
            pairs,
            ratio_quartiles: [first, third],
        }) = pairs
        {
            write!(f, " ({first:.3} to {third:.3}, {pairs} pairs)")?;
        }
        Ok(())
    }
}
