//! The form of records on disk, schema version 2.
//!
//! | key | value |
//! |---|---|
//! | `schema` | the version, in decimal digits |
//! | `d/<namespace>/<workload>/<host's namespace>/<host>` | a checksum and JSON of [`DependencyValue`] |
//! | `e/<namespace>/<workload>/<host>` | a checksum and JSON of [`ExternalValue`] |
//! | `r/<namespace>` | a checksum and JSON of [`Revert`] |
//! | `s/<d, e or r>/<namespace>`, `generation` | what the `ledger` keeps |
//!
//! Version 1 had no checksums and no ledger. No part but the last can contain a `/`. Readers ignore fields that they do not know and have a default for
//! fields that came later, so only a change that an older reader would misread needs a new version.

use std::fmt::Display;

use lazymesh_core::{
    Dependency, EgressHost, ExternalHost, Origin, Revert, Seen, Sightings, Witness, Workload,
    is_object_name,
};
use serde::{Deserialize, Serialize};

use super::checked;
use super::{Change, Snapshot, StoreError};

/// Longest key, in bytes. Names in Kubernetes and DNS need at most 63 + 63 + 63 + 253 and the separators.
/// With it an inner node of sled (256 keys) stays below 128 KiB, above which sled would put it into a
/// file of its own that it never syncs.
const MAX_KEY_BYTES: usize = 480;

/// What a writer does to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
}

#[derive(Serialize, Deserialize)]
struct DependencyValue {
    first_seen_ms: u64,
    last_seen_ms: u64,
    count: u64,
    origin: Origin,
    /// Absent in what was written when filters alone saw dependencies.
    #[serde(default)]
    sightings: Option<Sightings>,
}

impl DependencyValue {
    fn sightings(&self) -> Sightings {
        let seen = Seen {
            first_ms: self.first_seen_ms,
            last_ms: self.last_seen_ms,
        };
        match (self.sightings, self.origin) {
            (Some(sightings), _) => sightings,
            (None, Origin::Learned) => Sightings::of(Witness::Filter, seen),
            (None, Origin::Pinned) => Sightings::default(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct ExternalValue {
    first_seen_ms: u64,
    last_seen_ms: u64,
    count: u64,
}

/// Which record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Dependency(Workload, EgressHost),
    External(Workload, String),
    Revert(String),
}

/// Encodes a change, and makes sure that its key will be read back as the same record.
pub(super) fn encode(change: &Change) -> Result<Op, StoreError> {
    match change {
        Change::Dependency(dependency) => put(
            &Key::Dependency(dependency.source.clone(), dependency.host.clone()),
            &DependencyValue {
                first_seen_ms: dependency.first_seen_ms,
                last_seen_ms: dependency.last_seen_ms,
                count: dependency.count,
                origin: dependency.origin,
                sightings: Some(dependency.sightings),
            },
        ),
        Change::External(external) => put(
            &Key::External(external.source.clone(), external.host.clone()),
            &ExternalValue {
                first_seen_ms: external.first_seen_ms,
                last_seen_ms: external.last_seen_ms,
                count: external.count,
            },
        ),
        Change::RemoveDependency { source, host } => Ok(Op::Delete {
            key: encode_key(&Key::Dependency(source.clone(), host.clone()))?,
        }),
        Change::RemoveExternal { source, host } => Ok(Op::Delete {
            key: encode_key(&Key::External(source.clone(), host.clone()))?,
        }),
        Change::Revert(revert) => put(&Key::Revert(revert.workload.namespace.clone()), revert),
        Change::Resume { namespace } => Ok(Op::Delete {
            key: encode_key(&Key::Revert(namespace.clone()))?,
        }),
    }
}

/// Makes sure that a record can be read.
pub(super) fn check(key: &[u8], body: &[u8]) -> Result<(), String> {
    decode_body(&mut Snapshot::default(), key, body)
}

/// Adds one record to the snapshot.
pub(super) fn decode_into(snapshot: &mut Snapshot, key: &[u8], value: &[u8]) -> Result<(), String> {
    decode_body(snapshot, key, checked::unwrap(key, value)?)
}

fn decode_body(snapshot: &mut Snapshot, key: &[u8], body: &[u8]) -> Result<(), String> {
    match decode_key(key)? {
        Key::Dependency(source, host) => {
            let value: DependencyValue = serde_json::from_slice(body).map_err(no_record)?;
            snapshot.dependencies.push(Dependency {
                source,
                host,
                first_seen_ms: value.first_seen_ms,
                last_seen_ms: value.last_seen_ms,
                count: value.count,
                origin: value.origin,
                sightings: value.sightings(),
            });
        }
        Key::External(source, host) => {
            let value: ExternalValue = serde_json::from_slice(body).map_err(no_record)?;
            snapshot.externals.push(ExternalHost {
                source,
                host,
                first_seen_ms: value.first_seen_ms,
                last_seen_ms: value.last_seen_ms,
                count: value.count,
            });
        }
        Key::Revert(namespace) => {
            let revert: Revert = serde_json::from_slice(body).map_err(no_record)?;
            if revert.workload.namespace != namespace {
                return Err("expected a workload of its namespace, got another".to_owned());
            }
            snapshot.reverts.push(revert);
        }
    }
    Ok(())
}

fn put(key: &Key, value: &impl Serialize) -> Result<Op, StoreError> {
    let encoded = encode_key(key)?;
    let body = serde_json::to_vec(value).map_err(|error| unstorable(&encoded, error))?;
    Ok(Op::Put {
        value: checked::wrap(&encoded, &body),
        key: encoded,
    })
}

pub(super) fn encode_key(key: &Key) -> Result<Vec<u8>, StoreError> {
    let encoded = match key {
        Key::Dependency(source, host) => format!("d/{source}/{host}"),
        Key::External(source, host) => format!("e/{source}/{host}"),
        Key::Revert(namespace) => format!("r/{namespace}"),
    }
    .into_bytes();
    if encoded.len() > MAX_KEY_BYTES {
        let reason = format!("{} bytes of names, at most {MAX_KEY_BYTES}", encoded.len());
        return Err(unstorable(&encoded, reason));
    }
    match decode_key(&encoded) {
        Ok(decoded) if decoded == *key => Ok(encoded),
        Ok(_) => Err(unstorable(&encoded, "would be read back as another record")),
        Err(reason) => Err(unstorable(&encoded, reason)),
    }
}

pub(super) fn decode_key(key: &[u8]) -> Result<Key, String> {
    let key = std::str::from_utf8(key).map_err(|_| "expected UTF-8 as its key".to_owned())?;
    if let Some(namespace) = key.strip_prefix("r/").filter(|it| is_object_name(it)) {
        return Ok(Key::Revert(namespace.to_owned()));
    }
    let mut parts = key.splitn(4, '/');
    let (Some(kind), Some(namespace), Some(name), Some(host)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("not a key of a record".to_owned());
    };
    let source = Workload::new(namespace, name).map_err(text)?;
    match kind {
        "d" => Ok(Key::Dependency(source, host.parse().map_err(text)?)),
        "e" if !host.is_empty() => Ok(Key::External(source, host.to_owned())),
        _ => Err("not a key of a record".to_owned()),
    }
}

fn no_record(_: serde_json::Error) -> String {
    "expected the fields of a record, got something else".to_owned()
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn unstorable(key: &[u8], reason: impl Display) -> StoreError {
    let shown = &key[..key.len().min(64)];
    StoreError::Unstorable {
        key: shown.escape_ascii().to_string(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use lazymesh_core::Symptom;

    use super::*;
    use crate::store::fixtures::{dependency, external};

    fn decode(key: &[u8], value: &[u8]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        decode_into(&mut snapshot, key, value).unwrap();
        snapshot
    }

    fn put(change: &Change) -> (Vec<u8>, Vec<u8>) {
        match encode(change).unwrap() {
            Op::Put { key, value } => (key, value),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_dependency_is_read_back() {
        let (key, value) = put(&Change::Dependency(dependency("web", "reviews")));
        assert_eq!(key, b"d/shop/web/prod/reviews.prod.svc.cluster.local");
        assert_eq!(
            checked::unwrap(&key, &value).unwrap(),
            br#"{"first_seen_ms":1000,"last_seen_ms":2000,"count":3,"origin":"learned","sightings":{"access-log":{"first_ms":1500,"last_ms":2000}}}"#
        );
        let back = decode(&key, &value);
        assert_eq!(back.dependencies, [dependency("web", "reviews")]);
    }

    #[test]
    fn an_external_host_is_read_back() {
        for host in ["example.com", "example.com:8443", "[2001:db8::1]:80"] {
            let (key, value) = put(&Change::External(external("web", host)));
            let back = decode(&key, &value);
            assert_eq!(back.externals, [external("web", host)]);
        }
    }

    #[test]
    fn a_revert_is_read_back() {
        let revert = Revert {
            workload: Workload::new("shop", "web").unwrap(),
            symptom: Symptom::HoldTimeouts(6),
            percent: 10,
            at_ms: 1_000,
        };
        let (key, value) = put(&Change::Revert(revert.clone()));
        assert_eq!(key, b"r/shop");
        assert_eq!(decode(&key, &value).reverts, [revert]);
        let body = checked::unwrap(&key, &value).unwrap();
        assert!(check(b"r/other", body).is_err());
        assert!(check(b"r/a/b", body).is_err());
    }

    #[test]
    fn what_was_written_without_sightings_was_seen_by_filters() {
        let check = |origin: &str, expect: Sightings| {
            let value =
                format!(r#"{{"first_seen_ms":1,"last_seen_ms":2,"count":3,"origin":"{origin}"}}"#);
            let key = b"d/shop/web/prod/a.prod.svc.cluster.local";
            let back = decode(key, &checked::wrap(key, value.as_bytes()));
            assert_eq!(back.dependencies[0].sightings, expect, "{origin}");
        };
        let seen = Seen {
            first_ms: 1,
            last_ms: 2,
        };
        check("learned", Sightings::of(Witness::Filter, seen));
        check("pinned", Sightings::default());
    }

    #[test]
    fn fields_of_a_later_version_are_ignored() {
        let value =
            br#"{"first_seen_ms":1,"last_seen_ms":2,"count":3,"origin":"pinned","why":"x"}"#;
        let key = b"d/shop/web/prod/a.prod.svc.cluster.local";
        let back = decode(key, &checked::wrap(key, value));
        assert_eq!(back.dependencies[0].origin, Origin::Pinned);
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let good =
            br#"{"first_seen_ms":1,"last_seen_ms":2,"count":3,"origin":"learned"}"#.as_slice();
        let cases: [(&[u8], &[u8]); 6] = [
            (b"d/shop/web/prod/a.prod.svc.cluster.local", b"{"),
            (b"d/shop/web/prod/a.prod.svc.cluster.local", b"{}"),
            (b"d/shop/web", good),
            (b"x/shop/web/prod/a", good),
            (b"e/shop/web/", good),
            (b"\xff\x00", good),
        ];
        for (key, value) in cases {
            assert!(check(key, value).is_err(), "{}", key.escape_ascii());
            let value = checked::wrap(key, value);
            assert!(decode_into(&mut Snapshot::default(), key, &value).is_err());
        }
    }

    #[test]
    fn what_would_not_be_read_back_is_refused() {
        let check = |change: Change, expect: &str| {
            let error = encode(&change).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(Change::External(external("web", "")), "not a key");
        check(
            Change::External(external("web", &"x".repeat(500))),
            "at most 480",
        );
        let mut slash = dependency("web", "a");
        slash.host.namespace = "a/b".to_owned();
        check(Change::Dependency(slash), "");
    }
}
