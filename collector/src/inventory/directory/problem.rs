use std::path::PathBuf;

use lazymesh_core::ObjectKey;

/// Something in an inventory directory that a person should look at. None of it stops the collector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Problem {
    /// A document is not YAML, or no object of its kind. What the file said last stays beside what is good in it.
    #[error("{}:{line}: document {document}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The document, from 1, counting only those that are not empty.
        document: usize,
        /// The line, from 1: of the error in YAML, of the document's start otherwise.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A document has no name of its own, for `kubectl create` makes one up.
    #[error(
        "{}:{line}: document {document}: {place}; only generateName is there, so nobody can know its name",
        path.display()
    )]
    Nameless {
        /// The file.
        path: PathBuf,
        /// The document, from 1, counting only those that are not empty.
        document: usize,
        /// The line of the document's start, from 1.
        line: u64,
        /// What lacks the name.
        place: String,
    },
    /// A file or directory cannot be read. What was known of it stays.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The same object is defined twice. The last one counts, in the order of paths.
    #[error("{key} in {} is overridden by {}", path.display(), by.display())]
    Overridden {
        /// The object.
        key: ObjectKey,
        /// The file whose definition does not count.
        path: PathBuf,
        /// The file whose definition counts; the same file when it has two.
        by: PathBuf,
    },
    /// The system does not tell about changes; the directory is looked at every few seconds instead.
    #[error("{} is polled: {reason}", path.display())]
    Unwatched {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl Problem {
    /// Whether something that may be in the mesh is not known for it.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Malformed { .. } | Self::Unreadable { .. } => true,
            Self::Nameless { .. } | Self::Overridden { .. } | Self::Unwatched { .. } => false,
        }
    }
}
