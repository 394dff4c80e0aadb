//! All that lives in one VM: the plugins that share it, and which requests and connections are whose.
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
    /// In the order of their numbers, in which they come.
    streams: Vec<Stream>,
}

/// A request or a connection.
#[derive(Clone, Copy, Debug)]
struct Stream {
    context: ContextId,
    /// Whose it is.
    plugin: ContextId,
    /// Whether a connection's first bytes have been looked at. Later ones say nothing.
    seen: bool,
}

/// Runs a callback; `default` when the host has entered the VM while it was still inside, as no known host does.
pub(super) fn enter<T>(default: T, callback: impl FnOnce(&mut Vm) -> T) -> T {
    VM.with(|vm| match vm.try_borrow_mut() {
        Ok(mut vm) => callback(&mut vm),
        Err(_) => default,
    })
}

impl Vm {
    /// Notes whose request or connection this is.
    pub(super) fn create(&mut self, context: ContextId, plugin: ContextId) {
        if plugin != 0 {
            let place = self.streams.partition_point(|it| it.context < context);
            let stream = Stream {
                context,
                plugin,
                seen: false,
            };
            self.streams.insert(place, stream);
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
        match self.plugin_of(context) {
            Some((plugin, proxy)) => plugin.on_request(proxy, now_ms, context),
            None => Action::Continue,
        }
    }

    /// A connection was opened.
    pub(super) fn new_connection(&mut self, context: ContextId) -> Action {
        let now_ms = self.proxy.now_ms();
        match self.plugin_of(context) {
            Some((plugin, proxy)) => plugin.on_connection(proxy, now_ms, context),
            None => Action::Continue,
        }
    }

    /// Bytes of a connection have come.
    pub(super) fn connection_data(&mut self, context: ContextId) -> Action {
        let stream = self.place(context).and_then(|at| self.streams.get(at));
        if stream.is_none_or(|stream| stream.seen) {
            return Action::Continue;
        }
        let now_ms = self.proxy.now_ms();
        let action = match self.plugin_of(context) {
            Some((plugin, proxy)) => plugin.on_connection_data(proxy, now_ms, context),
            None => Action::Continue,
        };
        let stream = self.place(context).and_then(|at| self.streams.get_mut(at));
        if let Some(stream) = stream {
            stream.seen = action == Action::Continue;
        }
        action
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

    /// A request, a connection or a plugin is gone.
    pub(super) fn delete(&mut self, context: ContextId) {
        let Some(place) = self.place(context) else {
            return self.remove(context);
        };
        if let Some((plugin, proxy)) = self.plugin_of(context) {
            plugin.on_gone(proxy, context);
        }
        self.streams.remove(place);
    }

    fn place(&self, context: ContextId) -> Option<usize> {
        self.streams
            .binary_search_by_key(&context, |stream| stream.context)
            .ok()
    }

    /// The plugin of a request or a connection.
    fn plugin_of(&mut self, context: ContextId) -> Option<(&mut Plugin, &mut Proxy)> {
        let stream = self.place(context).and_then(|at| self.streams.get(at))?;
        let plugin = find(&mut self.plugins, stream.plugin)?;
        Some((plugin, &mut self.proxy))
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
