//! Watches the mesh as the Kubernetes API says it is.
//!
//! One watch a kind. A watch that breaks is taken up again where it was, with a back-off; where that is no
//! longer possible it begins with a complete list, which also says what is gone. Until then everything stays
//! as it was last seen: a mesh does not shrink because the API server is away.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{SelectAll, select_all};
use futures::{FutureExt, Stream, StreamExt};
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, ResourceExt};
use lazymesh_core::{Change, EgressHost, Inventory, Kind, MODE_LABEL, Mesh, ObjectKey};

use crate::inventory::kubernetes::convert;
use crate::inventory::kubernetes::mesh_config::MeshConfigMap;
use crate::inventory::{Source, Update};
use crate::kubernetes::error::{explain, explain_status};
use crate::kubernetes::kinds::{self, ApiKind, CONFIG_MAP, NAMESPACE, SIDECAR};
use crate::publish::kubernetes::cache::SidecarCache;
use crate::publish::kubernetes::owner::{Owner, content};
use crate::publish::sink::Published;

/// Most objects in one answer of a list: ten thousand Pods at once are a hundred megabytes.
const PAGE: u32 = 250;
/// Most events that one update is made of.
const BATCH: usize = 4096;

/// What of a mesh to read.
#[derive(Clone, Debug)]
pub(crate) struct SourceOptions {
    /// Whose objects are ours.
    pub(crate) owner: Owner,
    /// DNS domain of the cluster.
    pub(crate) cluster_domain: String,
    /// Where istiod runs and has its ConfigMap.
    pub(crate) istio_namespace: String,
    /// Name of that ConfigMap.
    pub(crate) mesh_config: String,
    /// Where lazymesh itself runs.
    pub(crate) namespace: String,
}

/// An inventory from watches of the Kubernetes API.
pub(crate) struct KubernetesSource {
    events: SelectAll<Watch>,
    watches: Vec<Progress>,
    options: SourceOptions,
    /// What changed since the last update; of each object only the last counts.
    changes: BTreeMap<ObjectKey, Change>,
    mesh_config: Option<MeshConfigMap>,
    /// The mesh of the last [`Update::Mesh`].
    told: Option<Mesh>,
    /// The last [`Update::Waiting`].
    waiting: String,
    cache: Arc<SidecarCache>,
    drifted: bool,
    off: bool,
    /// Whether something changed that is not an event.
    stirred: bool,
    /// Objects that are there and cannot be read, and why.
    unreadable: BTreeMap<ObjectKey, String>,
    /// Whether others cannot be read than at the last update.
    unreadable_differs: bool,
}

type Happening = Result<watcher::Event<DynamicObject>, watcher::Error>;
/// With the index of the watch.
type Watch = Pin<Box<dyn Stream<Item = (usize, Happening)> + Send>>;

/// How far a watch has come.
struct Progress {
    kind: ApiKind,
    synced: bool,
    /// What is there.
    known: BTreeSet<ObjectKey>,
    /// What a list that is not complete yet has had so far.
    listed: BTreeSet<ObjectKey>,
    /// Why it does not get on.
    problem: Option<String>,
}

impl KubernetesSource {
    /// Begins to watch. Nothing is known before the first [`Update::Mesh`].
    pub(crate) fn start(client: &Client, options: SourceOptions, cache: Arc<SidecarCache>) -> Self {
        let everywhere = watcher::Config::default().page_size(PAGE);
        let one =
            watcher::Config::default().fields(&format!("metadata.name={}", options.mesh_config));
        let apis = kinds::inventory().map(|kind| (kind.all(client), everywhere.clone()));
        let map = (CONFIG_MAP.within(client, &options.istio_namespace), one);
        let watches = apis.chain([map]).enumerate();
        let progress = |kind: ApiKind| Progress {
            kind,
            synced: false,
            known: BTreeSet::new(),
            listed: BTreeSet::new(),
            problem: None,
        };
        Self {
            events: select_all(watches.map(|(index, (api, config))| watch(index, api, config))),
            watches: kinds::inventory()
                .chain([CONFIG_MAP])
                .map(progress)
                .collect(),
            options,
            changes: BTreeMap::new(),
            mesh_config: None,
            told: None,
            waiting: String::new(),
            cache,
            drifted: false,
            off: false,
            stirred: false,
            unreadable: BTreeMap::new(),
            unreadable_differs: false,
        }
    }

    fn update(&mut self) -> Option<Update> {
        if let Some(missing) = self.missing() {
            if missing == self.waiting {
                return None;
            }
            self.waiting.clone_from(&missing);
            return Some(Update::Waiting(missing));
        }
        let stirred = std::mem::take(&mut self.stirred);
        let mesh = self
            .mesh_config
            .as_ref()?
            .mesh(&self.options.cluster_domain, &self.options.istio_namespace);
        let changes: Vec<_> = std::mem::take(&mut self.changes).into_values().collect();
        let differs = std::mem::take(&mut self.unreadable_differs);
        if self.told.as_ref() != Some(&mesh) {
            self.told = Some(mesh.clone());
            return Some(Update::Mesh { mesh, changes });
        }
        let is_news = stirred || differs || !changes.is_empty();
        is_news.then_some(Update::Changes { changes, stirred })
    }

    /// What has not been read yet, until all of it has been once.
    fn missing(&self) -> Option<String> {
        if self.told.is_some() {
            return None;
        }
        let waiting = self.watches.iter().filter(|watch| !watch.synced);
        let missing: Vec<String> = waiting
            .map(|watch| match &watch.problem {
                Some(problem) => format!("{}: {problem}", watch.kind.kind),
                None => format!("{}: not listed yet", watch.kind.kind),
            })
            .collect();
        (!missing.is_empty())
            .then(|| format!("the inventory has not synced yet ({})", missing.join("; ")))
    }

    fn take(&mut self, watch: usize, happening: Happening) {
        match happening {
            Err(error) => self.fail(watch, &error),
            Ok(watcher::Event::Init) => self.watches[watch].listed.clear(),
            Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => {
                self.apply(watch, object);
            }
            Ok(watcher::Event::Delete(object)) => self.delete(watch, &object),
            Ok(watcher::Event::InitDone) => self.complete(watch),
        }
    }

    fn fail(&mut self, watch: usize, error: &watcher::Error) {
        if self.watches[watch].kind.is_optional() && code(error) == Some(404) {
            // Its CustomResourceDefinition is absent; the watch looks for it again.
            self.watches[watch].listed.clear();
            return self.complete(watch);
        }
        let problem = describe(&self.watches[watch].kind, error);
        let watch = &mut self.watches[watch];
        if watch.problem.as_ref() != Some(&problem) {
            tracing::warn!(
                kind = watch.kind.kind,
                problem,
                "a watch broke; it is taken up again"
            );
        }
        watch.problem = Some(problem);
    }

    fn apply(&mut self, watch: usize, object: DynamicObject) {
        let progress = &mut self.watches[watch];
        let kind = progress.kind;
        progress.problem = None;
        if kind == CONFIG_MAP {
            return self.configure(watch, &object);
        }
        match kind {
            NAMESPACE if object.name_any() == self.options.namespace => self.switch(Some(&object)),
            SIDECAR => {
                let live = self.options.owner.owns(&object).then(|| content(&object));
                self.see(place(&object), live);
            }
            _ => {}
        }
        let place = place(&object);
        match convert::read(&kind, object, self.options.owner.revision.as_deref()) {
            Ok(Some(object)) => {
                self.readable(&object.key());
                self.watches[watch].listed.insert(object.key());
                self.watches[watch].known.insert(object.key());
                self.changes.insert(object.key(), Change::Apply(object));
            }
            Ok(None) => {
                // It may have been ours to read before.
                if let Some(kind) = kind.core {
                    self.remove(watch, key(kind, &place));
                }
            }
            Err(error) => {
                tracing::warn!(namespace = place.namespace, name = place.name, %error, "cannot be read");
                let Some(kind) = kind.core else { return };
                let key = key(kind, &place);
                self.watches[watch].listed.insert(key.clone());
                let reason = error.to_string();
                let before = self.unreadable.insert(key, reason.clone());
                self.unreadable_differs |= before != Some(reason);
            }
        }
    }

    fn readable(&mut self, key: &ObjectKey) {
        self.unreadable_differs |= self.unreadable.remove(key).is_some();
    }

    fn delete(&mut self, watch: usize, object: &DynamicObject) {
        let kind = self.watches[watch].kind;
        if kind == CONFIG_MAP {
            tracing::warn!("the mesh configuration is gone; what it said last stays");
            return;
        }
        match kind {
            NAMESPACE if object.name_any() == self.options.namespace => self.switch(None),
            SIDECAR => self.see(place(object), None),
            _ => {}
        }
        if let Some(kind) = kind.core {
            self.remove(watch, key(kind, &place(object)));
        }
    }

    fn remove(&mut self, watch: usize, key: ObjectKey) {
        self.readable(&key);
        self.watches[watch].listed.remove(&key);
        if self.watches[watch].known.remove(&key) {
            self.changes.insert(key.clone(), Change::Remove(key));
        }
    }

    /// A list is complete: what it did not have is gone.
    fn complete(&mut self, watch: usize) {
        let progress = &mut self.watches[watch];
        let listed = std::mem::take(&mut progress.listed);
        let Some(kind) = progress.kind.core else {
            if self.mesh_config.is_none() && progress.problem.is_none() {
                let SourceOptions {
                    istio_namespace,
                    mesh_config,
                    ..
                } = &self.options;
                progress.problem = Some(format!(
                    "there is no {istio_namespace}/{mesh_config}; is Istio there?"
                ));
            }
            return;
        };
        progress.synced = true;
        progress.problem = None;
        if kind == Kind::Sidecar {
            let gone = |place: &Published| !listed.contains(&key(kind, place));
            for place in self.cache.seen().into_iter().filter(gone) {
                self.see(place, None);
            }
        }
        let unreadable = self.unreadable.len();
        self.unreadable
            .retain(|key, _| key.kind != kind || listed.contains(key));
        self.unreadable_differs |= unreadable != self.unreadable.len();
        let known = std::mem::replace(&mut self.watches[watch].known, listed);
        for key in known.difference(&self.watches[watch].known) {
            self.changes
                .insert(key.clone(), Change::Remove(key.clone()));
        }
    }

    fn see(&mut self, place: Published, live: Option<serde_json::Value>) {
        if !self.cache.saw(place, live) {
            self.drifted = true;
            self.stirred = true;
        }
    }

    fn switch(&mut self, namespace: Option<&DynamicObject>) {
        let mode = namespace.and_then(|namespace| namespace.labels().get(MODE_LABEL));
        let off = mode.is_some_and(|mode| mode == "off");
        self.stirred |= off != self.off;
        self.off = off;
    }

    fn configure(&mut self, watch: usize, map: &DynamicObject) {
        let progress = &mut self.watches[watch];
        match MeshConfigMap::read(map) {
            Ok(config) => {
                progress.synced = true;
                self.stirred |= self.mesh_config.as_ref() != Some(&config);
                self.mesh_config = Some(config);
            }
            Err(error) => {
                tracing::warn!(
                    error,
                    "the mesh configuration cannot be read; what it said last stays"
                );
                progress.problem = Some(error);
            }
        }
    }
}

impl Source for KubernetesSource {
    async fn next(&mut self) -> Option<Update> {
        loop {
            // A watch never ends: it is taken up again for ever.
            if let Some((watch, happening)) = self.events.next().await {
                self.take(watch, happening);
            }
            for _ in 0..BATCH {
                let Some(Some((watch, happening))) = self.events.next().now_or_never() else {
                    break;
                };
                self.take(watch, happening);
            }
            let update = self.update();
            if update.is_some() {
                return update;
            }
        }
    }

    fn is_off(&self) -> bool {
        self.off
    }

    fn take_drift(&mut self) -> bool {
        std::mem::take(&mut self.drifted)
    }

    /// Objects that cannot be read. What they said last stays.
    fn unusable(&self) -> Vec<String> {
        let objects = self.unreadable.iter();
        objects
            .map(|(key, reason)| format!("{key}: {reason}"))
            .collect()
    }

    fn always_visible(&self, inventory: &Inventory) -> BTreeSet<EgressHost> {
        let config = self.mesh_config.as_ref();
        config
            .map(|config| config.always_visible(inventory))
            .unwrap_or_default()
    }
}

fn watch(index: usize, api: Api<DynamicObject>, config: watcher::Config) -> Watch {
    let events = watcher(api, config).default_backoff();
    Box::pin(events.map(move |happening| (index, happening)))
}

fn place(object: &DynamicObject) -> Published {
    Published {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

fn key(kind: Kind, place: &Published) -> ObjectKey {
    ObjectKey::new(kind, place.namespace.as_str(), place.name.as_str())
}

/// What is wrong, and what to do about it where that is known.
fn describe(kind: &ApiKind, error: &watcher::Error) -> String {
    let reason = match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => explain(error),
        watcher::Error::WatchError(status) => explain_status(status),
        watcher::Error::NoResourceVersion => error.to_string(),
    };
    match code(error) {
        Some(404) => format!(
            "Kubernetes does not know {} of {}; install Istio's CustomResourceDefinitions",
            kind.plural,
            kind.api_version()
        ),
        Some(403) => format!("{reason}; see the chart's ClusterRole"),
        _ => reason,
    }
}

/// The status that the API server answered with.
fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => match error {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        },
        watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::NoResourceVersion => None,
    }
}

#[cfg(test)]
mod tests;
