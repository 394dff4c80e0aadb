//! What istio-iptables does in a real pod: every connection of the application goes through Envoy.

use anyhow::Result;

use super::{network, sandbox::Sandbox};

/// The user that pilot-agent and Envoy run as, whose own connections are left alone.
pub(super) const PROXY_USER: u32 = 1337;

/// In Istio's words: ports 15008, 15020, 15021 and 15090 are the sidecar's own.
fn rules(dns_capture: bool) -> String {
    let dns = if dns_capture {
        "udp dport 53 redirect to :15053\n    tcp dport 53 redirect to :15053"
    } else {
        ""
    };
    format!(
        "table ip sidecar {{
  chain outbound {{
    type nat hook output priority -100
    meta skuid {PROXY_USER} return
    {dns}
    oifname \"lo\" return
    ip daddr 127.0.0.0/8 return
    meta l4proto tcp redirect to :15001
  }}
  chain inbound {{
    type nat hook prerouting priority -100
    tcp dport {{ 15008, 15020, 15021, 15090 }} return
    meta l4proto tcp redirect to :15006
  }}
}}
"
    )
}

/// Redirects `pod`'s connections; with `dns_capture`, its questions to the name server too.
pub(super) fn install(pod: &Sandbox, dns_capture: bool) -> Result<()> {
    network::run(
        pod.network_command("nft").args(["-f", "-"]),
        &rules(dns_capture),
    )
    .map(drop)
}
