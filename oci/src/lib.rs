//! The lazymesh filter as an OCI artifact: packed, pushed, pulled, inspected, signed, verified and copied.
//!
//! Nothing here is particular to lazymesh except a media type; any Wasm module for Istio can be handled.
//!
//! | to | call |
//! |---|---|
//! | make an artifact of a module | [`Artifact::pack`] |
//! | describe it | [`documents::cyclonedx`], [`documents::provenance`] |
//! | store it | [`push()`], then [`attach`] documents and [`sign`] all of it |
//! | get the module | [`pull()`] |
//! | look at it | [`inspect()`] |
//! | trust it | [`verify()`] |
//! | mirror it | [`copy()`] |
//!
//! Each takes a [`Repository`]: [`Registry`] speaks to a registry, [`Layout`] keeps an OCI image layout directory.
//! [`open`] makes one of a [`Location`].
//!
//! # What is believed
//!
//! A registry is not. What it sends is bounded by [`Limits`] in size, number and time, and checked against the digest
//! it was asked by, before anything is done with it; a file appears only when it is complete. Credentials go to the
//! registry they are for and the token server it names, never where a redirect leads.
//!
//! # Example
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), lazymesh_oci::Error> {
//! use lazymesh_oci::{Artifact, Layout, Limits, Metadata, Pointer, Variant, inspect, push};
//!
//! # let scratch = tempfile::tempdir().unwrap();
//! # let directory = scratch.path();
//! let module = &b"\0asm\x01\0\0\0"[..];
//! let artifact = Artifact::pack(module, &Metadata::default(), Variant::Wasm)?;
//! let layout = Layout::new(directory, Limits::default());
//! let pushed = push(&layout, "0.1.0", &artifact, &|_, _| {}).await?;
//!
//! let seen = inspect(&layout, &Pointer::Tag("0.1.0".to_owned())).await?;
//! assert_eq!(seen.digest, pushed.digest);
//! # Ok(())
//! # }
//! ```

mod archive;
mod artifact;
mod bundle;
mod copy;
mod credentials;
mod digest;
mod document;
mod epoch;
mod error;
mod evidence;
mod fetch;
mod file;
mod inspect;
mod key;
mod layout;
mod limits;
mod location;
mod manifest;
pub mod media;
mod module;
mod pull;
mod push;
mod referrers;
mod registry;
mod repository;
mod signature;
mod verify;

pub use artifact::{Artifact, Metadata, Variant};
pub use copy::{Copied, copy};
pub use credentials::{Credentials, CredentialsError};
pub use digest::{Digest, DigestError};
pub use document::Document;
pub use epoch::created_from_epoch;
pub use error::Error;
pub use evidence::Evidence;
pub use fetch::Progress;
pub use inspect::{Inspection, inspect};
pub use key::{PrivateKey, PublicKey};
pub use layout::Layout;
pub use lazymesh_documents as documents;
pub use limits::Limits;
pub use location::{Home, Location, LocationError, Pointer, without_login};
pub use manifest::{Descriptor, Manifest, RawManifest};
pub use module::{Memory, Module};
pub use pull::{Pulled, pull};
pub use push::{Pushed, attach, push};
pub use referrers::referrers;
pub use registry::{Registry, RegistryOptions};
pub use repository::{BlobStream, Repository};
pub use signature::{SignatureError, sign, verify_signature};
pub use verify::{Expectations, Verified, verify};

/// The repository that a location names. `options` matter to registries only, except for the limits.
///
/// # Errors
/// When the options do not make a client.
pub fn open(location: &Location, options: RegistryOptions) -> Result<Box<dyn Repository>, Error> {
    Ok(match &location.home {
        Home::Registry { host, repository } => Box::new(Registry::new(host, repository, options)?),
        Home::Layout(dir) => Box::new(Layout::new(dir, options.limits)),
    })
}
