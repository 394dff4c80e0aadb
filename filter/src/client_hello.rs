//! Whom the first bytes of a connection are for, where they are TLS's: RFC 8446 §4.1.2, RFC 6066 §3.
//!
//! Read here and not by Envoy's `tls_inspector`, which holds up protocols whose server speaks first; nor by a TLS
//! library, since each kilobyte of the module costs memory in every sidecar.

/// As much of a connection as is worth reading. Most clients name the server within the first packet.
pub(crate) const MAX_BYTES: usize = 4_096;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;

/// What a client says first.
#[derive(Debug, PartialEq, Eq)]
pub enum ClientHello<'a> {
    /// That it wants TLS, and from which server, if it says so within these bytes.
    Tls(Option<&'a str>),
    /// Something else.
    Other,
}

impl<'a> ClientHello<'a> {
    /// Reads the first bytes of a connection, as far as they have come.
    pub fn read(bytes: &'a [u8]) -> Self {
        let [HANDSHAKE, 3, _, _, _, CLIENT_HELLO, ..] = bytes else {
            return Self::Other;
        };
        Self::Tls(server_name(Reader(bytes)))
    }
}

fn server_name(mut bytes: Reader<'_>) -> Option<&str> {
    // The headers of record and handshake, version and random.
    bytes.take(5 + 4 + 2 + 32)?;
    let _session = bytes.list::<1>()?;
    let _cipher_suites = bytes.list::<2>()?;
    let _compression = bytes.list::<1>()?;
    // The extensions' own length says more than may be here.
    bytes.take(2)?;
    loop {
        let kind = bytes.array().map(u16::from_be_bytes)?;
        let mut extension = bytes.list::<2>()?;
        if kind == SERVER_NAME {
            let mut names = extension.list::<2>()?;
            let [HOST_NAME] = names.array()? else {
                return None;
            };
            let Reader(name) = names.list::<2>()?;
            return std::str::from_utf8(name).ok();
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Bytes behind their number, itself of `N` bytes.
    fn list<const N: usize>(&mut self) -> Option<Self> {
        let count = self.array::<N>()?.into_iter();
        let count = count.fold(0_usize, |sum, byte| sum << 8 | usize::from(byte));
        self.take(count).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What OpenSSL 3 sends for `openssl s_client -tls1_3 -servername example.org`, its key shares taken out.
    fn client_hello(extensions: &[u8]) -> Vec<u8> {
        let number = |count: usize| u16::try_from(count).unwrap().to_be_bytes();
        let mut body = [&[3, 3][..], &[7; 32], &[0]].concat();
        body.extend([0, 2, 0x13, 0x01, 1, 0]);
        body.extend(number(extensions.len()));
        body.extend(extensions);
        let mut bytes = vec![22, 3, 1];
        bytes.extend(number(body.len() + 4));
        bytes.extend([1, 0]);
        bytes.extend(number(body.len()));
        bytes.extend(body);
        bytes
    }

    fn named(name: &[u8]) -> Vec<u8> {
        let size = u8::try_from(name.len()).unwrap();
        let mut extensions = vec![0, 10, 0, 2, 0, 29];
        extensions.extend([0, 0, 0, size + 5, 0, size + 3, 0, 0, size]);
        extensions.extend(name);
        extensions
    }

    #[test]
    fn a_server_s_name() {
        let bytes = client_hello(&named(b"example.org"));
        assert_eq!(
            ClientHello::read(&bytes),
            ClientHello::Tls(Some("example.org"))
        );
        let part = &bytes[..bytes.len() - 1];
        assert_eq!(ClientHello::read(part), ClientHello::Tls(None));
        let mut longer = bytes.clone();
        longer.extend(b"early data");
        assert_eq!(
            ClientHello::read(&longer),
            ClientHello::Tls(Some("example.org"))
        );
    }

    #[test]
    fn no_name() {
        for extensions in [&[][..], &[0, 10, 0, 2, 0, 29], &named(b"\xff")] {
            assert_eq!(
                ClientHello::read(&client_hello(extensions)),
                ClientHello::Tls(None)
            );
        }
        for bytes in [
            &b""[..],
            b"GET / HTTP/1.1\r\n",
            &[22, 3, 1, 0, 1],
            &[22, 3, 1, 0, 1, 2],
        ] {
            assert_eq!(ClientHello::read(bytes), ClientHello::Other);
        }
    }

    proptest! {
        #[test]
        fn anything(bytes: Vec<u8>, cut: usize) {
            ClientHello::read(&bytes);
            let mut hello = client_hello(&named(b"example.org"));
            let cut = cut % hello.len();
            hello.splice(cut.., bytes);
            ClientHello::read(&hello);
        }
    }
}
