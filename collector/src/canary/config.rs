//! Holds what can be said about canaries on the command line.

use std::time::Duration;

use clap::Args;
use lazymesh_core::Bounds;

use crate::runtime::flag::{duration, number};

/// How much may go wrong with a workload of a namespace that is enforced bit by bit.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Canaries")]
pub struct CanaryConfig {
    /// Within which time what follows is counted, as in 5m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, env = "LAZYMESH_CANARY_WITHIN")]
    pub canary_within: Duration,
    /// Most holds of one workload that may time out, until its namespace gets its full scope back; of namespaces with the
    /// label lazymesh.io/enforce-percent
    #[arg(
        long,
        value_name = "N",
        default_value_t = Bounds::default().hold_timeouts,
        value_parser = number(0..=u64::MAX),
        env = "LAZYMESH_CANARY_HOLD_TIMEOUTS"
    )]
    pub canary_hold_timeouts: u64,
    /// As above, of questions to the collector that get no answer
    #[arg(
        long,
        value_name = "N",
        default_value_t = Bounds::default().callout_failures,
        value_parser = number(0..=u64::MAX),
        env = "LAZYMESH_CANARY_CALLOUT_FAILURES"
    )]
    pub canary_callout_failures: u64,
    /// As above, with --prometheus-url: by how many percent of its calls more may end with a 5xx than in the day before
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = Bounds::default().error_percent,
        value_parser = number(0..=100_u8),
        env = "LAZYMESH_CANARY_ERROR_PERCENT"
    )]
    pub canary_error_percent: u8,
}

impl CanaryConfig {
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            within: self.canary_within,
            hold_timeouts: self.canary_hold_timeouts,
            callout_failures: self.canary_callout_failures,
            error_percent: self.canary_error_percent,
        }
    }
}
