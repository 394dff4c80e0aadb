//! Arguments of Envoy's foreign function `set_envoy_filter_state`.
//!
//! The message is `envoy.source.extensions.common.wasm.SetEnvoyFilterStateArguments {path = 1, value = 2, span = 3}`.
//! Two string fields are not worth a protobuf crate. `span` is left out: its default is the life of the request or connection.

/// Name of the foreign function.
#[cfg(target_arch = "wasm32")]
pub(crate) const FUNCTION: &str = "set_envoy_filter_state";
/// Filter state that lists the identities that may answer, separated by commas.
pub(crate) const SUBJECT_ALT_NAMES: &str = "envoy.network.upstream_subject_alt_names";
/// Filter state that is the SNI to the upstream.
pub(crate) const SERVER_NAME: &str = "envoy.network.upstream_server_name";

/// Filter state that is the cluster of a connection, in the place of the TCP proxy's own.
pub(crate) const TCP_PROXY_CLUSTER: &str = "envoy.tcp_proxy.cluster";

const PATH_FIELD: u8 = 1 << 3 | LENGTH_DELIMITED;
const VALUE_FIELD: u8 = 2 << 3 | LENGTH_DELIMITED;
const LENGTH_DELIMITED: u8 = 2;

/// The encoded message.
pub(crate) fn arguments(path: &str, value: &str) -> Vec<u8> {
    let mut message = Vec::new();
    string(&mut message, PATH_FIELD, path);
    string(&mut message, VALUE_FIELD, value);
    message
}

fn string(message: &mut Vec<u8>, field: u8, text: &str) {
    message.push(field);
    varint(message, text.len());
    message.extend_from_slice(text.as_bytes());
}

fn varint(message: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_protoc_encodes_it() {
        assert_eq!(arguments("a", "bc"), b"\x0a\x01a\x12\x02bc");
        let long = arguments("p", &"v".repeat(300));
        assert!(long.starts_with(b"\x0a\x01p\x12\xac\x02vv"), "{long:?}");
    }

    /// The other direction, as any protobuf reader does it.
    fn decode(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut fields = Vec::new();
        while let [tag, rest @ ..] = bytes {
            let last = rest.iter().position(|byte| byte & 0x80 == 0).unwrap();
            let length = rest[..=last]
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
            let (text, next) = rest[last + 1..].split_at(length);
            fields.push((*tag, text.to_vec()));
            bytes = next;
        }
        fields
    }

    proptest! {
        #[test]
        fn every_text_survives(path in ".{0,300}", value in ".{0,5000}") {
            let fields = decode(&arguments(&path, &value));
            prop_assert_eq!(fields, vec![(0x0a, path.into_bytes()), (0x12, value.into_bytes())]);
        }
    }
}
