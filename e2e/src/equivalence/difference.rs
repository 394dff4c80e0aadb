use std::fmt;

use serde::{Deserialize, Serialize};

/// In what lazymesh does not do what Istio does without it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// P1: the port anchor alone does that, in a full scope too: it has the listener of all addresses on a port on which this
    /// mesh has none.
    PortAnchor,
    /// P1: the name of one host at the address of another that is not in scope goes by its name, where the full scope has a listener of
    /// that address.
    OtherAddress,
    /// P1: the scope routes, connects or refuses a call that something else becomes of.
    OtherOutcome,
    /// P1: the virtual host has other routes.
    OtherRoutes,
    /// P1: the clusters are missing or others.
    OtherClusters,
    /// P1: the clusters are the same, their endpoints are not.
    OtherEndpoints,
    /// P2: sent direct where routes or policies shape the request.
    DirectPastRules,
    /// P2: sent direct where Istio passes the call through, in plain text.
    DirectWherePassed,
    /// P2: sent direct to an address that is not the service's, or under a name that is not.
    DirectElsewhere,
    /// P2: sent direct over mTLS to endpoints of which some do not speak it.
    DirectToPlainText,
    /// P2: sent direct to identities that are not those that Istio would take.
    DirectToOtherIdentities,
    /// P2: held on clusters, or by weights, that are not Istio's.
    HoldElsewhere,
    /// P2: held on a cluster that the full scope does not have either.
    HoldForever,
    /// P2: held on the right clusters, where a route does more with the call than to send it there.
    HoldPastRules,
    /// P2: held, and then sent, where Istio answers itself: a direct response, a redirect or a fault.
    HoldPastAnswer,
    /// P2: held where Istio passes the call through.
    HoldWherePassed,
    /// P2: held where Istio refuses the call.
    HoldWhereRefused,
    /// P2: passed through where Istio routes the call or answers it.
    PassthroughWhereRouted,
    /// P2: passed through where Istio routes the call to clusters that nobody has, and so answers that they are missing.
    PassthroughWhereLost,
    /// P2: passed through where Istio refuses the call.
    PassthroughWhereRefused,
    /// P3: what the sidecar itself calls is not as in the full scope.
    OwnCallee,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// One call that is not as in a full scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In what.
    pub kind: Kind,
    /// The host and port of the call, or the cluster that the sidecar itself calls.
    pub of: String,
    /// The call, the outcomes and the scope, for a person.
    pub detail: String,
}

impl Difference {
    /// What stays the same from scope to scope and path to path: kind, host and port.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.kind, self.of)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.kind, self.detail)
    }
}
