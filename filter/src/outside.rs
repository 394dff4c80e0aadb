//! Connections that go outside the mesh and of which nothing has come yet, each with the address that was dialled.

use crate::host::ContextId;

/// In the order of their numbers, in which they come.
#[derive(Debug, Default)]
pub(crate) struct Outside(Vec<(ContextId, Option<String>)>);

impl Outside {
    /// Keeps what was dialled, since to ask the proxy again costs more.
    pub(crate) fn add(&mut self, context: ContextId, destination: Option<String>) {
        let place = self.0.partition_point(|(other, _)| *other < context);
        self.0.insert(place, (context, destination));
    }

    /// What a connection dialled; `None`: it is none of these, or was taken before.
    pub(crate) fn take(&mut self, context: ContextId) -> Option<Option<String>> {
        let place = self.0.binary_search_by_key(&context, |(other, _)| *other);
        place.ok().map(|place| self.0.remove(place).1)
    }
}
