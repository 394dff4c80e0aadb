//! Bytes that the host writes into the module's memory, and the maps that it reads from there.

use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

use super::imports::{OK, Status};

/// In the place of Rust's own, which V8 compiles to 2 MB more in every sidecar.
#[global_allocator]
static ALLOCATOR: WasmDynamicTalc = new_wasm_dynamic_allocator();

/// Memory for the host to write a result into; [`read`] takes it over.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(vec![0_u8; size].into_boxed_slice()).cast()
}

/// The bytes that a host call has written; `None` when it failed.
pub(super) fn read(call: impl FnOnce(*mut *mut u8, *mut usize) -> Status) -> Option<Vec<u8>> {
    let mut data = std::ptr::null_mut();
    let mut size = 0;
    if call(&mut data, &mut size) != OK {
        return None;
    }
    if data.is_null() || size == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the host got this memory from `proxy_on_memory_allocate` for exactly this many bytes, filled it, and
    // hands it over; a boxed slice has no more capacity than bytes.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

/// A map in the form in which the ABI takes maps: count, then all sizes, then all texts, each with a final zero.
pub(super) fn map(pairs: &[(&str, &str)]) -> Vec<u8> {
    let number = |size: usize| u32::try_from(size).unwrap_or_default().to_le_bytes();
    let mut bytes = number(pairs.len()).to_vec();
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend_from_slice(&number(text.len()));
    }
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}
