//! What the logic needs of a proxy. The Wasm build has one implementation, tests have another.
//!
//! No method can fail in a way that the caller must know more about than "it did not work": every status that a
//! host may answer is folded into these results at the ABI.

use crate::metrics::Metric;

/// A request, a connection or a plugin, as the host numbers them.
pub type ContextId = u32;

/// A call in flight, as the host numbers them.
pub type Token = u32;

/// What becomes of a request after its headers were seen, or of a connection after it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on at once.
    Continue,
    /// It waits, with all that follows of it, for [`Host::resume`].
    Pause,
}

/// What [`Host::resume`] lets go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// A request.
    Request,
    /// A connection from the application.
    Connection,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something an operator may want to know.
    Info,
    /// Something an operator should look at.
    Warn,
    /// The plugin cannot work.
    Error,
}

/// Outcome of [`Host::set_shared`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The value is the new one.
    Done,
    /// Somebody else wrote since the version that was compared with.
    Moved,
    /// The host refused.
    Failed,
}

/// An HTTP POST of JSON to the collector.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Cluster it goes through.
    pub cluster: &'a str,
    /// Its `:authority`.
    pub authority: &'a str,
    /// Its `:path`.
    pub path: &'static str,
    /// The trace that it is part of, as W3C's `traceparent`.
    pub trace: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
    /// Milliseconds after which the host gives up.
    pub timeout_ms: u32,
}

/// The proxy, as one callback sees it.
///
/// The methods of requests and connections act on the *selected* context: the one that the callback is for, until [`Host::select`].
pub trait Host {
    /// An attribute of the selected request or of the proxy.
    fn property(&self, path: &[&str]) -> Option<Vec<u8>>;
    /// Sets an attribute of the selected request that routes can ask for.
    fn set_property(&mut self, name: &str, value: &str);
    /// First value of a request header.
    fn request_header(&self, name: &str) -> Option<Vec<u8>>;
    /// Replaces all values of a request header. False: the request has no headers any more.
    fn set_request_header(&mut self, name: &str, value: &str) -> bool;
    /// Removes all values of a request header.
    fn remove_request_header(&mut self, name: &str);
    /// Sets filter state; `arguments` as module `filter_state` encodes them. False: the proxy refused.
    fn set_filter_state(&mut self, arguments: &[u8]) -> bool;
    /// Has the route chosen again.
    fn clear_route_cache(&mut self);
    /// Lets the selected, paused request or connection go on, after this callback has returned.
    fn resume(&mut self, stream: Stream);
    /// Selects another context. False: it is gone.
    fn select(&mut self, context: ContextId) -> bool;
    /// The bytes of the selected connection that have just come, at most `max` of them.
    fn connection_data(&self, max: usize) -> Option<Vec<u8>>;
    /// Starts a call; its end is told to [`crate::Plugin::on_call_end`], unless the answer here is `None`.
    fn call(&mut self, call: &Call<'_>) -> Option<Token>;
    /// `:status` of the call that ended just now; `None` when there was no answer.
    fn call_status(&self) -> Option<Vec<u8>>;
    /// Body of the call that ended just now, at most `max` bytes of it.
    fn call_body(&self, max: usize) -> Option<Vec<u8>>;
    /// Whether this worker could send a request through this cluster now.
    fn has_cluster(&mut self, cluster: &str) -> bool;
    /// A value that all workers share, and its version for [`Host::set_shared`].
    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)>;
    /// Sets a value that all workers share if it still has this version; version 0 sets it in any case.
    fn set_shared(&mut self, key: &str, value: &[u8], version: u32) -> Written;
    /// Has [`crate::Plugin::on_tick`] called every so many milliseconds; 0: no more.
    fn set_tick(&mut self, period_ms: u32);
    /// Adds to a counter or gauge.
    fn add(&mut self, metric: Metric, delta: i64);
    /// Records a value in a histogram.
    fn record(&mut self, metric: Metric, value: u64);
    /// Writes a line to the proxy's log.
    fn log(&mut self, level: Level, message: &str);
}
