//! Notes the namespaces that filters call from: only those may be lazy.

use crate::state::{Event, SharedView};

/// A filter has called from this namespace.
pub(crate) fn called_from(view: &SharedView, namespace: &str) {
    if view.look().policy.filters.admit(namespace) {
        return;
    }
    let affected = view.change(|view| {
        // Only what exists, so that the set is bounded.
        let mut known = view.inventory.namespaces();
        let is_known = known.any(|known| known == namespace);
        (is_known && view.policy.filters.see(namespace)).then(|| view.subjects_in(namespace))
    });
    if let Some(affected) = affected {
        tracing::info!(namespace, "a filter has called; the namespace may be lazy");
        view.announce(Event::Affected(affected));
    }
}
