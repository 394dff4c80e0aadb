//! Attaches the filter to sidecars through the Kubernetes API, and takes all of lazymesh out again.

mod installer;
pub(crate) mod istio_version;
mod uninstall;

pub use self::installer::AttachConfig;
pub(crate) use self::installer::{Desired, Installer};
pub use self::uninstall::{Uninstall, UninstallError};
