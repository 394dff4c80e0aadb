//! The mesh-scale benchmark at a size that fits among the tests: its rows come, and lazy costs less than full.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use lazymesh_e2e::{
    bench::{
        Row,
        mesh_scale::{Options, measure},
    },
    lab,
};

const OPTIONS: Options = Options {
    services: 80,
    lazy: 2,
    full: 2,
    dependencies: 2,
    endpoints: 2,
    changes: 8,
    one_mesh: false,
};

#[test]
fn a_lazy_sidecar_costs_less_and_does_not_grow_with_the_mesh() -> Result<()> {
    // A measurement: nothing else may happen meanwhile.
    lab::disturbance("scale", async |lab, namespace| {
        let lazymesh = lab::lazymesh().await?;
        let rows = measure(lab, &lazymesh, namespace, &OPTIONS).await?;
        check(&rows)?;
        for kind in ["full", "lazy"] {
            lab.delete_namespace(&format!("{namespace}-{kind}")).await?;
        }
        Ok(())
    })
}

fn check(rows: &[Row]) -> Result<()> {
    let rows: HashMap<&str, &Row> = rows.iter().map(|row| (row.name.as_str(), row)).collect();
    // What a lazy sidecar gets for the numbers of ports is more than all of so small a mesh.
    for name in ["allocated", "xds-bytes-changes", "pushes"] {
        let (full, lazy) = (
            rows[format!("{name}-full").as_str()],
            rows[format!("{name}-lazy").as_str()],
        );
        ensure!(lazy.value < full.value, "{lazy:?} {full:?}");
        ensure!(lazy.baseline == full.value, "{lazy:?} {full:?}");
    }
    // Every change is pushed to every full sidecar on its own; to a lazy one only that of what it calls.
    let pushes = [rows["pushes-full"].value, rows["pushes-lazy"].value];
    ensure!(pushes == [8.0, 0.5], "{pushes:?}");
    // A full sidecar needs tens of kilobytes for a service.
    let slope = rows["allocated-slope"];
    ensure!(
        slope.value < 1_024.0 && slope.baseline > 10_240.0,
        "{slope:?}"
    );
    Ok(())
}
