//! The name of a server is the same however much comes behind it.

use lazymesh_filter::ClientHello;

pub(crate) fn fuzz(bytes: &[u8]) {
    let (early, _) = bytes.split_at(bytes.len() / 2);
    let whole = ClientHello::read(bytes);
    if let named @ ClientHello::Tls(Some(_)) = ClientHello::read(early) {
        assert_eq!(whole, named);
    }
}
