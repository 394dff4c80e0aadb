//! The host as the ABI shows it. Every status but success is a plain "it did not work".

use super::imports::*;
use super::memory;
use crate::filter_state;
use crate::host::{Call, ContextId, Host, Level, Stream, Token, Written};
use crate::metrics::{Kind, Metric};

/// The proxy behind the ABI, and its numbers of our metrics.
#[derive(Debug, Default)]
pub(super) struct Proxy {
    metrics: Vec<Option<u32>>,
}

impl Proxy {
    /// Makes the metrics known, once in a VM.
    pub(super) fn define_metrics(&mut self) {
        if self.metrics.is_empty() {
            self.metrics = Metric::ALL.iter().map(|metric| define(*metric)).collect();
        }
    }

    /// Milliseconds of the clock that never goes back.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ns() / 1_000_000
    }

    /// Nanoseconds of the same clock.
    pub(super) fn now_ns(&self) -> u64 {
        let mut now_ns = 0;
        // SAFETY: the host writes eight bytes to a valid pointer.
        unsafe { clock_time_get(MONOTONIC, 0, &mut now_ns) };
        now_ns
    }

    /// The plugin's configuration, while it is being configured.
    pub(super) fn configuration(&self, size: usize) -> Vec<u8> {
        buffer(PLUGIN_CONFIGURATION, size).unwrap_or_default()
    }

    fn metric(&self, metric: Metric) -> Option<u32> {
        self.metrics.get(metric as usize).copied().flatten()
    }
}

impl Host for Proxy {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        let path = path.join("\0");
        // SAFETY: `path` outlives the call.
        memory::read(|data, size| unsafe {
            proxy_get_property(path.as_ptr(), path.len(), data, size)
        })
    }

    fn set_property(&mut self, name: &str, value: &str) {
        // SAFETY: both texts outlive the call.
        unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        header(REQUEST_HEADERS, name)
    }

    fn set_request_header(&mut self, name: &str, value: &str) -> bool {
        // SAFETY: both texts outlive the call.
        let status = unsafe {
            proxy_replace_header_map_value(
                REQUEST_HEADERS,
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        };
        status == OK
    }

    fn remove_request_header(&mut self, name: &str) {
        // SAFETY: `name` outlives the call.
        unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) };
    }

    fn set_filter_state(&mut self, arguments: &[u8]) -> bool {
        call_function(filter_state::FUNCTION, arguments)
    }

    fn clear_route_cache(&mut self) {
        call_function("clear_route_cache", &[]);
    }

    fn resume(&mut self, stream: Stream) {
        let stream = match stream {
            Stream::Request => REQUEST,
            Stream::Connection => DOWNSTREAM,
        };
        // SAFETY: no pointers.
        unsafe { proxy_continue_stream(stream) };
    }

    fn select(&mut self, context: ContextId) -> bool {
        // SAFETY: no pointers.
        unsafe { proxy_set_effective_context(context) == OK }
    }

    fn connection_data(&self, max: usize) -> Option<Vec<u8>> {
        buffer(DOWNSTREAM_DATA, max)
    }

    fn call(&mut self, call: &Call<'_>) -> Option<Token> {
        let headers = [
            (":method", "POST"),
            (":path", call.path),
            (":authority", call.authority),
            ("content-type", "application/json"),
        ];
        let trace = call.trace.map(|trace| ("traceparent", trace));
        let headers: Vec<_> = headers.into_iter().chain(trace).collect();
        let headers = memory::map(&headers);
        let trailers = memory::map(&[]);
        // The host takes a time-out above `i32::MAX` for a negative one, and refuses it.
        let timeout_ms = call.timeout_ms.min(i32::MAX.unsigned_abs());
        let mut token = 0;
        // SAFETY: everything pointed to outlives the call, which copies it.
        let status = unsafe {
            proxy_http_call(
                call.cluster.as_ptr(),
                call.cluster.len(),
                headers.as_ptr(),
                headers.len(),
                call.body.as_ptr(),
                call.body.len(),
                trailers.as_ptr(),
                trailers.len(),
                timeout_ms,
                &mut token,
            )
        };
        (status == OK).then_some(token)
    }

    fn call_status(&self) -> Option<Vec<u8>> {
        header(CALL_RESPONSE_HEADERS, ":status")
    }

    fn call_body(&self, max: usize) -> Option<Vec<u8>> {
        buffer(CALL_RESPONSE_BODY, max)
    }

    fn has_cluster(&mut self, cluster: &str) -> bool {
        // Envoy sends no request with such a name in its header. Where a connection is ready it would be under way at once, and
        // for its authority, the cluster's name, an HTTP/2 server ends the connection, with all live streams on it.
        let metadata = memory::map(&[("lazymesh probe", "")]);
        let (service, method) = ("lazymesh", "probe");
        let mut token = 0;
        // SAFETY: everything pointed to outlives the call, which copies it.
        let status = unsafe {
            proxy_grpc_stream(
                cluster.as_ptr(),
                cluster.len(),
                service.as_ptr(),
                service.len(),
                method.as_ptr(),
                method.len(),
                metadata.as_ptr(),
                metadata.len(),
                &mut token,
            )
        };
        if status == OK {
            // In the same callback, so that nothing but a connection is opened.
            // SAFETY: no pointers.
            unsafe { proxy_grpc_cancel(token) };
        }
        status == OK || status == INTERNAL_FAILURE
    }

    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        let mut version = 0;
        // SAFETY: `key` and `version` outlive the call.
        let value = memory::read(|data, size| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &mut version)
        })?;
        Some((value, version))
    }

    fn set_shared(&mut self, key: &str, value: &[u8], version: u32) -> Written {
        // SAFETY: `key` and `value` outlive the call, which copies them.
        match unsafe {
            proxy_set_shared_data(
                key.as_ptr(),
                key.len(),
                value.as_ptr(),
                value.len(),
                version,
            )
        } {
            OK => Written::Done,
            CAS_MISMATCH => Written::Moved,
            _ => Written::Failed,
        }
    }

    fn set_tick(&mut self, period_ms: u32) {
        // SAFETY: no pointers.
        unsafe { proxy_set_tick_period_milliseconds(period_ms) };
    }

    fn add(&mut self, metric: Metric, delta: i64) {
        if let Some(metric) = self.metric(metric) {
            // SAFETY: no pointers.
            unsafe { proxy_increment_metric(metric, delta) };
        }
    }

    fn record(&mut self, metric: Metric, value: u64) {
        if let Some(metric) = self.metric(metric) {
            // SAFETY: no pointers.
            unsafe { proxy_record_metric(metric, value) };
        }
    }

    fn log(&mut self, level: Level, message: &str) {
        let level = match level {
            Level::Info => 2,
            Level::Warn => 3,
            Level::Error => 4,
        };
        // SAFETY: `message` outlives the call.
        unsafe { proxy_log(level, message.as_ptr(), message.len()) };
    }
}

fn define(metric: Metric) -> Option<u32> {
    let kind = match metric.kind() {
        Kind::Counter => 0,
        Kind::Gauge => 1,
        Kind::Histogram => 2,
    };
    let name = metric.name();
    let mut id = 0;
    // SAFETY: `name` and `id` outlive the call.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) };
    (status == OK).then_some(id)
}

fn header(map: u32, name: &str) -> Option<Vec<u8>> {
    // SAFETY: `name` outlives the call.
    memory::read(|data, size| unsafe {
        proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size)
    })
}

fn buffer(buffer: u32, max: usize) -> Option<Vec<u8>> {
    // SAFETY: the pointers are valid for the call.
    memory::read(|data, size| unsafe { proxy_get_buffer_bytes(buffer, 0, max, data, size) })
}

/// Whether it worked; what it answers besides is of no use to us.
fn call_function(name: &str, arguments: &[u8]) -> bool {
    // SAFETY: everything pointed to outlives the call.
    let results = memory::read(|results, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            results,
            size,
        )
    });
    results.is_some()
}
