//! An authority that is read says the same when it is read again.

use lazymesh_core::Authority;

pub(crate) fn fuzz(text: &str) {
    if let Ok(authority) = text.parse::<Authority>() {
        let again = authority.to_string();
        assert_eq!(again.parse(), Ok(authority), "{text:?} became {again:?}");
    }
}
