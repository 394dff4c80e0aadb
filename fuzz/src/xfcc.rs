//! What a caller writes into the header itself takes nothing from what the collector's sidecar appends.

use lazymesh_core::{Spiffe, XfccElement};

pub(crate) fn fuzz(text: &str) {
    if let Some(Spiffe {
        trust_domain,
        namespace,
        service_account,
    }) = Spiffe::parse(text)
    {
        let again = format!("spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}");
        assert_eq!(again, text);
    }
    // A header with an open quote proves nothing, appended to or not.
    let appended = format!(
        "{text},By=spiffe://mesh/ns/lazymesh-system/sa/collector;URI=spiffe://mesh/ns/shop/sa/web"
    );
    if let Some(element) = XfccElement::last(&appended) {
        assert_eq!(
            element.by.as_deref(),
            Some("spiffe://mesh/ns/lazymesh-system/sa/collector")
        );
        assert_eq!(element.uri.as_deref(), Some("spiffe://mesh/ns/shop/sa/web"));
    }
}
