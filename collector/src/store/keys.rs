//! Tells the keys on disk apart.

/// Key of the version of the form on disk.
pub(super) const SCHEMA_KEY: &[u8] = b"schema";
/// Key of the number of commits.
pub(super) const GENERATION_KEY: &[u8] = b"generation";
/// What keys of sums begin with; the group follows.
pub(super) const SUM_PREFIX: &[u8] = b"s/";

/// Whether a key is a record's.
pub(super) fn is_record(key: &[u8]) -> bool {
    key != SCHEMA_KEY && key != GENERATION_KEY && !key.starts_with(SUM_PREFIX)
}

/// What records are counted together: those of one kind in one namespace.
pub(super) fn group(key: &[u8]) -> &[u8] {
    let slashes = key.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let end = slashes.map(|(at, _)| at).nth(1);
    &key[..end.unwrap_or(key.len())]
}

/// The name of a group, for people.
pub(super) fn group_name(group: &[u8]) -> String {
    let (kind, namespace) = group.split_at(group.len().min(2));
    let kind = match kind {
        b"d/" => "dependencies",
        b"e/" => "external hosts",
        b"r/" => "reverts",
        _ => "records",
    };
    format!("{kind} of {}", namespace.escape_ascii())
}
