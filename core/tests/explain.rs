//! Golden pairs of explanations: manifests, what was learned and calls in `explain/<case>.input.yaml`, what is said of each call
//! in `explain/<case>.expect.yaml`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p lazymesh-core --test explain` rewrites the answers; read the difference before you
//! commit it.

mod pairs;

use std::collections::BTreeSet;
use std::path::Path;

use lazymesh_core::{
    Call, Dependency, EgressHost, Explanation, Graph, Inventory, Limits, Mesh, Object, Origin,
    Policy, Sightings, Standing, Visibility, explain,
};
use lazymesh_protocol::{Decision, Protocol};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pairs::Result;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    /// What the case shows. For the reader.
    #[serde(rename = "about")]
    _about: String,
    objects: Vec<Value>,
    #[serde(default)]
    always: BTreeSet<EgressHost>,
    #[serde(default)]
    learned: Vec<Edge>,
    calls: Vec<Asked>,
}

#[derive(Deserialize)]
struct Edge {
    source: String,
    host: EgressHost,
    #[serde(default = "learned")]
    origin: Origin,
}

fn learned() -> Origin {
    Origin::Learned
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    from: String,
    to: String,
    protocol: Option<Protocol>,
    destination: Option<String>,
}

#[derive(Serialize)]
struct Said {
    call: String,
    meant: String,
    standing: Vec<String>,
    decision: String,
    because: String,
}

#[test]
fn golden() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain");
    pairs::check(&folder, run)
}

fn run(input: &str) -> Result<String> {
    let input: Input = serde_saphyr::from_str(input)?;
    let mut inventory = Inventory::new(Mesh::default());
    for object in input.objects {
        inventory.apply(Object::from_value(object)?.ok_or("a kind that is not read")?);
    }
    let mut graph = Graph::new(Limits::default());
    for edge in input.learned {
        graph.insert(Dependency {
            source: edge.source.parse()?,
            host: edge.host,
            first_seen_ms: 1,
            last_seen_ms: 1,
            count: 1,
            origin: edge.origin,
            sightings: Sightings::default(),
        });
    }
    let policy = Policy {
        visibility: Visibility {
            always: input.always,
            ..Visibility::default()
        },
        ..Policy::default()
    };
    let said = input.calls.into_iter().map(|asked| {
        let call = Call {
            source: asked.from.parse()?,
            authority: asked.to.parse()?,
            protocol: asked.protocol,
            destination: asked.destination.map(|it| it.parse()).transpose()?,
        };
        Ok(say(&call, explain(&inventory, &graph, &policy, &call)))
    });
    let said = said.collect::<Result<Vec<_>>>()?;
    Ok(serde_saphyr::to_string(&said)?)
}

fn say(call: &Call, explanation: Explanation) -> Said {
    let question = explanation.question;
    let named = question.authority.map(|it| format!(" {it}"));
    let dialled = question.destination.map(|it| format!(" at {it}"));
    let [named, dialled] = [named, dialled].map(Option::unwrap_or_default);
    let protocol = format!("{:?}", question.protocol).to_lowercase();
    let ground = explanation.ground;
    Said {
        call: format!(
            "{} {}: {protocol}{named}{dialled}",
            call.source, call.authority
        ),
        meant: explanation.meant.to_string(),
        standing: stand(explanation.standing),
        decision: decided(explanation.outcome.decision),
        because: format!("{}: {ground}", ground.word()),
    }
}

fn stand(standing: Standing) -> Vec<String> {
    match standing {
        Standing::Scoped(causes) => causes
            .iter()
            .map(|cause| format!("{} {}: {cause}", cause.host, cause.rule.word()))
            .collect(),
        Standing::Full(why) => vec![format!("full, {}: {why}", why.word())],
        Standing::Absent => vec!["absent".to_owned()],
        Standing::UserManaged(sidecar) => vec![format!("{sidecar} says it")],
    }
}

fn decided(decision: Decision) -> String {
    match decision {
        Decision::Direct { server_name, .. } => format!("direct {server_name}"),
        Decision::Hold { cluster, .. } => format!("hold {cluster}"),
        Decision::Passthrough { .. } => "passthrough".to_owned(),
    }
}
