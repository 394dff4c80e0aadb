//! Reads who called from `x-forwarded-client-cert`, as the collector's own sidecar writes it.
//!
//! The header is a list of elements, one a proxy, each a list of `Key=value` pairs. A caller may send the
//! header itself, so only the last element can be trusted, and only when its `By` is the collector: that
//! one was added by the collector's sidecar after it had verified the caller's certificate.

/// A SPIFFE identity as Istio gives it: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spiffe<'a> {
    /// Whose certificates.
    pub trust_domain: &'a str,
    /// Kubernetes namespace.
    pub namespace: &'a str,
    /// Kubernetes service account.
    pub service_account: &'a str,
}

impl<'a> Spiffe<'a> {
    /// Takes an Istio identity apart; `None` for any other URI.
    #[must_use]
    pub fn parse(uri: &'a str) -> Option<Self> {
        let mut parts = uri.strip_prefix("spiffe://")?.split('/');
        let (domain, ns, namespace) = (parts.next()?, parts.next()?, parts.next()?);
        let (sa, service_account) = (parts.next()?, parts.next()?);
        let whole = parts.next().is_none();
        let named = !domain.is_empty() && !namespace.is_empty() && !service_account.is_empty();
        (whole && named && ns == "ns" && sa == "sa").then_some(Self {
            trust_domain: domain,
            namespace,
            service_account,
        })
    }
}

/// The last element of the header: who verified whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct XfccElement {
    /// SPIFFE id of the proxy that added the element.
    pub by: Option<String>,
    /// SPIFFE id of the certificate that was shown to it.
    pub uri: Option<String>,
}

impl XfccElement {
    /// Parses the last element of one header value; `None` when a quote is left open or a key comes twice.
    #[must_use]
    pub fn last(value: &str) -> Option<Self> {
        let element = split(value, b',')?.pop()?;
        let mut last = Self::default();
        for pair in split(element, b';')? {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match key.trim() {
                key if key.eq_ignore_ascii_case("by") => &mut last.by,
                key if key.eq_ignore_ascii_case("uri") => &mut last.uri,
                _ => continue,
            };
            // A certificate with two URIs proves neither.
            if place.replace(unquote(value.trim())).is_some() {
                return None;
            }
        }
        Some(last)
    }
}

/// Splits at `separator`, but not within double quotes.
fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

fn unquote(value: &str) -> String {
    match value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\\\"", "\""),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expect: Option<(&str, &str)>) {
        let found = XfccElement::last(value).and_then(|element| Some((element.by?, element.uri?)));
        let expect = expect.map(|(by, uri)| (by.to_owned(), uri.to_owned()));
        assert_eq!(found, expect, "{value}");
    }

    #[test]
    fn takes_the_last_element() {
        check("By=b;URI=u", Some(("b", "u")));
        check("By=b;Hash=00;Subject=\"\";URI=u", Some(("b", "u")));
        check("By=b;URI=forged,By=me;URI=real", Some(("me", "real")));
        check(" by = b ; uri = u ", Some(("b", "u")));
    }

    #[test]
    fn quotes_hide_separators() {
        check("By=b;Subject=\"CN=x,O=y;URI=no\";URI=u", Some(("b", "u")));
        check("By=b;Subject=\"a\\\",By=c;URI=no\";URI=u", Some(("b", "u")));
        check("By=\"b\";URI=\"u\"", Some(("b", "u")));
    }

    #[test]
    fn refuses_what_proves_nothing() {
        for value in [
            "",
            ",",
            "By=b",
            "URI=u",
            "By=b;URI=u,",
            "By=b;URI=u;URI=v",
            "By=b;URI=\"u",
            "By=b;URI=u,Hash=0",
        ] {
            check(value, None);
        }
    }

    #[test]
    fn takes_identities_apart() {
        let shop = Some(Spiffe {
            trust_domain: "cluster.local",
            namespace: "shop",
            service_account: "web",
        });
        for (uri, expect) in [
            ("spiffe://cluster.local/ns/shop/sa/web", shop),
            ("spiffe://cluster.local/ns/shop/sa/web/more", None),
            ("spiffe:///ns/shop/sa/web", None),
            ("spiffe://cluster.local/ns//sa/web", None),
            ("spiffe://cluster.local/ns/shop/sa/", None),
            ("spiffe://cluster.local/sa/web/ns/shop", None),
            ("https://cluster.local/ns/shop/sa/web", None),
        ] {
            assert_eq!(Spiffe::parse(uri), expect, "{uri}");
        }
    }
}
