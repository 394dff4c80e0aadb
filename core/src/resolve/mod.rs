//! Resolves a question to its target: who is meant by a name or an address.

mod alias;
mod listener;
mod question;
mod target;

pub(crate) use self::alias::concrete;
pub use self::question::{Question, QuestionError};
pub(crate) use self::target::{PLAIN_HTTP, Target, port, resolve, spellings};
