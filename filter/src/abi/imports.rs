//! What the module imports. Each function answers a [`Status`]; results are written through pointers.

/// Status of a host call: 0 is success. A plain number, for a host may answer what no version of the ABI names.
pub(super) type Status = u32;

pub(super) const OK: Status = 0;
pub(super) const CAS_MISMATCH: Status = 8;
/// Of `proxy_grpc_stream`: the cluster exists, the stream ended at once, as without a healthy host, or because a ready
/// connection refused its header.
pub(super) const INTERNAL_FAILURE: Status = 10;

/// Map types.
pub(super) const REQUEST_HEADERS: u32 = 0;
pub(super) const CALL_RESPONSE_HEADERS: u32 = 6;
/// Buffer types.
pub(super) const DOWNSTREAM_DATA: u32 = 2;
pub(super) const CALL_RESPONSE_BODY: u32 = 4;
pub(super) const PLUGIN_CONFIGURATION: u32 = 7;
/// Stream types.
pub(super) const REQUEST: u32 = 0;
pub(super) const DOWNSTREAM: u32 = 2;
/// WASI clocks.
pub(super) const MONOTONIC: u32 = 1;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    // The ABI's own clock is the wall clock, which may be set back.
    pub(super) fn clock_time_get(clock: u32, precision: u64, time_ns: *mut u64) -> Status;
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    pub(super) fn proxy_log(level: u32, message: *const u8, size: usize) -> Status;
    pub(super) fn proxy_set_tick_period_milliseconds(period: u32) -> Status;
    pub(super) fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> Status;
    pub(super) fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> Status;
    pub(super) fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    pub(super) fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> Status;
    pub(super) fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> Status;
    pub(super) fn proxy_remove_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
    ) -> Status;
    pub(super) fn proxy_continue_stream(stream: u32) -> Status;
    pub(super) fn proxy_set_effective_context(context: u32) -> Status;
    pub(super) fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        arguments: *const u8,
        arguments_size: usize,
        results: *mut *mut u8,
        results_size: *mut usize,
    ) -> Status;
    pub(super) fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        token: *mut u32,
    ) -> Status;
    pub(super) fn proxy_grpc_stream(
        cluster: *const u8,
        cluster_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        token: *mut u32,
    ) -> Status;
    pub(super) fn proxy_grpc_cancel(token: u32) -> Status;
    pub(super) fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
        version: *mut u32,
    ) -> Status;
    pub(super) fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        version: u32,
    ) -> Status;
    pub(super) fn proxy_define_metric(
        kind: u32,
        name: *const u8,
        name_size: usize,
        metric: *mut u32,
    ) -> Status;
    pub(super) fn proxy_increment_metric(metric: u32, delta: i64) -> Status;
    pub(super) fn proxy_record_metric(metric: u32, value: u64) -> Status;
}
