//! One lab for all scenarios of a test binary: starting a control plane for each would take most of the time.

use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result, anyhow};
use tokio::{
    runtime::Runtime,
    sync::{Mutex, OnceCell, RwLock},
};

use super::{Lab, Lazymesh, LazymeshOptions, Options};

/// Clients of the lab outlive the test that made them, so they need a runtime that does, too.
static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(Runtime::new);

/// The lab, or why there is none. It is never dropped: it ends with the process.
static LAB: OnceCell<Result<Lab, String>> = OnceCell::const_new();

/// lazymesh, once a scenario has asked for it.
static LAZYMESH: Mutex<Option<Arc<Lazymesh>>> = Mutex::const_new(None);

/// Held by scenarios; those that take parts of the control plane away hold it alone.
static CALM: RwLock<()> = RwLock::const_new(());

/// Runs a scenario in a namespace of its own, beside others.
///
/// # Errors
/// What went wrong, and where the logs are.
pub fn scenario(
    namespace: &str,
    body: impl AsyncFnOnce(&'static Lab, &str) -> Result<()>,
) -> Result<()> {
    run(async {
        let _calm = CALM.read().await;
        run_in(namespace, body).await
    })
}

/// Runs a scenario that stops parts that others need: nothing runs beside it.
///
/// # Errors
/// What went wrong, and where the logs are.
pub fn disturbance(
    namespace: &str,
    body: impl AsyncFnOnce(&'static Lab, &str) -> Result<()>,
) -> Result<()> {
    run(async {
        let _alone = CALM.write().await;
        run_in(namespace, body).await
    })
}

/// lazymesh in the shared lab. It is installed by the first scenario that needs it.
///
/// # Errors
/// When it cannot be installed.
pub async fn lazymesh() -> Result<Arc<Lazymesh>> {
    let mut installed = LAZYMESH.lock().await;
    if let Some(lazymesh) = installed.as_ref() {
        return Ok(Arc::clone(lazymesh));
    }
    let lazymesh = Lazymesh::install(lab().await?, &LazymeshOptions::default()).await?;
    Ok(Arc::clone(installed.insert(Arc::new(lazymesh))))
}

/// lazymesh for a disturbance to end; the next scenario that needs it installs it again.
///
/// # Errors
/// When it cannot be installed, or somebody else still uses it.
pub async fn own_lazymesh() -> Result<Lazymesh> {
    lazymesh().await?;
    let lazymesh = LAZYMESH.lock().await.take();
    let lazymesh = lazymesh.and_then(Arc::into_inner);
    lazymesh.context("another scenario uses lazymesh")
}

/// Gives scenarios that need lazymesh this one, in the place of the one that [`own_lazymesh`] gave away.
pub async fn share_lazymesh(lazymesh: Lazymesh) {
    *LAZYMESH.lock().await = Some(Arc::new(lazymesh));
}

fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = RUNTIME
        .as_ref()
        .map_err(|error| anyhow!("no runtime: {error}"))?;
    runtime.block_on(work)
}

async fn run_in(
    namespace: &str,
    body: impl AsyncFnOnce(&'static Lab, &str) -> Result<()>,
) -> Result<()> {
    let lab = lab().await?;
    lab.namespace(namespace, &[]).await?;
    match body(lab, namespace).await {
        Ok(()) => lab.delete_namespace(namespace).await,
        Err(error) => {
            lab.keep()?;
            Err(error).with_context(|| format!("logs are in {}", lab.folder().display()))
        }
    }
}

async fn lab() -> Result<&'static Lab> {
    let start = async || {
        Lab::start(Options::default())
            .await
            .map_err(|error| format!("{error:?}"))
    };
    LAB.get_or_init(start)
        .await
        .as_ref()
        .map_err(|error| anyhow!("no lab: {error}"))
}
