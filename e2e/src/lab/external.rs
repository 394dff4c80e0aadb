//! A host outside the cluster: no pod, no sidecar, nothing that Kubernetes or Istio knows of.

use std::{fs, net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result};

use super::{Lab, Life, network::EXTERNAL_RANGE, part::Part, probe, sandbox::Sandbox};

const PATIENCE: Duration = Duration::from_secs(20);

/// A machine outside the cluster, which answers HTTP on port 80, HTTPS on 443 and greets on 9000.
pub struct External {
    sandbox: Sandbox,
    address: Ipv4Addr,
    app: Part,
    stays: bool,
}

impl External {
    pub(super) async fn start(lab: &Lab, names: &[&str]) -> Result<Self> {
        let address = EXTERNAL_RANGE.take(&lab.folder.join("addresses"))?;
        let folder = lab.folder.join("externals").join(address.to_string());
        fs::create_dir_all(&folder)?;
        let sandbox = lab.node.within("", &[], &folder).await?;
        EXTERNAL_RANGE.link(&lab.node, lab.uplink.node, &sandbox, address)?;
        let (program, inside) = (lab.tools.app.clone(), sandbox.clone());
        let name = names.first().context("a host without a name")?.to_string();
        let app = Part::start("app", &folder, move || {
            let mut command = inside.command(&program);
            command
                .args([
                    "serve",
                    "--http",
                    "80",
                    "--https",
                    "443",
                    "--greeting",
                    "9000",
                ])
                .env("POD_NAME", &name);
            command
        })?;
        let external = Self {
            sandbox,
            address,
            app,
            stays: lab.life == Life::UntilDown,
        };
        let to = (Ipv4Addr::LOCALHOST, 80).into();
        let listens = async || probe::get(&external.sandbox, to, "/").await.map(drop);
        external
            .app
            .until("an external host to listen", PATIENCE, listens)
            .await?;
        for name in names {
            lab.external_name(name, address)?;
        }
        Ok(external)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its server.
    #[must_use]
    pub fn app(&self) -> &Part {
        &self.app
    }
}

impl Drop for External {
    fn drop(&mut self) {
        if !self.stays {
            // What cannot be ended now ends with the lab.
            let _ = self.sandbox.kill();
        }
    }
}
