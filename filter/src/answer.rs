//! What counts as an answer of the collector. Anything else is a failure, whatever it says.

use lazymesh_protocol::{
    Decision, MAX_RESPONSE_BYTES, MAX_SHARES, MAX_SUBJECT_ALT_NAMES, ResolveResponse,
};

use crate::json;

/// Longest name of a cluster, SNI or SPIFFE identity, in bytes: SPIFFE's own bound.
const MAX_NAME_BYTES: usize = 2_048;

/// Why something is not an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// Connection failure or reset.
    #[error("no answer")]
    None,
    /// The collector refuses this one question: it works, so this says nothing about the next one.
    #[error("refused")]
    Refused,
    /// Any other status than 200; Envoy's own time-out is a 504.
    #[error("status {0}")]
    Status(u16),
    /// More than is ever read.
    #[error("{0} bytes, more than {MAX_RESPONSE_BYTES}")]
    TooLarge(usize),
    /// Not the JSON of a [`ResolveResponse`].
    #[error("not a decision: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A decision that must not be followed.
    #[error("unusable decision: {0}")]
    Unusable(&'static str),
}

/// Reads an answer. `body` is asked for only when its size is one that may be read.
pub(crate) fn read(
    status: Option<Vec<u8>>,
    size: usize,
    body: impl FnOnce() -> Option<Vec<u8>>,
) -> Result<ResolveResponse, AnswerError> {
    let status = status.and_then(|digits| std::str::from_utf8(&digits).ok()?.parse().ok());
    match status.ok_or(AnswerError::None)? {
        200 => {}
        // These two tell of the collector's state, like 5xx; the other 4xx of the question.
        status @ (408 | 429) => return Err(AnswerError::Status(status)),
        400..=499 => return Err(AnswerError::Refused),
        status => return Err(AnswerError::Status(status)),
    }
    if size > MAX_RESPONSE_BYTES {
        return Err(AnswerError::TooLarge(size));
    }
    let response: ResolveResponse = json::read(&body().ok_or(AnswerError::None)?)?;
    usable(&response.decision).map_err(AnswerError::Unusable)?;
    Ok(response)
}

/// Whether a decision may be followed: it ends up in headers, TLS settings and comma-separated lists.
pub(crate) fn usable(decision: &Decision) -> Result<(), &'static str> {
    match decision {
        Decision::Direct {
            subject_alt_names,
            server_name,
        } => {
            if subject_alt_names.is_empty() {
                return Err("direct without subject_alt_names would trust every workload");
            }
            if subject_alt_names.len() > MAX_SUBJECT_ALT_NAMES {
                return Err("too many subject_alt_names");
            }
            if !subject_alt_names
                .iter()
                .all(|name| is_name(name) && !name.contains(','))
            {
                return Err("expected SPIFFE identities in subject_alt_names");
            }
            check(is_name(server_name), "expected an SNI as server_name")
        }
        Decision::Hold { cluster, split, .. } => {
            if split.len() > MAX_SHARES {
                return Err("too many clusters in split");
            }
            let clusters = split.iter().map(|share| &share.cluster);
            check(
                clusters.chain([cluster]).all(|name| is_outbound(name)),
                "expected an outbound cluster",
            )
        }
        Decision::Passthrough { .. } => Ok(()),
    }
}

fn check(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}

/// The prefix also keeps a name from being read as a protobuf by the host's probe.
pub(crate) fn is_outbound(cluster: &str) -> bool {
    is_name(cluster) && cluster.starts_with("outbound|")
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: &str, body: &str, expect: Result<(), &str>) {
        let status = (!status.is_empty()).then(|| status.as_bytes().to_vec());
        let got = read(status, body.len(), || Some(body.as_bytes().to_vec()));
        match (got, expect) {
            (Ok(_), Ok(())) => {}
            (Err(got), Err(expect)) => assert!(got.to_string().contains(expect), "{body}: {got}"),
            (got, expect) => panic!("{body}: {got:?}, expected {expect:?}"),
        }
    }

    const PASS: &str = r#"{"decision":"passthrough","reason":"external","ttl_ms":1}"#;

    #[test]
    fn answers() {
        check("200", PASS, Ok(()));
        check(
            "200",
            r#"{"decision":"passthrough","reason":"plain","ttl_ms":1,"new":[]}"#,
            Ok(()),
        );
        check(
            "200",
            r#"{"decision":"hold","cluster":"outbound|80||a","timeout_ms":1,"ttl_ms":1}"#,
            Ok(()),
        );
        check(
            "200",
            r#"{"decision":"direct","subject_alt_names":["spiffe://a"],"server_name":"s","ttl_ms":1}"#,
            Ok(()),
        );
    }

    #[test]
    fn what_is_no_answer() {
        check("", PASS, Err("no answer"));
        check("500", PASS, Err("status 500"));
        check("204", "", Err("status 204"));
        check("504", "", Err("status 504"));
        check("429", "", Err("status 429"));
        check("400", PASS, Err("refused"));
        check("200", "", Err("not a decision"));
        check("200", "<html>", Err("not a decision"));
        check(
            "200",
            r#"{"decision":"new","ttl_ms":1}"#,
            Err("not a decision"),
        );
        check(
            "200",
            &format!("{PASS}{}", " ".repeat(MAX_RESPONSE_BYTES)),
            Err("more than"),
        );
    }

    #[test]
    fn decisions_that_must_not_be_followed() {
        let direct = |sans: &str, sni: &str| {
            format!(
                r#"{{"decision":"direct","subject_alt_names":[{sans}],"server_name":"{sni}","ttl_ms":1}}"#
            )
        };
        check("200", &direct("", "s"), Err("without subject_alt_names"));
        check(
            "200",
            &direct(r#""""#, "s"),
            Err("expected SPIFFE identities"),
        );
        check(
            "200",
            &direct(r#""a,spiffe://b""#, "s"),
            Err("expected SPIFFE identities"),
        );
        check("200", &direct(r#""a""#, ""), Err("expected an SNI"));
        check(
            "200",
            &direct(&vec![r#""a""#; 33].join(","), "s"),
            Err("too many"),
        );
        let hold = |cluster: &str| {
            format!(r#"{{"decision":"hold","cluster":"{cluster}","timeout_ms":1,"ttl_ms":1}}"#)
        };
        check("200", &hold(""), Err("expected an outbound cluster"));
        check(
            "200",
            &hold("inbound|80||"),
            Err("expected an outbound cluster"),
        );
        let split = |shares: &str| {
            format!(
                r#"{{"decision":"hold","cluster":"outbound|80||a","split":[{shares}],"timeout_ms":1,"ttl_ms":1}}"#
            )
        };
        let share = r#"{"cluster":"outbound|80||a","weight":1}"#;
        check("200", &split(share), Ok(()));
        check("200", &split(&vec![share; 33].join(",")), Err("too many"));
        check(
            "200",
            &split(r#"{"cluster":"inbound|80||","weight":1}"#),
            Err("expected an outbound cluster"),
        );
        check(
            "200",
            &split(r#"{"cluster":"outbound|80||a","weight":-1}"#),
            Err("not a decision"),
        );
        check(
            "200",
            &hold(r"outbound|80||a\r\nx: y"),
            Err("expected an outbound cluster"),
        );
        check(
            "200",
            r#"{"decision":"gateway","cluster":"g","ttl_ms":1}"#,
            Err("not a decision"),
        );
    }

    #[test]
    fn a_large_body_is_never_read() {
        let got = read(Some(b"200".to_vec()), 100 << 20, || panic!("read"));
        assert!(matches!(got, Err(AnswerError::TooLarge(_))));
    }
}
