//! Writes the bill of materials of a package, from what cargo knows, to standard output.
//!
//! ```console
//! $ cargo metadata --format-version 1 --locked --filter-platform wasm32-unknown-unknown |
//!     cargo run -p lazymesh-oci --example sbom -- lazymesh-filter > filter.cdx.json
//! ```
//!
//! `lazymesh push` attaches a `filter.cdx.json` that lies beside `filter.wasm`.

use std::io::{Read as _, Write as _, stdin, stdout};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let package = std::env::args()
        .nth(1)
        .ok_or("usage: sbom PACKAGE < metadata.json")?;
    let mut metadata = Vec::new();
    stdin().read_to_end(&mut metadata)?;
    stdout().write_all(&lazymesh_oci::cyclonedx(&metadata, &package)?.bytes)?;
    Ok(())
}
