//! All that lives in one VM: the plugins that share it, and which requests are whose.
//!
//! While a configuration is replaced there are two plugins in a VM for a while, each with its own calls and timer.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::host::Proxy;
use crate::host::{Action, ContextId, Host, Level, Token};
use crate::plugin::Plugin;

thread_local! {
    static VM: RefCell<Vm> = RefCell::default();
}

#[derive(Debug, Default)]
pub(super) struct Vm {
    proxy: Proxy,
    plugins: Vec<(ContextId, Plugin)>,
    requests: BTreeMap<ContextId, ContextId>,
}

/// Runs a callback; `default` when the host has entered the VM while it was still inside, as no known host does.
pub(super) fn enter<T>(default: T, callback: impl FnOnce(&mut Vm) -> T) -> T {
    VM.with(|vm| match vm.try_borrow_mut() {
        Ok(mut vm) => callback(&mut vm),
        Err(_) => default,
    })
}

impl Vm {
    /// Notes whose request this is.
    pub(super) fn create(&mut self, context: ContextId, plugin: ContextId) {
        if plugin != 0 {
            self.requests.insert(context, plugin);
        }
    }

    /// Replaces a plugin's configuration; false leaves it as it was.
    pub(super) fn configure(&mut self, context: ContextId, size: usize) -> bool {
        self.proxy.define_metrics();
        let seed = self.proxy.now_ns() ^ u64::from(context);
        match Plugin::new(&self.proxy.configuration(size), seed) {
            Ok(plugin) => {
                self.remove(context);
                self.plugins.push((context, plugin));
                true
            }
            Err(error) => {
                self.proxy.log(Level::Error, &format!("lazymesh: {error}"));
                false
            }
        }
    }

    /// The headers of a request have come.
    pub(super) fn request_headers(&mut self, context: ContextId) -> Action {
        let now_ms = self.proxy.now_ms();
        let Some(plugin) = self.requests.get(&context) else {
            return Action::Continue;
        };
        match find(&mut self.plugins, *plugin) {
            Some(plugin) => plugin.on_request(&mut self.proxy, now_ms, context),
            None => Action::Continue,
        }
    }

    /// A call of a plugin has ended.
    pub(super) fn call_end(&mut self, context: ContextId, token: Token, body_bytes: usize) {
        let now_ms = self.proxy.now_ms();
        if let Some(plugin) = find(&mut self.plugins, context) {
            plugin.on_call_end(&mut self.proxy, now_ms, token, body_bytes);
        }
    }

    /// A plugin's timer rings.
    pub(super) fn tick(&mut self, context: ContextId) {
        let now_ms = self.proxy.now_ms();
        if let Some(plugin) = find(&mut self.plugins, context) {
            plugin.on_tick(&mut self.proxy, now_ms);
        }
    }

    /// A request or a plugin is gone.
    pub(super) fn delete(&mut self, context: ContextId) {
        match self.requests.remove(&context) {
            Some(plugin) => {
                if let Some(plugin) = find(&mut self.plugins, plugin) {
                    plugin.on_request_gone(&mut self.proxy, context);
                }
            }
            None => self.remove(context),
        }
    }

    fn remove(&mut self, context: ContextId) {
        let now_ms = self.proxy.now_ms();
        for (_, mut plugin) in self.plugins.extract_if(.., |(other, _)| *other == context) {
            plugin.on_shutdown(&mut self.proxy, now_ms);
        }
    }
}

fn find(plugins: &mut [(ContextId, Plugin)], context: ContextId) -> Option<&mut Plugin> {
    plugins
        .iter_mut()
        .find_map(|(other, plugin)| (*other == context).then_some(plugin))
}
