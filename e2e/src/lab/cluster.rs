//! The lab's Kubernetes API: objects of any kind, applied, read and deleted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use kube::{
    Api, Client, Config,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::GroupVersionKind,
    discovery::{self, Scope},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Field manager of what scenarios apply.
const MANAGER: &str = "lab";

/// A client with every right.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    kinds: Arc<Mutex<HashMap<GroupVersionKind, (ApiResource, Scope)>>>,
}

impl Cluster {
    pub(super) async fn connect(kubeconfig: &str) -> Result<Self> {
        let config = Kubeconfig::from_yaml(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        Ok(Self {
            client: Client::try_from(config)?,
            kinds: Arc::default(),
        })
    }

    /// For whatever the methods here do not do.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Applies every object of a YAML stream.
    ///
    /// # Errors
    /// When it is not YAML, or kube-apiserver refuses an object.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        for object in parse(yaml)? {
            self.apply_object(&object).await?;
        }
        Ok(())
    }

    /// Applies one object; gives what is stored now.
    ///
    /// # Errors
    /// When kube-apiserver refuses it.
    pub async fn apply_object(&self, object: &Value) -> Result<DynamicObject> {
        let (api, name) = self.api(object).await?;
        let parameters = PatchParams::apply(MANAGER).force();
        api.patch(&name, &parameters, &Patch::Apply(object))
            .await
            .with_context(|| format!("cannot apply {} {name}", object["kind"]))
    }

    /// Applies the status of an object, as the one who runs it would.
    ///
    /// # Errors
    /// When kube-apiserver refuses it.
    pub async fn apply_status(&self, object: &Value) -> Result<()> {
        let (api, name) = self.api(object).await?;
        let parameters = PatchParams::apply(MANAGER).force();
        api.patch_status(&name, &parameters, &Patch::Apply(object))
            .await
            .with_context(|| format!("cannot apply the status of {} {name}", object["kind"]))?;
        Ok(())
    }

    /// Deletes every object of a YAML stream; those that do not exist are deleted already.
    ///
    /// # Errors
    /// When it is not YAML, or kube-apiserver refuses.
    pub async fn delete(&self, yaml: &str) -> Result<()> {
        for object in parse(yaml)? {
            self.delete_object(&object).await?;
        }
        Ok(())
    }

    /// Deletes one object, of which only kind and name matter, at once.
    ///
    /// # Errors
    /// When kube-apiserver refuses.
    pub async fn delete_object(&self, object: &Value) -> Result<()> {
        let (api, name) = self.api(object).await?;
        match api.delete(&name, &now()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            outcome => outcome
                .map(drop)
                .with_context(|| format!("cannot delete {name}")),
        }
    }

    /// Deletes all pods of a namespace, at once.
    pub(super) async fn delete_pods(&self, namespace: &str) -> Result<()> {
        let pods = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
        let pods: Api<DynamicObject> = Api::namespaced_with(self.client(), namespace, &pods);
        pods.delete_collection(&now(), &ListParams::default())
            .await?;
        Ok(())
    }

    /// What is stored for an object of which only kind and name matter.
    ///
    /// # Errors
    /// When kube-apiserver refuses.
    pub async fn find(&self, object: &Value) -> Result<Option<DynamicObject>> {
        let (api, name) = self.api(object).await?;
        Ok(api.get_opt(&name).await?)
    }

    /// The objects of a kind in a namespace.
    ///
    /// # Errors
    /// When kube-apiserver refuses.
    pub async fn list(
        &self,
        version: &str,
        kind: &str,
        namespace: &str,
    ) -> Result<Vec<DynamicObject>> {
        let (api, _) = self.api(&reference(version, kind, namespace, "")).await?;
        Ok(api.list(&ListParams::default()).await?.items)
    }

    /// Sends JSON where no client method does.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let request = http::Request::post(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(body)?)?;
        Ok(self.client.request(request).await?)
    }

    /// Applies a YAML document as it is.
    pub(super) async fn apply_text(&self, path: &str, yaml: &str) -> Result<()> {
        let request = http::Request::patch(format!("{path}?fieldManager={MANAGER}&force=true"))
            .header(http::header::CONTENT_TYPE, "application/apply-patch+yaml")
            .body(yaml.as_bytes().to_vec())?;
        self.client.request::<Value>(request).await?;
        Ok(())
    }

    /// Whether kube-apiserver says that it is ready.
    pub(super) async fn is_ready(&self) -> Result<()> {
        let request = http::Request::get("/readyz").body(Vec::new())?;
        self.client.request_text(request).await?;
        Ok(())
    }

    async fn api(&self, object: &Value) -> Result<(Api<DynamicObject>, String)> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let kind = text("/kind").with_context(|| format!("an object without a kind: {object}"))?;
        let version = text("/apiVersion").with_context(|| format!("{kind} without apiVersion"))?;
        let name = text("/metadata/name").with_context(|| format!("{kind} without a name"))?;
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let (resource, scope) = self
            .kind(GroupVersionKind::gvk(group, version, kind))
            .await?;
        let client = self.client();
        let api = match (scope, text("/metadata/namespace")) {
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(client, namespace, &resource)
            }
            (Scope::Namespaced, None) => Api::default_namespaced_with(client, &resource),
            (Scope::Cluster, _) => Api::all_with(client, &resource),
        };
        Ok((api, name.to_owned()))
    }

    async fn kind(&self, kind: GroupVersionKind) -> Result<(ApiResource, Scope)> {
        let known = || self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&kind) {
            return Ok(found.clone());
        }
        let (resource, capabilities) = discovery::pinned_kind(&self.client, &kind)
            .await
            .with_context(|| format!("kube-apiserver does not know {kind:?}"))?;
        let found = (resource, capabilities.scope);
        known().insert(kind, found.clone());
        Ok(found)
    }
}

/// Deletion without a grace period.
fn now() -> DeleteParams {
    DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    }
}

/// The objects of a YAML stream, without empty documents.
fn parse(yaml: &str) -> Result<Vec<Value>> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(yaml).context("not YAML")?;
    Ok(objects
        .into_iter()
        .filter(|object| !object.is_null())
        .collect())
}

/// The least that names a Kubernetes object.
#[must_use]
pub fn reference(version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": { "namespace": namespace, "name": name },
    })
}
