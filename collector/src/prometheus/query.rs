//! Writes what Prometheus is asked.

use std::fmt::Write;
use std::str::FromStr;
use std::time::Duration;

use lazymesh_protocol::Protocol;

use super::config::PrometheusConfig;
use super::progress::Window;

/// Shortest time in which a living pod's series have a sample, whatever the scrape interval, and what comes late has come.
const SAMPLED: Duration = Duration::from_secs(600);
/// Longest name of a label.
const MAX_LABEL_BYTES: usize = 128;

/// A counter of Istio's: calls that sidecars made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counter {
    Requests,
    Connections,
}

impl Counter {
    pub(crate) const ALL: [Self; 2] = [Self::Requests, Self::Connections];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Requests => "istio_requests_total",
            Self::Connections => "istio_tcp_connections_opened_total",
        }
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Requests => Protocol::Http,
            Self::Connections => Protocol::Tcp,
        }
    }
}

/// Whose calls are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Callers {
    All,
    Namespace(String),
    Workload { namespace: String, workload: String },
}

/// The names of the labels, Istio's unless somebody says other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) reporter: String,
    pub(crate) workload: String,
    pub(crate) namespace: String,
    pub(crate) canonical: String,
    pub(crate) destination: String,
    pub(crate) code: String,
    /// Namespace of the pod that was scraped, which Prometheus adds itself.
    pub(crate) scraped: String,
}

impl Default for Labels {
    fn default() -> Self {
        Self {
            reporter: "reporter".to_owned(),
            workload: "source_workload".to_owned(),
            namespace: "source_workload_namespace".to_owned(),
            canonical: "source_canonical_service".to_owned(),
            destination: "destination_service".to_owned(),
            code: "response_code".to_owned(),
            scraped: "namespace".to_owned(),
        }
    }
}

impl Labels {
    fn of(&mut self, label: &str) -> Option<&mut String> {
        match label {
            "reporter" => Some(&mut self.reporter),
            "source_workload" => Some(&mut self.workload),
            "source_workload_namespace" => Some(&mut self.namespace),
            "source_canonical_service" => Some(&mut self.canonical),
            "destination_service" => Some(&mut self.destination),
            "response_code" => Some(&mut self.code),
            "namespace" => Some(&mut self.scraped),
            _ => None,
        }
    }
}

/// Another name for a label of Istio's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    label: String,
    name: String,
}

impl FromStr for Rename {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected LABEL=NAME, got {text:?}");
        let (label, name) = text.split_once('=').ok_or_else(expected)?;
        if Labels::default().of(label).is_none() {
            return Err(format!("expected a label that is read, got {label:?}"));
        }
        let mut bytes = name.bytes();
        let is_start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let is_name = bytes.next().is_some_and(is_start)
            && bytes.all(|byte| is_start(byte) || byte.is_ascii_digit());
        if !is_name || name.len() > MAX_LABEL_BYTES {
            return Err(format!("expected the name of a label, got {name:?}"));
        }
        Ok(Self {
            label: label.to_owned(),
            name: name.to_owned(),
        })
    }
}

/// Writes queries for one Prometheus.
#[derive(Clone, Debug)]
pub(crate) struct Queries {
    pub(crate) labels: Labels,
    matchers: String,
}

impl From<&PrometheusConfig> for Queries {
    fn from(config: &PrometheusConfig) -> Self {
        let mut labels = Labels::default();
        for Rename { label, name } in &config.prometheus_label {
            if let Some(label) = labels.of(label) {
                name.clone_into(label);
            }
        }
        Self {
            labels,
            matchers: config.prometheus_match.clone().unwrap_or_default(),
        }
    }
}

impl Queries {
    /// Calls of each caller to each destination in a window, as of its end.
    ///
    /// A series that is there at all has been called: its counter begins with the first call. So one that did not grow in the
    /// window has the value 0 and is not left out. One that was reset, or is new, has its whole value: `increase()` would lose
    /// the first call, and with it each host that is called once in a pod's life.
    pub(crate) fn calls(&self, counter: Counter, callers: &Callers, window: &Window) -> String {
        let Labels {
            workload,
            namespace,
            canonical,
            destination,
            scraped,
            ..
        } = &self.labels;
        let series = self.series(counter, callers);
        let grown = grown(&series, window);
        format!("sum by ({workload}, {namespace}, {canonical}, {destination}, {scraped}) ({grown})")
    }

    /// Requests of each workload of a namespace in a window, as [`Queries::calls`] counts them: all, or those that ended with
    /// a 5xx.
    pub(crate) fn requests(&self, namespace: &str, failed: bool, window: &Window) -> String {
        let Labels {
            workload,
            namespace: of,
            canonical,
            code,
            scraped,
            ..
        } = &self.labels;
        let callers = Callers::Namespace(namespace.to_owned());
        let codes = failed.then(|| format!("{code}=~\"5..\""));
        let series = self.matching(Counter::Requests, &callers, codes.as_deref());
        let grown = grown(&series, window);
        format!("sum by ({workload}, {of}, {canonical}, {scraped}) ({grown})")
    }

    /// What selects the series.
    pub(crate) fn series(&self, counter: Counter, callers: &Callers) -> String {
        self.matching(counter, callers, None)
    }

    fn matching(&self, counter: Counter, callers: &Callers, also: Option<&str>) -> String {
        let labels = &self.labels;
        let mut matchers = format!("{}=\"source\"", labels.reporter);
        let mut add = |label: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = write!(matchers, ",{label}={}", quoted(value));
        };
        match callers {
            Callers::All => {}
            Callers::Namespace(namespace) => add(&labels.namespace, namespace),
            Callers::Workload {
                namespace,
                workload,
            } => {
                add(&labels.namespace, namespace);
                add(&labels.workload, workload);
            }
        }
        let configured = Some(self.matchers.as_str()).filter(|it| !it.is_empty());
        for more in configured.into_iter().chain(also) {
            matchers.push(',');
            matchers.push_str(more);
        }
        format!("{}{{{matchers}}}", counter.name())
    }
}

/// By how much counters have grown in a window, as of its end.
fn grown(series: &str, window: &Window) -> String {
    let span = window.span().as_millis();
    let range = window.span().max(SAMPLED).as_millis();
    let last = format!("last_over_time({series}[{range}ms])");
    let before = format!("last_over_time({series}[{range}ms] offset {span}ms)");
    format!("({last} - {before} >= 0) or {last}")
}

/// A string as PromQL has it, which is as Go has it.
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            _ => text.push(character),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_selected_by_caller() {
        let mut queries = Queries {
            labels: Labels::default(),
            matchers: String::new(),
        };
        let namespace = || "shop".to_owned();
        let check = |queries: &Queries, callers: Callers, expect: &str| {
            assert_eq!(queries.series(Counter::Requests, &callers), expect);
        };
        check(
            &queries,
            Callers::All,
            r#"istio_requests_total{reporter="source"}"#,
        );
        check(
            &queries,
            Callers::Namespace("a\"}\\\n".to_owned()),
            r#"istio_requests_total{reporter="source",source_workload_namespace="a\"}\\\n"}"#,
        );
        queries.labels.workload = "app".to_owned();
        queries.matchers = "cluster=\"prod\"".to_owned();
        let web = Callers::Workload {
            namespace: namespace(),
            workload: "web".to_owned(),
        };
        check(
            &queries,
            web,
            r#"istio_requests_total{reporter="source",source_workload_namespace="shop",app="web",cluster="prod"}"#,
        );
    }

    #[test]
    fn labels_are_renamed_one_by_one() {
        let check = |text: &str, expect: Result<(&str, &str), &str>| {
            let found = text.parse::<Rename>();
            let found = found.map(|it| (it.label, it.name));
            let expect = expect.map(|(label, name)| (label.to_owned(), name.to_owned()));
            assert_eq!(found, expect.map_err(str::to_owned), "{text}");
        };
        check("reporter=side", Ok(("reporter", "side")));
        check("namespace=_ns1", Ok(("namespace", "_ns1")));
        check("reporter", Err(r#"expected LABEL=NAME, got "reporter""#));
        check("job=a", Err(r#"expected a label that is read, got "job""#));
        for name in ["", "1a", "a-b", "a\"", "a,b"] {
            let expect = format!("expected the name of a label, got {name:?}");
            check(&format!("reporter={name}"), Err(&expect));
        }
    }
}
