//! Makes what was observed durable, then known, then published.

mod filters;
mod learner;
mod usage;

pub(crate) use self::filters::Heard;
pub(crate) use self::learner::Lesson;
