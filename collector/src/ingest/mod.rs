//! Takes what filters ask and report, and knows who they are.

pub(crate) mod access_log;
mod admission;
mod door;
mod filters;
mod identity;
mod pace;
mod report;
mod resolve;
mod turns;

pub(crate) use self::admission::{Admitted, Crowded};
pub(crate) use self::door::{Closed, Door};
pub(crate) use self::filters::Filters;
pub use self::identity::IngestIdentity;
pub(crate) use self::pace::Pace;
pub use self::report::ReportError;
pub(crate) use self::report::Reporter;
pub use self::resolve::ResolveError;
pub(crate) use self::resolve::Resolver;
pub(crate) use self::turns::{Crowd, Turns};
