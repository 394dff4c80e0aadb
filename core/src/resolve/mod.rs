//! Resolves a question to its target: who is meant by a name or an address.

mod question;
mod target;

pub use self::question::{Question, QuestionError};
pub(crate) use self::target::{PLAIN_HTTP, Target, concrete, port, resolve};
