//! Hashes text alike in every version and on every machine, which the standard library's hasher does not promise.

/// FNV-1a.
pub(crate) fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
