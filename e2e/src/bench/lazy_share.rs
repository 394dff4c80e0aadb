//! Share of the services of real applications that stay in every scope, of each application alone and of all of them in one
//! mesh.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{
    corpus::{self, Service},
    row::Row,
};

pub(super) fn run() -> Result<Vec<Row>> {
    let services = corpus::services()?;
    let mut applications: BTreeMap<&str, Vec<Service>> = BTreeMap::new();
    for service in &services {
        let application = applications.entry(&service.application).or_default();
        application.push(service.clone());
    }
    let mut rows = Vec::new();
    let mut total = 0;
    for (name, services) in applications {
        let eager = in_every_scope(&services)?;
        total += eager;
        rows.push(row(name, eager, services.len()));
    }
    rows.push(row("total", total, services.len()));
    let apart: Vec<Service> = services.into_iter().map(Service::apart).collect();
    rows.push(row("one-mesh", in_every_scope(&apart)?, apart.len()));
    Ok(rows)
}

fn in_every_scope(services: &[Service]) -> Result<usize> {
    let scopes = corpus::in_every_scope(services)?;
    Ok(scopes.into_iter().filter(|is_eager| *is_eager).count())
}

/// Beside a full scope, which has them all.
fn row(name: &str, eager: usize, services: usize) -> Row {
    Row::new(name, eager as f64 / services as f64, "of services", 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_application_is_a_part_of_the_total() -> Result<()> {
        let rows = run()?;
        let share = |name: &str| {
            rows.iter()
                .find(|row| row.name == name)
                .map(|row| row.value)
        };
        let (total, one_mesh) = (share("total"), share("one-mesh"));
        println!("total {total:?}, one-mesh {one_mesh:?}");
        assert_eq!(rows.len(), 18 + 2);
        // What is declared in one mesh can only keep more of another application's services.
        assert!(total.is_some() && total <= one_mesh);
        assert!(rows.iter().all(|row| (0.0..=1.0).contains(&row.value)));
        Ok(())
    }
}
