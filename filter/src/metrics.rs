//! The filter's own Envoy metrics. Envoy shows them as `wasmcustom.<name>`.
//!
//! All workers share one value per name, so gauges are only ever added to, and what a worker added it takes back.

/// What Envoy makes of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

macro_rules! metrics {
    ($($variant:ident, $kind:ident, $name:literal, $doc:literal;)*) => {
        /// One of the filter's metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric { $(#[doc = $doc] $variant,)* }

        impl Metric {
            /// Every metric, in the order of its discriminant.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)*];

            /// Its name, without Envoy's prefix.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Metric::$variant => $name,)* }
            }

            /// What it is.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Metric::$variant => Kind::$kind,)* }
            }
        }
    };
}

metrics! {
    Unresolved, Counter, "lazymesh_unresolved", "Requests that only the catch-all virtual host matched, and connections to addresses of the mesh that only a catch-all filter chain matched.";
    Outside, Counter, "lazymesh_outside", "Connections to addresses that are not the mesh's, which wait for nothing.";
    Direct, Counter, "lazymesh_decisions_direct", "Requests and connections sent on with decision direct.";
    Hold, Counter, "lazymesh_decisions_hold", "Requests and connections with decision hold, in time or not.";
    Passthrough, Counter, "lazymesh_decisions_passthrough", "Requests and connections that the collector let pass as dialled.";
    Undecided, Counter, "lazymesh_undecided", "Requests and connections passed as dialled because no decision was to be had.";
    CacheHits, Counter, "lazymesh_cache_hits", "Requests and connections whose decision was in the cache.";
    Callouts, Counter, "lazymesh_callouts", "Questions to the collector.";
    CalloutFailures, Counter, "lazymesh_callout_failures", "Questions without a valid answer in time.";
    HoldTimeouts, Counter, "lazymesh_hold_timeouts", "Held requests and connections whose cluster did not come in time.";
    Held, Gauge, "lazymesh_held", "Requests and connections held now.";
    HoldTime, Histogram, "lazymesh_hold_ms", "Milliseconds that held requests and connections waited for their cluster.";
    BreakersOpen, Gauge, "lazymesh_breaker_open", "Workers whose circuit breaker is not closed.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_documented_and_nothing_else() {
        let page = include_str!("../../docs/metrics.md");
        for metric in Metric::ALL {
            let kind = format!("{:?}", metric.kind()).to_lowercase();
            let row = format!("| `{}` | {kind} | ", metric.name());
            assert!(page.contains(&row), "docs/metrics.md has no {row:?}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(rows.count(), Metric::ALL.len());
    }
}
