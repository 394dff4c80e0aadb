//! What is read of a message is read again of what is written of it.

use std::fmt::Debug;

use lazymesh_protocol::{FilterConfig, Reports, ReportsResponse, ResolveRequest, ResolveResponse};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) fn fuzz(bytes: &[u8]) {
    check::<FilterConfig>(bytes);
    check::<Reports>(bytes);
    check::<ReportsResponse>(bytes);
    check::<ResolveRequest>(bytes);
    check::<ResolveResponse>(bytes);
}

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(message) = serde_json::from_slice::<T>(bytes) {
        let written = serde_json::to_vec(&message).expect("every message can be written");
        let again: T = serde_json::from_slice(&written).expect("what was written can be read");
        assert_eq!(again, message);
    }
}
