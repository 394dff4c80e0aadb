/// Whose part of a list is shown.
#[derive(clap::Args)]
pub(crate) struct NamespaceArgs {
    /// Only this namespace
    #[arg(
        short,
        long,
        value_name = "NAMESPACE",
        conflicts_with = "all_namespaces"
    )]
    namespace: Option<String>,
    /// All namespaces, as without --namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

impl NamespaceArgs {
    /// The one namespace that is shown, if it is one.
    pub(crate) fn only(&self) -> Option<&str> {
        self.namespace.as_deref().filter(|_| !self.all_namespaces)
    }

    pub(crate) fn admits(&self, namespace: &str) -> bool {
        self.only().is_none_or(|only| only == namespace)
    }
}
