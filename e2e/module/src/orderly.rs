//! A host that works: each request is for a host of its own, and every question is answered.

use std::collections::BTreeMap;

use lazymesh_protocol::{Decision, FilterConfig, PassthroughReason, ResolveResponse};

use crate::vm::{Answer, Host};

/// Nanoseconds between two hosts: as many a second as one sidecar can be made to ask for.
const STEP_NS: u64 = 100_000;
const DOWNSTREAM_DATA: u64 = 2;
const PLUGIN_CONFIGURATION: u64 = 7;

/// The host.
#[derive(Debug, Default)]
pub(crate) struct Orderly {
    shared: BTreeMap<Vec<u8>, (Vec<u8>, u64)>,
    /// Which host is asked for.
    number: u32,
    tokens: u64,
    /// The call that has not ended, if there is one.
    pub(crate) call: Option<u32>,
}

impl Orderly {
    /// The next host is asked for, a moment later.
    pub(crate) fn next(&mut self) {
        self.number += 1;
    }

    /// Names and addresses of many lengths, no two the same.
    fn host(&self) -> String {
        let length = 1 + self.number as usize % 60;
        format!("{}{}.example.com", "x".repeat(length), self.number)
    }

    fn destination(&self) -> String {
        let [_, b, c, d] = self.number.to_be_bytes();
        format!("10.{b}.{c}.{d}:{}", 1 + self.number % 60_000)
    }

    /// Half of all decisions are large ones.
    fn decision(&self) -> Decision {
        match self.number % 2 {
            0 => Decision::Passthrough {
                reason: PassthroughReason::External,
            },
            _ => Decision::Direct {
                subject_alt_names: (0..self.number % 9)
                    .map(|at| format!("spiffe://cluster.local/ns/shop/sa/{at}-{}", self.host()))
                    .chain(["spiffe://cluster.local/ns/shop/sa/x".to_owned()])
                    .collect(),
                server_name: format!("outbound_.80_._.{}", self.host()),
            },
        }
    }

    fn bytes(&self, call: &str, arguments: &[u64], text: &[u8]) -> Option<Vec<u8>> {
        let text = match (call, text) {
            ("proxy_get_property", b"xds\0virtual_host_name") => "allow_any".to_owned(),
            ("proxy_get_property", b"destination\0address") => self.destination(),
            ("proxy_get_property", path) if path.starts_with(b"xds\0node") => "shop".to_owned(),
            ("proxy_get_header_map_value", b":authority") => self.host(),
            ("proxy_get_header_map_value", b":status") => "200".to_owned(),
            ("proxy_get_buffer_bytes", _) => match arguments.first().copied() {
                Some(PLUGIN_CONFIGURATION) => {
                    let mut config = FilterConfig::new("collector");
                    config.mesh_prefixes = vec!["10.0.0.0/9".to_owned()];
                    serde_json::to_string(&config).ok()?
                }
                Some(DOWNSTREAM_DATA) => "GET / HTTP/1.1".to_owned(),
                _ => serde_json::to_string(&ResolveResponse {
                    decision: self.decision(),
                    host: None,
                    ttl_ms: 60_000,
                })
                .ok()?,
            },
            _ => return None,
        };
        Some(text.into_bytes())
    }
}

impl Host for Orderly {
    fn answer(&mut self, call: &str, arguments: &[u64], text: &[u8], value: &[u8]) -> Answer {
        let mut answer = Answer::default();
        match call {
            "proxy_set_shared_data" => {
                let entry = self.shared.entry(text.to_vec()).or_default();
                *entry = (value.to_vec(), entry.1 + 1);
            }
            "proxy_get_shared_data" => {
                let entry = self.shared.get(text).cloned();
                answer.number = entry.as_ref().map_or(0, |(_, version)| *version);
                answer.bytes = entry.map(|(value, _)| value);
            }
            "proxy_http_call" => {
                self.tokens += 1;
                answer.number = self.tokens;
                self.call = u32::try_from(self.tokens).ok();
            }
            "clock_time_get" => answer.number = u64::from(self.number) * STEP_NS,
            _ => answer.bytes = self.bytes(call, arguments, text),
        }
        if answer.bytes.is_none() && call.starts_with("proxy_get_") {
            // Not found.
            answer.status = 1;
        }
        answer
    }
}
