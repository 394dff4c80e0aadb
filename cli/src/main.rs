//! lazymesh.
fn main() {}
