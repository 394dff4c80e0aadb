//! The documents that go with a module when it is pushed: those that are named, and those that lie beside it.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use lazymesh_oci::documents::{Build, Kind, Reading, provenance};
use lazymesh_oci::{Digest, Document, Limits};

use crate::file;

/// Who the provenance says has built, where it is made of --source and --revision.
const BUILDER: &str = concat!("https://lazymesh.io/push/v", env!("CARGO_PKG_VERSION"));
/// What the titles of documents start with. Nothing of a path, which would say whose machine it was.
const NAME: &str = "filter";

/// What is said about the module.
#[derive(clap::Args)]
pub(crate) struct DocumentArgs {
    /// Address of the module's sources
    #[arg(long, value_name = "URL")]
    source: Option<String>,
    /// Commit the module was built from, in full
    #[arg(long, value_name = "COMMIT", requires = "source")]
    revision: Option<String>,
    /// Bill of materials to attach, CycloneDX or SPDX 2 in JSON; it must name the module by its SHA-256
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// Provenance to attach, an in-toto statement; without it, one made of --source and --revision
    #[arg(long, value_name = "FILE")]
    provenance: Option<PathBuf>,
}

/// What there is to attach, and to write into annotations.
pub(crate) struct About {
    pub(crate) documents: Vec<Document>,
    pub(crate) source: Option<String>,
    pub(crate) revision: Option<String>,
}

impl DocumentArgs {
    /// Collects what is said about the module in `file`.
    pub(crate) fn about(&self, file: &Path, module: &Digest) -> anyhow::Result<About> {
        let mut about = About {
            documents: Vec::new(),
            source: self.source.clone(),
            revision: self.revision.clone(),
        };
        for kind in Kind::ALL {
            if let Some(path) = self.path(kind, file, &about) {
                let reading = about.add(&path, module)?;
                let is_expected =
                    reading.kind.is_bill_of_materials() == kind.is_bill_of_materials();
                ensure!(
                    is_expected,
                    "{} is a document of another kind",
                    path.display()
                );
            }
        }
        if let (Some(source), Some(revision), None) = (
            &self.source,
            &self.revision,
            self.path(Kind::Provenance, file, &about),
        ) {
            let build = Build {
                source: Some(source.clone()),
                revision: revision.clone(),
                builder: BUILDER.to_owned(),
                ..Build::default()
            };
            let statement = provenance("filter.wasm", &module.hex(), &build)?;
            about
                .documents
                .push(Document::about(module, NAME, statement)?.0);
        }
        Ok(about)
    }

    /// The file that has the document of this kind, unless there is none or another will do.
    fn path(&self, kind: Kind, module: &Path, about: &About) -> Option<PathBuf> {
        let beside = || Some(module.with_extension(kind.ending())).filter(|path| path.is_file());
        match kind {
            Kind::Provenance => self.provenance.clone().or_else(beside),
            Kind::CycloneDx => self.sbom.clone().or_else(beside),
            Kind::Spdx => beside().filter(|_| about.documents.is_empty()),
        }
    }
}

impl About {
    fn add(&mut self, path: &Path, module: &Digest) -> anyhow::Result<Reading> {
        let shown = || path.display().to_string();
        let bytes = file::read("document", path, Limits::default().module_bytes)?;
        let (document, reading) = Document::about(module, NAME, bytes).with_context(shown)?;
        self.documents.push(document);
        self.source = self.source.take().or_else(|| reading.source.clone());
        self.revision = self.revision.take().or_else(|| reading.revision.clone());
        Ok(reading)
    }
}
