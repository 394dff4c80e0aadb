//! Learns from observations: what is new is made durable, then known, then announced.

mod learner;
mod observation;
mod recorder;
mod usage;

pub(crate) use self::learner::{Learner, is_external};
pub(crate) use self::observation::{Observation, Origin};
pub(crate) use self::recorder::Recorder;
pub(crate) use self::usage::Usage;
