//! Keeps things by namespace and name.

use std::collections::HashMap;

/// Things by namespace and name, found without allocating a key.
#[derive(Debug)]
pub(crate) struct Namespaced<T> {
    namespaces: HashMap<String, HashMap<String, T>>,
}

impl<T> Default for Namespaced<T> {
    fn default() -> Self {
        Self {
            namespaces: HashMap::new(),
        }
    }
}

impl<T> Namespaced<T> {
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&T> {
        self.namespaces.get(namespace)?.get(name)
    }

    pub(crate) fn insert(&mut self, namespace: &str, name: &str, value: T) {
        let names = self.namespaces.entry(namespace.to_owned()).or_default();
        names.insert(name.to_owned(), value);
    }

    pub(crate) fn entry(&mut self, namespace: &str, name: &str) -> &mut T
    where
        T: Default,
    {
        let names = self.namespaces.entry(namespace.to_owned()).or_default();
        names.entry(name.to_owned()).or_default()
    }

    pub(crate) fn get_mut(&mut self, namespace: &str, name: &str) -> Option<&mut T> {
        self.namespaces.get_mut(namespace)?.get_mut(name)
    }

    pub(crate) fn remove(&mut self, namespace: &str, name: &str) -> Option<T> {
        let names = self.namespaces.get_mut(namespace)?;
        let removed = names.remove(name);
        if names.is_empty() {
            self.namespaces.remove(namespace);
        }
        removed
    }

    /// Everything in a namespace, in no order.
    pub(crate) fn iter_in(&self, namespace: &str) -> impl Iterator<Item = (&String, &T)> {
        self.namespaces.get(namespace).into_iter().flatten()
    }
}
