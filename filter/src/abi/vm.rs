//! All that lives in one VM: the plugins that share it, and which requests are whose.
//!
//! While a configuration is replaced there are two plugins in a VM for a while, each with its own calls and timer.

use std::cell::RefCell;

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
    /// Requests, and connections that have sent nothing yet, and whose they are, in the order of their numbers, in which
    /// they come.
    requests: Vec<(ContextId, ContextId)>,
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
            let place = self.requests.partition_point(|(other, _)| *other < context);
            self.requests.insert(place, (context, plugin));
        }
    }

    /// Replaces a plugin's configuration; false leaves it as it was.
    pub(super) fn configure(&mut self, context: ContextId, size: usize) -> bool {
        self.proxy.define_metrics();
        let (now_ms, seed) = (
            self.proxy.now_ms(),
            self.proxy.now_ns() ^ u64::from(context),
        );
        match Plugin::new(&self.proxy.configuration(size), seed) {
            Ok(mut plugin) => {
                self.remove(context);
                plugin.on_start(&mut self.proxy, now_ms);
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
        let plugin = self
            .request(context)
            .and_then(|index| self.requests.get(index));
        match plugin.and_then(|(_, plugin)| find(&mut self.plugins, *plugin)) {
            Some(plugin) => plugin.on_request(&mut self.proxy, now_ms, context),
            None => Action::Continue,
        }
    }

    /// Bytes of a connection have come. Only the first ones count.
    pub(super) fn connection_data(&mut self, context: ContextId) {
        let Some(index) = self.request(context) else {
            return;
        };
        let now_ms = self.proxy.now_ms();
        let (_, plugin) = self.requests.remove(index);
        if let Some(plugin) = find(&mut self.plugins, plugin) {
            plugin.on_connection(&mut self.proxy, now_ms);
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
        match self.request(context) {
            Some(index) => {
                let (_, plugin) = self.requests.remove(index);
                if let Some(plugin) = find(&mut self.plugins, plugin) {
                    plugin.on_request_gone(&mut self.proxy, context);
                }
            }
            None => self.remove(context),
        }
    }

    fn request(&self, context: ContextId) -> Option<usize> {
        self.requests
            .binary_search_by_key(&context, |(request, _)| *request)
            .ok()
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
