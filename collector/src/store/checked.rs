//! Puts a checksum in front of what is stored, and counts what is stored by it.

use sha2::{Digest, Sha256};

/// Length of a checksum, in hexadecimal digits.
const DIGITS: usize = 16;

/// The first 64 bits of SHA-256 over key and body: a record under another's key is as wrong as one that differs.
fn checksum(key: &[u8], body: &[u8]) -> u64 {
    let mut hash = Sha256::new();
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(body);
    first_bits(hash)
}

/// The first 64 bits of a hash.
pub(super) fn first_bits(hash: Sha256) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finalize()[..8]);
    u64::from_be_bytes(first)
}

/// A value as it is stored.
pub(super) fn wrap(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut value = format!("{:016x}", checksum(key, body)).into_bytes();
    value.extend(body);
    value
}

/// What [`wrap`] was given.
pub(super) fn unwrap<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], String> {
    let (written, body) = split(value).ok_or("has no checksum")?;
    match written == checksum(key, body) {
        true => Ok(body),
        false => Err("is not what was written".to_owned()),
    }
}

fn split(value: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, body) = value.split_at_checked(DIGITS)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u64::from_str_radix(digits, 16).ok()?, body))
}

/// How many records there are, and what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) count: u64,
    /// The sum of the records' checksums.
    pub(super) hash: u64,
}

impl Sum {
    /// Adds a stored value.
    pub(super) fn add(&mut self, value: &[u8]) {
        self.count = self.count.wrapping_add(1);
        self.hash = self.hash.wrapping_add(written(value));
    }

    /// Takes a stored value out again.
    pub(super) fn remove(&mut self, value: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        self.hash = self.hash.wrapping_sub(written(value));
    }

    pub(super) fn to_text(self) -> String {
        format!("{} {:016x}", self.count, self.hash)
    }

    pub(super) fn from_text(text: &[u8]) -> Option<Self> {
        let (count, hash) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        Some(Self {
            count: count.parse().ok()?,
            hash: u64::from_str_radix(hash, 16).ok()?,
        })
    }
}

fn written(value: &[u8]) -> u64 {
    split(value).map_or(0, |(written, _)| written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bit_that_flips_shows() {
        let value = wrap(b"key", b"{\"count\":3}");
        assert_eq!(unwrap(b"key", &value).unwrap(), b"{\"count\":3}");
        assert!(unwrap(b"kez", &value).is_err());
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Upper case says the same number.
            let is_same = flipped.eq_ignore_ascii_case(&value) && bit / 8 < DIGITS;
            assert_eq!(unwrap(b"key", &flipped).is_ok(), is_same, "bit {bit}");
        }
        assert!(unwrap(b"key", b"{}").is_err());
    }

    #[test]
    fn a_sum_does_not_depend_on_the_order() {
        let (a, b) = (wrap(b"a", b"1"), wrap(b"b", b"2"));
        let mut sum = Sum::default();
        sum.add(&a);
        let only_a = sum;
        sum.add(&b);
        assert_eq!(Sum::from_text(sum.to_text().as_bytes()), Some(sum));
        sum.remove(&b);
        assert_eq!(sum, only_a);
        sum.remove(&a);
        assert_eq!(sum, Sum::default());
        assert_eq!(Sum::from_text(b"1"), None);
    }
}
