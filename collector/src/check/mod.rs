//! Looks a cluster over: whether lazymesh can work there, and whether what it consists of is in place.

mod finding;
mod mesh;
mod parts;
mod rights;

use kube::Client;
use lazymesh_envoyfilters::IstioVersion;

pub use self::finding::{Finding, State};
use self::rights::{collectors, installers};
use crate::publish::kubernetes::owner::Owner;

/// What to look at.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// Namespace of lazymesh itself.
    pub namespace: String,
    /// Namespace of istiod.
    pub istio_namespace: String,
    /// Istio's root namespace, where the attachment is.
    pub root_namespace: String,
    /// Only what is for this revision.
    pub revision: Option<String>,
    /// Version of Istio; without it, istiod's pods say it.
    pub istio: Option<IstioVersion>,
    /// Whether lazymesh is still to be installed.
    pub before: bool,
}

impl Checkup {
    /// Looks. Only the first finding, where the API server does not answer.
    pub async fn run(&self, client: &Client) -> Vec<Finding> {
        let kubernetes = mesh::kubernetes(client).await;
        if kubernetes.state == State::Fail {
            return vec![kubernetes];
        }
        let rights = match self.before {
            true => installers(client, self).await,
            false => collectors(client, self).await,
        };
        let mut findings = vec![
            kubernetes,
            mesh::istio(client, self).await,
            mesh::kinds(client).await,
            rights,
            mesh::clashes(client, self).await,
            mesh::user_sidecars(client).await,
        ];
        if !self.before {
            findings.push(parts::collector(client, self).await);
            findings.push(parts::attachment(client, self).await);
            findings.push(parts::anchor(client, self).await);
            findings.push(parts::enforced(client).await);
        }
        findings
    }

    /// Where sidecars fetch the filter, if it is attached.
    pub async fn module(&self, client: &Client) -> Option<String> {
        parts::module(client, self).await
    }

    fn owner(&self) -> Owner {
        Owner {
            revision: self.revision.clone(),
        }
    }
}
