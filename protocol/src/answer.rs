//! Reads an answer of the collector: all fields that any decision has, then those of the one it is.
//!
//! By the derived code of a flattened, tagged enum, each field would first be kept as whatever it is: a tenth of the filter's
//! module, and its largest function, which V8 compiles in every sidecar. A field that is missing is empty, for the same
//! reason: the filter follows no decision with one that is.

use serde::Deserialize;

use crate::{Decision, PassthroughReason, ResolveResponse, Share};

/// A [`ResolveResponse`] as it is on the wire.
#[derive(Deserialize)]
pub(crate) struct Answer {
    decision: String,
    #[serde(default)]
    subject_alt_names: Vec<String>,
    #[serde(default)]
    server_name: String,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    split: Vec<Share>,
    #[serde(default)]
    timeout_ms: u32,
    reason: Option<PassthroughReason>,
    host: Option<String>,
    ttl_ms: u32,
}

impl TryFrom<Answer> for ResolveResponse {
    type Error = &'static str;

    fn try_from(answer: Answer) -> Result<Self, Self::Error> {
        let decision = match answer.decision.as_str() {
            "direct" => Decision::Direct {
                subject_alt_names: answer.subject_alt_names,
                server_name: answer.server_name,
            },
            "hold" => Decision::Hold {
                cluster: answer.cluster,
                split: answer.split,
                timeout_ms: answer.timeout_ms,
            },
            "passthrough" => Decision::Passthrough {
                reason: answer.reason.ok_or("missing field `reason`")?,
            },
            _ => return Err("unknown decision"),
        };
        Ok(Self {
            decision,
            host: answer.host,
            ttl_ms: answer.ttl_ms,
        })
    }
}
