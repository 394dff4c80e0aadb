//! Checks the names that everything else is keyed by.

mod authority;
mod cluster;
pub(crate) mod dns;
mod egress_host;
mod error;
mod fnv;
mod workload;
mod xfcc;

pub use self::authority::{Authority, AuthorityError, Host};
pub use self::cluster::ClusterId;
pub use self::dns::is_object_name;
pub use self::egress_host::EgressHost;
pub use self::error::NameError;
pub(crate) use self::fnv::fnv1a;
pub use self::workload::Workload;
pub use self::xfcc::{Spiffe, XfccElement};
