//! Learns from observations: what is new is made durable, then known, then announced. What is gone, or was not
//! seen for long, is forgotten.

mod expirer;
mod forgetter;
mod learner;
mod observation;
mod recorder;
mod usage;
mod watches;

pub(crate) use self::expirer::Expirer;
pub(crate) use self::forgetter::Forgetter;
pub(crate) use self::learner::{Learner, is_external};
pub(crate) use self::observation::{Observation, Origin, What};
pub(crate) use self::recorder::Recorder;
pub(crate) use self::usage::Usage;
pub(crate) use self::watches::Watches;
