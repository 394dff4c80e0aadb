//! What one side writes, the other reads; what neither has written is an error, never a panic.

use lazymesh_protocol::{
    Decision, PassthroughReason, Protocol, RejectedReport, Report, Reports, ReportsResponse,
    ResolveRequest, ResolveResponse, Share, Source, Trouble,
};
use proptest::{collection::vec, option, prelude::*};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn protocols() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        Just(Protocol::Http),
        Just(Protocol::Tcp),
        Just(Protocol::Tls)
    ]
}

fn sources() -> impl Strategy<Value = Source> {
    (
        any::<String>(),
        any::<String>(),
        option::of(any::<String>()),
        option::of(any::<String>()),
    )
        .prop_map(|(namespace, workload, cluster, service_account)| Source {
            namespace,
            workload,
            cluster,
            service_account,
        })
}

fn questions() -> impl Strategy<Value = ResolveRequest> {
    let texts = || option::of(any::<String>());
    (sources(), texts(), texts(), protocols()).prop_map(
        |(source, authority, destination, protocol)| ResolveRequest {
            source,
            authority,
            destination,
            protocol,
        },
    )
}

fn decisions() -> impl Strategy<Value = Decision> {
    let reasons = prop_oneof![
        Just(PassthroughReason::External),
        Just(PassthroughReason::Plain),
        Just(PassthroughReason::Limit),
    ];
    prop_oneof![
        (vec(any::<String>(), 0..4), any::<String>()).prop_map(
            |(subject_alt_names, server_name)| Decision::Direct {
                subject_alt_names,
                server_name,
            }
        ),
        (any::<String>(), vec(shares(), 0..4), any::<u32>()).prop_map(
            |(cluster, split, timeout_ms)| Decision::Hold {
                cluster,
                split,
                timeout_ms
            }
        ),
        reasons.prop_map(|reason| Decision::Passthrough { reason }),
    ]
}

fn shares() -> impl Strategy<Value = Share> {
    (any::<String>(), any::<u32>()).prop_map(|(cluster, weight)| Share { cluster, weight })
}

fn answers() -> impl Strategy<Value = ResolveResponse> {
    (decisions(), option::of(any::<String>()), any::<u32>()).prop_map(|(decision, host, ttl_ms)| {
        ResolveResponse {
            decision,
            host,
            ttl_ms,
        }
    })
}

fn reports() -> impl Strategy<Value = Reports> {
    let items = (questions(), any::<u64>()).prop_map(|(question, count)| Report {
        authority: question.authority,
        destination: question.destination,
        protocol: question.protocol,
        count,
    });
    let trouble = (protocols(), any::<u64>(), any::<u64>()).prop_map(
        |(protocol, hold_timeouts, callout_failures)| Trouble {
            protocol,
            hold_timeouts,
            callout_failures,
        },
    );
    (sources(), vec(items, 0..4), option::of(trouble)).prop_map(|(source, reports, trouble)| {
        Reports {
            source,
            reports,
            trouble,
        }
    })
}

fn receipts() -> impl Strategy<Value = ReportsResponse> {
    let rejected = (any::<usize>(), any::<String>())
        .prop_map(|(index, detail)| RejectedReport { index, detail });
    (any::<usize>(), vec(rejected, 0..4))
        .prop_map(|(accepted, rejected)| ReportsResponse { accepted, rejected })
}

/// Round trip, and one through a message of a later version with fields that are not known yet.
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(message: &T) {
    let mut json = serde_json::to_value(message).expect("plain data");
    let text = json.to_string();
    assert_eq!(&serde_json::from_str::<T>(&text).expect(&text), message);
    json["of a later version"] = Value::from(vec![1]);
    let later = json.to_string();
    assert_eq!(&serde_json::from_str::<T>(&later).expect(&later), message);
}

proptest! {
    #[test]
    fn whatever_is_written_is_read(
        question in questions(),
        answer in answers(),
        reports in reports(),
        receipt in receipts(),
    ) {
        check(&question);
        check(&answer);
        check(&reports);
        check(&receipt);
    }

    #[test]
    fn a_damaged_message_is_an_error_or_another_message(
        answer in answers(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = serde_json::to_vec(&answer).expect("plain data");
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = serde_json::from_slice::<ResolveResponse>(&bytes);
        let _ = serde_json::from_slice::<ResolveResponse>(&bytes[..at]);
        let _ = serde_json::from_slice::<ResolveRequest>(&bytes);
    }
}

#[test]
fn the_wire_as_adr_3_has_it() {
    let direct = r#"{"decision":"direct","subject_alt_names":["spiffe://td/ns/a/sa/b"],"server_name":"outbound_.80_._.b.a","host":"a/b.a","ttl_ms":5000}"#;
    let answer: ResolveResponse = serde_json::from_str(direct).expect("an answer");
    assert_eq!(serde_json::to_string(&answer).expect("plain data"), direct);
    let external = r#"{"decision":"passthrough","reason":"external","ttl_ms":60000}"#;
    let answer: ResolveResponse = serde_json::from_str(external).expect("an answer");
    assert_eq!(
        serde_json::to_string(&answer).expect("plain data"),
        external
    );
}
