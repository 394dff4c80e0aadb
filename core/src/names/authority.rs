//! Reads an HTTP authority, or a TLS SNI, as hostile input.
//!
//! Whatever an application put into its Host header arrives here. What leaves is short, ASCII, lower case and
//! free of anything that could confuse a log, a file name or a YAML document.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use lazymesh_protocol::MAX_AUTHORITY_BYTES;
use thiserror::Error;

use crate::names::dns;

/// The host of an [`Authority`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A DNS name: lower case, without a trailing dot.
    Name(String),
    /// An IP literal.
    Ip(IpAddr),
}

/// A host with an optional port, as in `:authority`, Host or SNI.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// Whether a dot ends it, which resolvers drop and Envoy compares.
    pub absolute: bool,
    /// The port, never 0.
    pub port: Option<u16>,
}

/// Why a text is not an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AuthorityError {
    /// Nothing there, or nothing in front of the port.
    #[error("the host is empty")]
    Empty,
    /// Longer than any authority can be.
    #[error("longer than {MAX_AUTHORITY_BYTES} bytes, or a name longer than 253")]
    TooLong,
    /// A byte that no host has: a control byte, a blank, `@`, `/`, `*`, or one beyond ASCII.
    #[error("a byte that is neither letter, digit, `-`, `_` nor `.`")]
    BadByte,
    /// A part between two dots that is empty or longer than 63 bytes.
    #[error("a label that is empty or longer than 63 bytes")]
    BadLabel,
    /// What follows the colon is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    BadPort,
    /// What stands in brackets is not an IPv6 address.
    #[error("no IPv6 address in the brackets")]
    BadIpv6,
}

impl FromStr for Authority {
    type Err = AuthorityError;

    fn from_str(text: &str) -> Result<Self, AuthorityError> {
        if text.len() > MAX_AUTHORITY_BYTES {
            return Err(AuthorityError::TooLong);
        }
        if let Some(rest) = text.strip_prefix('[') {
            return parse_bracketed(rest);
        }
        // An SNI or a sloppy client may carry an IPv6 address without brackets; it cannot have a port then.
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self {
                host: Host::Ip(address.into()),
                absolute: false,
                port: None,
            });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (text, None),
        };
        Ok(Self {
            host: parse_host(host)?,
            absolute: host.ends_with('.'),
            port,
        })
    }
}

fn parse_bracketed(rest: &str) -> Result<Authority, AuthorityError> {
    let (address, tail) = rest.split_once(']').ok_or(AuthorityError::BadIpv6)?;
    let address: Ipv6Addr = address.parse().map_err(|_| AuthorityError::BadIpv6)?;
    let port = match tail.strip_prefix(':') {
        Some(port) => Some(parse_port(port)?),
        None if tail.is_empty() => None,
        None => return Err(AuthorityError::BadPort),
    };
    Ok(Authority {
        host: Host::Ip(address.into()),
        absolute: false,
        port,
    })
}

fn parse_port(text: &str) -> Result<u16, AuthorityError> {
    // `u16::from_str` alone would take "+80".
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AuthorityError::BadPort);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(AuthorityError::BadPort),
        Ok(port) => Ok(port),
    }
}

fn parse_host(text: &str) -> Result<Host, AuthorityError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(AuthorityError::Empty);
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(Host::Ip(address));
    }
    if name.len() > dns::MAX_NAME_BYTES {
        return Err(AuthorityError::TooLong);
    }
    if !name.bytes().all(is_host_byte) {
        return Err(AuthorityError::BadByte);
    }
    if !name.split('.').all(is_host_label) {
        return Err(AuthorityError::BadLabel);
    }
    Ok(Host::Name(name.to_ascii_lowercase()))
}

/// Underscores are no part of host names by RFC 1123, but Compose-born names have them, and Envoy takes them.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_host_label(label: &str) -> bool {
    !label.is_empty() && label.len() <= dns::MAX_LABEL_BYTES
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Ip(IpAddr::V4(address)) => address.fmt(out),
            Self::Ip(IpAddr::V6(address)) => write!(out, "[{address}]"),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(out)?;
        if self.absolute {
            out.write_str(".")?;
        }
        match self.port {
            Some(port) => write!(out, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        let check = |text: &str, expect: &str| {
            assert_eq!(
                text.parse::<Authority>().map(|a| a.to_string()).as_deref(),
                Ok(expect),
                "{text:?}"
            );
        };
        check("reviews", "reviews");
        check("Reviews.Shop:80", "reviews.shop:80");
        check(
            "reviews.shop.svc.cluster.local.",
            "reviews.shop.svc.cluster.local.",
        );
        check("Reviews.shop.:8080", "reviews.shop.:8080");
        check("my_db.shop", "my_db.shop");
        check("10.96.0.10:80", "10.96.0.10:80");
        check("[2001:DB8::1]:443", "[2001:db8::1]:443");
        check("2001:db8::1", "[2001:db8::1]");
        check("xn--caf-dma.example", "xn--caf-dma.example");
        check("1.2.3", "1.2.3");
    }

    #[test]
    fn refuses_what_is_no_authority() {
        let check = |text: &str, expect: AuthorityError| {
            assert_eq!(text.parse::<Authority>(), Err(expect), "{text:?}");
        };
        check("", AuthorityError::Empty);
        check(".", AuthorityError::Empty);
        check(":80", AuthorityError::Empty);
        check("a..b", AuthorityError::BadLabel);
        check(&"a".repeat(64), AuthorityError::BadLabel);
        check(&"a.".repeat(128), AuthorityError::TooLong);
        check(&"a".repeat(10_240), AuthorityError::TooLong);
        check("a b", AuthorityError::BadByte);
        check("user@host", AuthorityError::BadByte);
        check("host/path", AuthorityError::BadByte);
        check("a\r\nb", AuthorityError::BadByte);
        check("*.example.com", AuthorityError::BadByte);
        check("\u{1f980}.example", AuthorityError::BadByte);
        check("host:", AuthorityError::BadPort);
        check("host:0", AuthorityError::BadPort);
        check("host:+80", AuthorityError::BadPort);
        check("host:65536", AuthorityError::BadPort);
        check("host:80:80", AuthorityError::BadPort);
        check("[::1", AuthorityError::BadIpv6);
        check("[fe80::1%eth0]", AuthorityError::BadIpv6);
        check("[::1]80", AuthorityError::BadPort);
    }
}
