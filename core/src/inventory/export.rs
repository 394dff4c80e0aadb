/// What hides an object from everybody, whatever else is listed, unless that is `*`.
const NOBODY: &str = "~";

/// In the order in which istiod lists what a namespace may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    Private,
    Exported,
    Public,
}

/// Which namespaces may see an object: Istio's `exportTo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExportTo {
    Everyone,
    Only(Vec<String>),
}

impl ExportTo {
    /// Reads `exportTo` of an object in `namespace`. Where it is empty the mesh's default counts, and where that is
    /// empty, too, everyone may see the object.
    pub(crate) fn new<'a>(
        namespace: &str,
        entries: impl IntoIterator<Item = &'a str>,
        default: &'a [String],
    ) -> Self {
        let mut entries = entries.into_iter().peekable();
        match entries.peek() {
            Some(_) => Self::read(namespace, entries),
            None => Self::read(namespace, default.iter().map(String::as_str)),
        }
    }

    fn read<'a>(namespace: &str, entries: impl Iterator<Item = &'a str>) -> Self {
        let mut only = Vec::new();
        for entry in entries {
            match entry.trim() {
                "*" => return Self::Everyone,
                "." => only.push(namespace.to_owned()),
                other => only.push(other.to_owned()),
            }
        }
        if only.iter().any(|entry| entry == NOBODY) {
            return Self::Only(Vec::new());
        }
        if only.is_empty() {
            Self::Everyone
        } else {
            Self::Only(only)
        }
    }

    /// How near an object of `owner` is to a namespace that may see it: istiod lists what is private first, then what is
    /// exported to some, then what is public.
    pub(crate) fn nearness(&self, owner: &str, namespace: &str) -> Option<Nearness> {
        match self {
            _ if !self.allows(namespace) => None,
            Self::Everyone => Some(Nearness::Public),
            Self::Only(_) if owner == namespace => Some(Nearness::Private),
            Self::Only(_) => Some(Nearness::Exported),
        }
    }

    pub(crate) fn allows(&self, namespace: &str) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only(namespaces) => namespaces.iter().any(|entry| entry == namespace),
        }
    }
}
