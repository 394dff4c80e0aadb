//! A host that answers every call with any status and any bytes, though often with those that lead further into the module.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::vm::{Answer, Host};

/// Statuses that the ABI names, and one beyond.
const STATUSES: u32 = 14;
/// Longest result, in bytes, but for the few that are as large as an answer may not be.
const MOST_BYTES: usize = 300;
const LARGE_BYTES: usize = 70_000;

const AUTHORITIES: [&str; 6] = [
    "reviews",
    "Reviews.shop:9080",
    "api.example.com",
    "10.96.0.1:80",
    "[::1]:80",
    "\u{fffd}",
];
const DESTINATIONS: [&str; 5] = [
    "10.96.0.1:80",
    "10.96.0.2:5432",
    "192.0.2.1:443",
    "[fd00::7]:80",
    "nowhere",
];
const ANSWERS: [&str; 8] = [
    r#"{"decision":"direct","subject_alt_names":["spiffe://a","spiffe://b"],"server_name":"outbound_.80_._.a","ttl_ms":5000}"#,
    r#"{"decision":"hold","cluster":"outbound|80||a","timeout_ms":2000,"ttl_ms":5000}"#,
    r#"{"decision":"hold","cluster":"outbound|80||b","split":[{"cluster":"outbound|80||c","weight":30},{"cluster":"outbound|80||d","weight":4294967295}],"timeout_ms":4294967295,"ttl_ms":4294967295}"#,
    r#"{"decision":"passthrough","reason":"external","ttl_ms":60000}"#,
    r#"{"decision":"passthrough","reason":"limit","host":"shop/a","ttl_ms":0}"#,
    r#"{"decision":"direct","subject_alt_names":[],"server_name":"","ttl_ms":1}"#,
    r#"{"decision":"teleport","ttl_ms":1}"#,
    r#"{"decision":{"a":[1.5e300,null,"\ud83d\ude00"]},"ttl_ms":-1}"#,
];
const CONFIGURATIONS: [&str; 6] = [
    r#"{"collector_cluster":"c","mesh_prefixes":["10.0.0.0/8","fd00::/8"]}"#,
    r#"{"collector_cluster":"c","max_hosts":2,"max_paused":2,"max_callouts":1,"breaker_failures":1,"report_interval_ms":1,"heartbeat_interval_ms":1,"mesh_prefixes":["0.0.0.0/0"]}"#,
    r#"{"collector_cluster":"c","max_hosts":4294967295,"max_paused":4294967295,"max_callouts":4294967295,"breaker_failures":0,"breaker_backoff_ms":4294967295,"breaker_max_backoff_ms":0,"report_interval_ms":4294967295,"heartbeat_interval_ms":4294967295,"resolve_timeout_ms":4294967295,"max_hold_ms":4294967295}"#,
    r#"{"collector_cluster":""}"#,
    r#"{"collector_cluster":"c","mesh_prefixes":["mesh"]}"#,
    r#"["c"]"#,
];

/// The host; the same seed answers the same.
#[derive(Debug)]
pub(crate) struct Hostile {
    random: Rng,
    shared: BTreeMap<Vec<u8>, Vec<u8>>,
    now_ns: u64,
}

impl Hostile {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            shared: BTreeMap::new(),
            now_ns: 0,
        }
    }

    /// The host's luck, which also says what happens next.
    pub(crate) fn random(&mut self) -> &mut Rng {
        &mut self.random
    }

    fn status(&mut self) -> u32 {
        match self.random.u8(..) {
            0..200 => 0,
            200..250 => self.random.u32(0..STATUSES),
            250.. => self.random.u32(..),
        }
    }

    fn time(&mut self) -> u64 {
        let step = match self.random.u8(..) {
            0 => self.random.u64(..),
            1..20 => self.random.u64(..100_000_000_000),
            20.. => self.random.u64(..100_000_000),
        };
        self.now_ns = self.now_ns.wrapping_add(step);
        self.now_ns
    }

    fn bytes(&mut self, call: &str, arguments: &[u64], text: &[u8]) -> Vec<u8> {
        if self.random.u8(..) < 20 {
            return self.any_bytes();
        }
        let likely: &[&str] = match call {
            "proxy_get_property" => match text {
                b"xds\0virtual_host_name" | b"route_name" => &["allow_any", "block_all", "other"],
                b"destination\0address" => &DESTINATIONS,
                b"xds\0cluster_name" => &["PassthroughCluster", "egress"],
                _ => &["shop", "web", "", "example.com"],
            },
            "proxy_get_header_map_value" if text == b":status" => {
                &["200", "200", "200", "404", "429", "504", "", "1e9"]
            }
            "proxy_get_header_map_value" => &AUTHORITIES,
            "proxy_get_buffer_bytes" => match arguments.first() {
                Some(4) => &ANSWERS,
                Some(7) => &CONFIGURATIONS,
                _ => &["\u{16}\u{3}\u{1}\u{0}\u{20}\u{1}", "GET / HTTP/1.1"],
            },
            "proxy_get_shared_data" => {
                return self.shared.get(text).cloned().unwrap_or_default();
            }
            _ => return Vec::new(),
        };
        let mut bytes = self.random.choice(likely).copied().unwrap_or_default();
        // Names that differ, too.
        let number = self.random.u16(..).to_string();
        if call == "proxy_get_header_map_value" && text != b":status" && self.random.bool() {
            bytes = &number;
        }
        let mut bytes = bytes.as_bytes().to_vec();
        if self.random.u8(..) < 20 {
            self.damage(&mut bytes);
        }
        bytes
    }

    fn any_bytes(&mut self) -> Vec<u8> {
        let most = match self.random.u8(..) {
            0..4 => LARGE_BYTES,
            4.. => MOST_BYTES,
        };
        let size = self.random.usize(..most);
        (0..size).map(|_| self.random.u8(..)).collect()
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.usize(..=bytes.len());
        match bytes.get_mut(at) {
            Some(byte) if self.random.bool() => *byte = self.random.u8(..),
            _ => bytes.truncate(at),
        }
    }
}

impl Host for Hostile {
    fn answer(&mut self, call: &str, arguments: &[u64], text: &[u8], value: &[u8]) -> Answer {
        if call == "proxy_set_shared_data" {
            self.shared.insert(text.to_vec(), value.to_vec());
        }
        let status = self.status();
        // Some hosts write results though the call has failed, and some none though it has not.
        let bytes =
            (status == 0 && self.random.u8(..) > 4).then(|| self.bytes(call, arguments, text));
        let number = match call {
            "clock_time_get" => self.time(),
            _ => self.random.u64(..8),
        };
        Answer {
            status,
            bytes,
            number,
        }
    }
}
