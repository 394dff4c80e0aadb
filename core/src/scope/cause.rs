//! Says by which rule a host is in a scope.

use std::fmt;

use super::AlwaysVisible;
use crate::inventory::{Caller, Route};
use crate::names::EgressHost;
use crate::resource::{Kind, ObjectKey};

/// What ties a host to a scope, as the closure meets it.
#[derive(Clone, Copy)]
pub(super) enum Tie<'a> {
    Always(AlwaysVisible),
    Callee(Caller<'a>),
    Own,
    Learned,
    Pinned,
    Ruled(&'a Route),
    Destination(&'a Route),
    Host(&'a Route),
    Alias,
    Name,
    Below,
    Address,
    Merged,
    Captured,
}

/// Why a host is in a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The egress host.
    pub host: EgressHost,
    /// What brought it there.
    pub rule: Rule,
    /// The host that it came along with, if it did.
    pub with: Option<EgressHost>,
}

/// What brings a host into a scope: the first five by itself, the others along with another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everybody who may see it has it.
    Always(AlwaysVisible),
    /// The sidecar calls it itself, for this object.
    Callee(ObjectKey),
    /// It selects a pod that discovers itself.
    Own,
    /// The workload was seen to call it.
    Learned,
    /// A person asked for it.
    Pinned,
    /// It imports this VirtualService, which rules the other.
    Ruled(ObjectKey),
    /// This VirtualService of the other sends there.
    Destination(ObjectKey),
    /// Without it a wildcard of this VirtualService would take its name over.
    Host(ObjectKey),
    /// The other is an ExternalName for it, or it is that name.
    Alias,
    /// The other's virtual host answers to its name.
    Name,
    /// The other's wildcard covers its name.
    Below,
    /// It shares an address and a port with the other.
    Address,
    /// Several objects are the other, and istiod looks at all of them where there is a wildcard.
    Merged,
    /// Without its own listener its connections would be taken for the other's.
    Captured,
}

impl From<Tie<'_>> for Rule {
    fn from(tie: Tie<'_>) -> Self {
        match tie {
            Tie::Always(why) => Self::Always(why),
            Tie::Callee(caller) => Self::Callee(caller.key()),
            Tie::Own => Self::Own,
            Tie::Learned => Self::Learned,
            Tie::Pinned => Self::Pinned,
            Tie::Ruled(route) => Self::Ruled(key(route)),
            Tie::Destination(route) => Self::Destination(key(route)),
            Tie::Host(route) => Self::Host(key(route)),
            Tie::Alias => Self::Alias,
            Tie::Name => Self::Name,
            Tie::Below => Self::Below,
            Tie::Address => Self::Address,
            Tie::Merged => Self::Merged,
            Tie::Captured => Self::Captured,
        }
    }
}

fn key(route: &Route) -> ObjectKey {
    ObjectKey::new(Kind::VirtualService, &*route.namespace, &*route.name)
}

impl Rule {
    /// In one word, for programs.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Always(why) => why.word(),
            Self::Callee(_) => "callee",
            Self::Own => "own-service",
            Self::Learned => "learned",
            Self::Pinned => "pinned",
            Self::Ruled(_) => "ruled",
            Self::Destination(_) => "destination",
            Self::Host(_) => "host",
            Self::Alias => "alias",
            Self::Name => "name",
            Self::Below => "below",
            Self::Address => "address",
            Self::Merged => "merged",
            Self::Captured => "captured",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Always(why) => return why.fmt(out),
            Rule::Callee(object) => {
                write!(
                    out,
                    "{object} has the sidecar itself call it, or patches it"
                )
            }
            Rule::Own => out.write_str("it selects a pod that asks for its own services"),
            Rule::Learned => out.write_str("the workload was seen to call it"),
            Rule::Pinned => out.write_str("somebody asked for it"),
            Rule::Ruled(object) => write!(out, "it imports {object}, which rules"),
            Rule::Destination(object) => write!(out, "{object} sends there, and rules"),
            Rule::Host(object) => {
                write!(
                    out,
                    "a wildcard of {object} would have its name, which also rules"
                )
            }
            Rule::Alias => out.write_str("it is another name of, or stands behind,"),
            Rule::Name => out.write_str("one of its names is a name of"),
            Rule::Below => out.write_str("one of its names is below"),
            Rule::Address => out.write_str("it shares an address and a port with"),
            Rule::Merged => out.write_str("with a wildcard istiod looks at all objects of"),
            Rule::Captured => {
                out.write_str("without it its connections would be taken for those of")
            }
        }?;
        match &self.with {
            Some(with) => write!(out, " {with}"),
            None => Ok(()),
        }
    }
}
