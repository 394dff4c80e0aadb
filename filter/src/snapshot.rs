//! The form that decisions have in shared data.
//!
//! Compact and quick to read rather than self-describing: only modules of one version read it, since the version is
//! in the key. It may still be anything, because other modules may share the VM's data, so reading is total.

use lazymesh_protocol::{Decision, PassthroughReason, Protocol, Share};

use crate::answer::usable;
use crate::decisions::{Decisions, Entry};
use crate::question::Question;

const HTTP: u8 = 1;
const TCP: u8 = 2;
const TLS: u8 = 3;

const DIRECT: u8 = 1;
const HOLD: u8 = 2;
const EXTERNAL: u8 = 4;
const PLAIN: u8 = 5;
const LIMIT: u8 = 6;

/// The decisions as bytes, behind the number of their revision.
pub(crate) fn encode(revision: u64, decisions: &Decisions) -> Vec<u8> {
    let mut bytes = revision.to_le_bytes().to_vec();
    number(&mut bytes, decisions.iter().len());
    for (question, entry) in decisions.iter() {
        optional(&mut bytes, question.authority.as_deref());
        optional(&mut bytes, question.destination.as_deref());
        bytes.push(protocol(question.protocol));
        bytes.extend_from_slice(&entry.expires_ms.to_le_bytes());
        decision(&mut bytes, &entry.decision);
    }
    bytes
}

fn protocol(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Http => HTTP,
        Protocol::Tcp => TCP,
        Protocol::Tls => TLS,
    }
}

fn decision(bytes: &mut Vec<u8>, decision: &Decision) {
    match decision {
        Decision::Direct {
            subject_alt_names,
            server_name,
        } => {
            bytes.push(DIRECT);
            number(bytes, subject_alt_names.len());
            for name in subject_alt_names {
                text(bytes, name);
            }
            text(bytes, server_name);
        }
        Decision::Hold {
            cluster,
            split,
            timeout_ms,
        } => {
            bytes.push(HOLD);
            text(bytes, cluster);
            number(bytes, split.len());
            for share in split {
                text(bytes, &share.cluster);
                bytes.extend_from_slice(&share.weight.to_le_bytes());
            }
            bytes.extend_from_slice(&timeout_ms.to_le_bytes());
        }
        Decision::Passthrough { reason } => bytes.push(match reason {
            PassthroughReason::External => EXTERNAL,
            PassthroughReason::Plain => PLAIN,
            PassthroughReason::Limit => LIMIT,
        }),
    }
}

/// Every length here is bounded far below 4 GiB; the linear memory itself is.
fn number(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    number(bytes, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

/// An absent text is written like an empty one: nobody asks about an empty host.
fn optional(bytes: &mut Vec<u8>, value: Option<&str>) {
    text(bytes, value.unwrap_or_default());
}

/// Revision and decisions; `None` when these bytes are not what [`encode`] writes.
pub(crate) fn decode(bytes: &[u8], max_entries: usize) -> Option<(u64, Decisions)> {
    let mut reader = Reader(bytes);
    let revision = reader.u64()?;
    let mut decisions = Decisions::default();
    for _ in 0..reader.u32()? {
        let question = Question {
            authority: reader.optional()?,
            destination: reader.optional()?,
            protocol: reader.protocol()?,
        };
        let expires_ms = reader.u64()?;
        let decision = reader.decision()?;
        usable(&decision).ok()?;
        decisions.insert(
            question,
            Entry {
                decision,
                expires_ms,
            },
            max_entries,
        );
    }
    reader.0.is_empty().then_some((revision, decisions))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        std::str::from_utf8(head).ok().map(str::to_owned)
    }

    fn optional(&mut self) -> Option<Option<String>> {
        self.text()
            .map(|text| Some(text).filter(|text| !text.is_empty()))
    }

    fn protocol(&mut self) -> Option<Protocol> {
        match self.take::<1>()? {
            [HTTP] => Some(Protocol::Http),
            [TCP] => Some(Protocol::Tcp),
            [TLS] => Some(Protocol::Tls),
            _ => None,
        }
    }

    fn share(&mut self) -> Option<Share> {
        Some(Share {
            cluster: self.text()?,
            weight: self.u32()?,
        })
    }

    fn decision(&mut self) -> Option<Decision> {
        let passthrough = |reason| Some(Decision::Passthrough { reason });
        match self.take::<1>()? {
            [DIRECT] => {
                let count = self.u32()?;
                let subject_alt_names = (0..count).map(|_| self.text()).collect::<Option<_>>()?;
                Some(Decision::Direct {
                    subject_alt_names,
                    server_name: self.text()?,
                })
            }
            [HOLD] => {
                let cluster = self.text()?;
                let count = self.u32()?;
                let split = (0..count).map(|_| self.share()).collect::<Option<_>>()?;
                Some(Decision::Hold {
                    cluster,
                    split,
                    timeout_ms: self.u32()?,
                })
            }
            [EXTERNAL] => passthrough(PassthroughReason::External),
            [PLAIN] => passthrough(PassthroughReason::Plain),
            [LIMIT] => passthrough(PassthroughReason::Limit),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    const MAX_ENTRIES: usize = 2_048;
    const OUTBOUND: &str = r"outbound\|80\|\|[a-z.]{1,40}";

    fn a_decision() -> impl Strategy<Value = Decision> {
        prop_oneof![
            (vec("spiffe://[a-z/]{1,40}", 1..5), "[a-z._]{1,40}").prop_map(
                |(subject_alt_names, server_name)| {
                    Decision::Direct {
                        subject_alt_names,
                        server_name,
                    }
                }
            ),
            (OUTBOUND, vec((OUTBOUND, any::<u32>()), 0..5), any::<u32>()).prop_map(
                |(cluster, split, timeout_ms)| {
                    let share = |(cluster, weight)| Share { cluster, weight };
                    Decision::Hold {
                        cluster,
                        split: split.into_iter().map(share).collect(),
                        timeout_ms,
                    }
                }
            ),
            Just(Decision::Passthrough {
                reason: PassthroughReason::External
            }),
            Just(Decision::Passthrough {
                reason: PassthroughReason::Plain
            }),
            Just(Decision::Passthrough {
                reason: PassthroughReason::Limit
            }),
        ]
    }

    fn some_decisions() -> impl Strategy<Value = Decisions> {
        let entry = (
            option::of("[!-~]{1,20}"),
            option::of("[0-9.:]{1,20}"),
            prop::sample::select(&[Protocol::Http, Protocol::Tcp, Protocol::Tls]),
            any::<u64>(),
            a_decision(),
        );
        vec(entry, 0..20).prop_map(|entries| {
            let mut decisions = Decisions::default();
            for (authority, destination, protocol, expires_ms, decision) in entries {
                decisions.insert(
                    Question {
                        authority,
                        destination,
                        protocol,
                    },
                    Entry {
                        decision,
                        expires_ms,
                    },
                    MAX_ENTRIES,
                );
            }
            decisions
        })
    }

    proptest! {
        #[test]
        fn everything_survives(revision: u64, decisions in some_decisions()) {
            let bytes = encode(revision, &decisions);
            prop_assert_eq!(decode(&bytes, MAX_ENTRIES), Some((revision, decisions)));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..400)) {
            decode(&bytes, MAX_ENTRIES);
        }

        #[test]
        fn corrupted_bytes_are_read_without_a_panic(
            decisions in some_decisions(),
            damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = encode(1, &decisions);
            for (index, byte) in damage {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            if let Some((_, decisions)) = decode(&bytes, MAX_ENTRIES) {
                prop_assert!(decisions.iter().all(|(_, entry)| usable(&entry.decision).is_ok()));
            }
            decode(&bytes[..cut.index(bytes.len())], MAX_ENTRIES);
        }
    }
}
