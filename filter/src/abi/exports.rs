//! The callbacks that the module exports: these and no more. Bodies, trailers, responses and log events have none, so
//! the host never enters the VM for them.

use super::vm::enter;
use crate::host::Action;

/// Tells the host which ABI this is.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, parent: u32) {
    enter((), |vm| vm.create(context, parent));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(context: u32, size: usize) -> u32 {
    enter(false, |vm| vm.configure(context, size)).into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(context: u32) {
    enter((), |vm| vm.tick(context));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    // The host makes StopAllIterationAndWatermark of StopIteration: the body waits too, within its limits.
    status(enter(Action::Continue, |vm| vm.request_headers(context)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_new_connection(context: u32) -> u32 {
    status(enter(Action::Continue, |vm| vm.new_connection(context)))
}

/// Of connections only; bodies of requests do not come here.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_data(context: u32, _size: usize, _end_of_stream: u32) -> u32 {
    status(enter(Action::Continue, |vm| vm.connection_data(context)))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    context: u32,
    token: u32,
    _headers: u32,
    body_size: usize,
    _trailers: u32,
) {
    enter((), |vm| vm.call_end(context, token, body_size));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    enter((), |vm| vm.delete(context));
}

/// Continue or StopIteration, in the numbers of headers as of connections.
fn status(action: Action) -> u32 {
    match action {
        Action::Continue => 0,
        Action::Pause => 1,
    }
}
