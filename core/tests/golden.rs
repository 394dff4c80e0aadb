//! Golden pairs: manifests and questions in `golden/<case>.input.yaml`, answers and Sidecars in
//! `golden/<case>.expect.yaml`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p lazymesh-core --test golden` rewrites the answers; read the difference before
//! you commit it.

mod pairs;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lazymesh_core::{
    Dependency, EgressHost, ExternalHost, Graph, Inventory, Learned, Limits, Mesh, Mode, Object,
    Origin, Plan, Policy, Question, Reason, Revert, Sightings, Subject, Visibility, Workload,
    decide, plan,
};
use lazymesh_protocol::{Decision, Protocol, Source};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pairs::Result;

const COLLECTOR: &str = "lazymesh-system/lazymesh-collector.lazymesh-system.svc.cluster.local";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    /// What the case shows. For the reader.
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    mesh: Mesh,
    /// The mode of namespaces without a label.
    #[serde(default)]
    default_mode: Mode,
    /// Names of `<name>.objects.yaml`.
    #[serde(default)]
    with: Vec<String>,
    #[serde(default)]
    objects: Vec<Value>,
    /// Learned before the first question.
    #[serde(default)]
    learned: Vec<Edge>,
    /// The canaries that failed, by namespace.
    #[serde(default)]
    reverts: BTreeMap<String, Revert>,
    #[serde(default)]
    resolve: Vec<Ask>,
    /// Whose Sidecars are shown.
    #[serde(default)]
    plan: Scope,
}

#[derive(Deserialize)]
struct Edge {
    source: String,
    host: EgressHost,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    from: String,
    authority: Option<String>,
    destination: Option<String>,
    protocol: Protocol,
}

#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    #[default]
    Askers,
    Everything,
}

#[derive(Serialize)]
struct Expect {
    answers: Vec<Answer>,
    sidecars: Vec<Published>,
}

#[derive(Serialize)]
struct Answer {
    ask: String,
    #[serde(flatten)]
    decision: Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    learned: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external: Option<String>,
}

#[derive(Serialize)]
struct Published {
    of: String,
    plan: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<Value>,
}

#[test]
fn golden() -> Result<()> {
    pairs::check(&folder(), run)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn run(input: &str) -> Result<String> {
    let input: Input = serde_saphyr::from_str(input)?;
    let inventory = inventory(&input)?;
    let mut graph = Graph::new(Limits::default());
    for edge in &input.learned {
        learn(
            &mut graph,
            &edge.source.parse()?,
            Learned::Host(edge.host.clone()),
        );
    }
    let policy = Policy {
        visibility: Visibility {
            always: BTreeSet::from([COLLECTOR.parse()?]),
            ..Visibility::default()
        },
        default_mode: input.default_mode,
        reverts: input.reverts.clone(),
        ..Policy::default()
    };
    let mut answers = Vec::new();
    for ask in &input.resolve {
        answers.push(answer(&inventory, &mut graph, &policy, ask)?);
    }
    let sidecars = sidecars(&input, &inventory, &graph, &policy)?;
    Ok(serde_saphyr::to_string(&Expect { answers, sidecars })?)
}

fn inventory(input: &Input) -> Result<Inventory> {
    let mut inventory = Inventory::new(input.mesh.clone());
    for name in &input.with {
        let text = fs::read_to_string(folder().join(format!("{name}.objects.yaml")))?;
        for document in serde_saphyr::from_multiple::<Value>(&text)? {
            inventory.apply(Object::from_value(document)?.ok_or("a kind that is not read")?);
        }
    }
    for document in &input.objects {
        inventory.apply(Object::from_value(document.clone())?.ok_or("a kind that is not read")?);
    }
    Ok(inventory)
}

fn answer(inventory: &Inventory, graph: &mut Graph, policy: &Policy, ask: &Ask) -> Result<Answer> {
    let workload: Workload = ask.from.parse()?;
    let source = Source {
        namespace: workload.namespace.clone(),
        workload: workload.name.clone(),
        cluster: None,
        service_account: None,
    };
    let (authority, destination) = (ask.authority.as_deref(), ask.destination.as_deref());
    let question = Question::new(&source, authority, destination, ask.protocol)?;
    let outcome = decide(inventory, graph, policy, &question);
    learn(graph, &workload, outcome.learned.clone());
    let protocol = format!("{:?}", ask.protocol).to_lowercase();
    let named = authority.map(|name| format!(" {name}")).unwrap_or_default();
    let dialled = destination
        .map(|address| format!(" at {address}"))
        .unwrap_or_default();
    Ok(Answer {
        ask: format!("{workload}: {protocol}{named}{dialled}"),
        decision: outcome.decision,
        learned: match &outcome.learned {
            Learned::Host(host) => Some(host.to_string()),
            _ => None,
        },
        external: match outcome.learned {
            Learned::External(host) => Some(host),
            _ => None,
        },
    })
}

fn learn(graph: &mut Graph, source: &Workload, learned: Learned) {
    let (source, first_seen_ms, last_seen_ms, count) = (source.clone(), 1, 1, 1);
    match learned {
        Learned::Host(host) => {
            let origin = Origin::Learned;
            graph.insert(Dependency {
                source,
                host,
                first_seen_ms,
                last_seen_ms,
                count,
                origin,
                sightings: Sightings::default(),
            });
        }
        Learned::External(host) => {
            graph.insert_external(ExternalHost {
                source,
                host,
                first_seen_ms,
                last_seen_ms,
                count,
            });
        }
        Learned::Nothing => {}
    }
}

fn sidecars(
    input: &Input,
    inventory: &Inventory,
    graph: &Graph,
    policy: &Policy,
) -> Result<Vec<Published>> {
    let mut workloads = BTreeSet::new();
    for ask in &input.resolve {
        workloads.insert(ask.from.parse::<Workload>()?);
    }
    let mut published = Vec::new();
    if input.plan == Scope::Everything {
        for namespace in inventory.namespaces() {
            workloads.extend(inventory.workloads_in(namespace));
            let subject = Subject::Namespace(namespace.to_owned());
            published.push(show(&subject, plan(inventory, graph, policy, &subject)));
        }
    }
    for workload in workloads {
        let subject = Subject::Workload(workload);
        published.push(show(&subject, plan(inventory, graph, policy, &subject)));
    }
    Ok(published)
}

fn show(of: &Subject, plan: Plan) -> Published {
    let (plan, by, manifest) = match plan {
        Plan::Publish(spec) => ("publish", None, Some(spec.manifest())),
        Plan::None(Reason::UserManaged(owner)) => ("user-managed", Some(owner.to_string()), None),
        Plan::None(reason) => (reason.word(), None, None),
    };
    Published {
        of: of.to_string(),
        plan,
        by,
        manifest,
    }
}
