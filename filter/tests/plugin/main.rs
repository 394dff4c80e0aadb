//! The filter on a made-up proxy: each file is one of its concerns.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod connections;
mod deciding;
mod failing;
mod fuzz;
mod heartbeat;
mod holding;

mod proxy;
mod reporting;
mod sharing;

/// Answers of the collector.
pub const EXTERNAL: &str = r#"{"decision":"passthrough","reason":"external","ttl_ms":60000}"#;
pub const HOLD: &str = r#"{"decision":"hold","cluster":"outbound|80||a.shop.svc.cluster.local","timeout_ms":2000,"ttl_ms":5000}"#;
pub const SPLIT: &str = r#"{"decision":"hold","cluster":"outbound|80||blue","split":[{"cluster":"outbound|80||green","weight":30},{"cluster":"outbound|80||blue","weight":70}],"timeout_ms":2000,"ttl_ms":5000}"#;
pub const DIRECT: &str = r#"{"decision":"direct","subject_alt_names":["spiffe://a","spiffe://b"],"server_name":"outbound_.80_._.a","ttl_ms":5000}"#;
