use anyhow::Result;
use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};

use crate::{Mesh, client::forward};

/// Prints where everything is, and lets it run until Ctrl-C.
pub(super) async fn until_interrupted(mesh: &Mesh) -> Result<()> {
    println!("\nEverything is running. Ctrl-C ends it.");
    println!(
        "  collector  http://{}/",
        mesh.collector()?.admin().address()
    );
    println!("  Envoy      http://{}/", mesh.envoy().admin().address());
    println!("  files      {}", mesh.directory().display());
    println!("\nThrough the sidecar (a port for each host stands in for iptables):");
    let services = mesh
        .services()
        .map(|service| (service.host(), service.port));
    let externals = mesh
        .externals()
        .map(|external| (external.host.clone(), external.port));
    for (host, port) in services.chain(externals) {
        let destination = mesh.destination(&host, port)?;
        let local = forward(mesh.client().dialer().clone(), destination).await?;
        println!("  curl http://{local}/ -H 'Host: {host}:{port}'");
    }
    // What stops a service stops this: children would outlive a program that does not know the signal.
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
