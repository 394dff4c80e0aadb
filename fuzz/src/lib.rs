//! Says what must hold of everything that reads bytes from outside, whatever these are.
//!
//! The tests try the committed inputs of `corpus` and what random changes make of them; `cargo xtask fuzz parsers` lets coverage guide
//! the changes (`guided`).

mod authority;
mod client_hello;
mod codec;
mod configuration;
mod manifest;
mod xfcc;

/// Panics where something does not hold.
pub type Harness = fn(&[u8]);

/// Every harness, by the name of its folder in `corpus`.
pub const HARNESSES: [(&str, Harness); 6] = [
    ("authority", |bytes| text(bytes, authority::fuzz)),
    ("client_hello", client_hello::fuzz),
    ("codec", codec::fuzz),
    ("configuration", configuration::fuzz),
    ("manifest", |bytes| text(bytes, manifest::fuzz)),
    ("xfcc", |bytes| text(bytes, xfcc::fuzz)),
];

/// The harness of this name.
#[must_use]
pub fn harness(name: &str) -> Option<Harness> {
    let mut harnesses = HARNESSES.into_iter();
    harnesses.find_map(|(other, harness)| (other == name).then_some(harness))
}

/// For what takes text only.
fn text(bytes: &[u8], harness: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        harness(text);
    }
}
