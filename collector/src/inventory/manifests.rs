//! Reads the mesh from a directory of manifests.

use std::path::Path;

use lazymesh_core::{Change, Mesh, Object};

use crate::inventory::directory::{DirectorySource, Problem, SourceError};
use crate::inventory::source::{Source, Update};

/// A directory, and the configuration of the mesh, which no manifest says.
pub(crate) struct Manifests {
    directory: DirectorySource,
    mesh: Mesh,
    /// What was read at first, until it is told.
    first: Option<Vec<Object>>,
}

impl Manifests {
    /// Reads the directory; blocks until all of it was read.
    pub(crate) fn open(path: &Path, mesh: Mesh) -> Result<Self, SourceError> {
        let (directory, objects) = DirectorySource::open(path)?;
        tell(directory.problems(), &[]);
        Ok(Self {
            directory,
            mesh,
            first: Some(objects),
        })
    }
}

impl Source for Manifests {
    async fn next(&mut self) -> Option<Update> {
        if let Some(objects) = self.first.take() {
            return Some(Update::Mesh {
                mesh: self.mesh.clone(),
                changes: objects.into_iter().map(Change::Apply).collect(),
            });
        }
        let known = self.directory.problems().to_vec();
        let changes = self.directory.changed().await?;
        tell(self.directory.problems(), &known);
        Some(Update::Changes {
            changes,
            stirred: false,
        })
    }

    fn unusable(&self) -> Vec<String> {
        let problems = self.directory.problems().iter();
        let losses = problems.filter(|problem| problem.is_loss());
        losses.map(ToString::to_string).collect()
    }
}

fn tell(problems: &[Problem], known: &[Problem]) {
    for problem in problems.iter().filter(|problem| !known.contains(problem)) {
        tracing::warn!(%problem, "inventory");
    }
}
