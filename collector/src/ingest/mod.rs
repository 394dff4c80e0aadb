//! Takes what filters ask and report, and knows who they are.

mod identity;
mod report;
mod resolve;
pub(crate) mod xfcc;

pub use self::identity::IngestIdentity;
pub(crate) use self::identity::{Evidence, Refusal};
pub use self::report::ReportError;
pub use self::resolve::ResolveError;
