//! The filter takes no configuration that is none, and takes one that it has read once more.

use lazymesh_filter::Plugin;
use lazymesh_protocol::FilterConfig;

pub(crate) fn fuzz(bytes: &[u8]) {
    if Plugin::new(bytes, 0).is_ok() {
        let config: FilterConfig = serde_json::from_slice(bytes).expect("a configuration");
        let again = serde_json::to_vec(&config).expect("JSON");
        assert!(Plugin::new(&again, 0).is_ok());
    }
}
