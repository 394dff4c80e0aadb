//! Finds the way to the API server: as kubectl finds it, or as a pod does.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::kubernetes::KubernetesError;

const CONNECT: Duration = Duration::from_secs(10);

/// Which Kubernetes, and as whom.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Kubernetes")]
pub struct ConnectConfig {
    /// Kubeconfig; without it, $KUBECONFIG, ~/.kube/config or the pod's own service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl ConnectConfig {
    /// A client. It connects when it is used.
    ///
    /// # Errors
    /// [`KubernetesError::Connect`] when there is no configuration, or none that can be used.
    pub async fn client(&self) -> Result<Client, KubernetesError> {
        let failed = |error: &dyn std::error::Error| KubernetesError::Connect(error.to_string());
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let mut config = match &self.kubeconfig {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
                Config::from_custom_kubeconfig(kubeconfig, &options)
                    .await
                    .map_err(|error| failed(&error))?
            }
            None if self.context.is_some() => Config::from_kubeconfig(&options)
                .await
                .map_err(|error| failed(&error))?,
            None => Config::infer().await.map_err(|error| failed(&error))?,
        };
        config.connect_timeout = Some(CONNECT);
        Client::try_from(config).map_err(|error| failed(&error))
    }
}
