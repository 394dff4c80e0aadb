//! Runs the filter as it is compiled in a host of our own: Envoy answers as it should, this one as it likes.

mod flood;
mod fuzz;
mod hostile;
mod orderly;
mod vm;

pub use flood::{Flooded, flood};
pub use fuzz::{Fuzzed, fuzz};
pub use vm::Compiled;
