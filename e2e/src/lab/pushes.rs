//! What istiod says that it has sent to whom. Only its log tells the types of xDS apart for one sidecar: its metrics
//! add all sidecars up, and Envoy's add all types up.

use anyhow::{Context, Result};

use super::Lab;

/// One xDS response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Type, as istiod calls it: `CDS`, `EDS`, `LDS`, `RDS`, `ECDS`.
    pub kind: String,
    /// Pod and namespace, with a point in between.
    pub node: String,
    /// Bytes of the resources, without their names; rounded by istiod to a tenth of its unit.
    pub bytes: u64,
}

impl Lab {
    /// Everything that istiod has sent to sidecars so far.
    ///
    /// # Errors
    /// When its log cannot be read, or does not look as it did.
    pub fn pushes(&self) -> Result<Vec<Push>> {
        let log = self.istiod.log()?;
        // A line that is being written does not count yet.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        let lines = whole
            .lines()
            .filter_map(|line| line.split_once("\tdelta\t"))
            .filter(|(_, message)| message.contains(": PUSH"));
        lines
            .map(|(_, message)| read(message).with_context(|| format!("an odd line: {message}")))
            .collect()
    }
}

/// `CDS: PUSH INC for node:a.b resources:1 size:1.5kB`, with more in between.
fn read(message: &str) -> Option<Push> {
    let (kind, rest) = message.split_once(':')?;
    let field = |name| rest.split(' ').find_map(|word| word.strip_prefix(name));
    Some(Push {
        kind: kind.to_owned(),
        node: field("node:")?.to_owned(),
        bytes: bytes(field("size:")?)?,
    })
}

/// `999B`, `1.0kB`, `2.5MB`.
fn bytes(size: &str) -> Option<u64> {
    let number = size.strip_suffix('B')?;
    let (number, unit) = match number.split_at_checked(number.len().checked_sub(1)?)? {
        (number, "k") => (number, 1e3),
        (number, "M") => (number, 1e6),
        (number, "G") => (number, 1e9),
        _ => (number, 1.0),
    };
    let bytes = number.parse::<f64>().ok()? * unit;
    Some(bytes.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, kind: &str, bytes: u64) {
        let push = Push {
            kind: kind.to_owned(),
            node: "lazy-0.shop".to_owned(),
            bytes,
        };
        assert_eq!(read(message), Some(push));
    }

    #[test]
    fn lines_of_istiod_are_read() {
        check(
            "CDS: PUSH request for node:lazy-0.shop resources:9 removed:0 size:5.5kB cached:5/5 nonce:x",
            "CDS",
            5_500,
        );
        check(
            "EDS: PUSH INC for node:lazy-0.shop resources:1 size:807B empty:0 cached:0/1",
            "EDS",
            807,
        );
        check(
            "RDS: PUSH for node:lazy-0.shop resources:4 removed:0 size:2.1MB",
            "RDS",
            2_100_000,
        );
        assert_eq!(read("CDS: PUSH for node:lazy-0.shop resources:9"), None);
    }
}
