//! What holds for every input, not only for the golden ones.

mod mesh;

use std::collections::BTreeSet;

use lazymesh_core::{
    Affected, Authority, Call, Change, Dependency, EgressHost, Explanation, Graph, Inventory,
    Limits, Mesh, Mode, Object, Origin, Plan, Policy, Question, Reason, Sightings, Standing,
    Subject, Visibility, Wide, Workload, decide, explain, plan,
};
use proptest::prelude::*;

use mesh::{egress_hosts, object, objects, questions, workloads};

proptest! {
    #[test]
    fn authority_takes_any_text_without_panic(text in any::<String>()) {
        let _ = text.parse::<Authority>();
    }

    #[test]
    fn authority_round_trips(text in "(\\[[0-9a-f:]{2,20}\\]|[A-Za-z0-9_.-]{1,40})(:[0-9]{1,6})?") {
        if let Ok(authority) = text.parse::<Authority>() {
            prop_assert_eq!(authority.to_string().parse(), Ok(authority));
        }
    }

    #[test]
    fn authority_keeps_what_dns_reads(name in "[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\\.[a-z][a-z0-9]{0,10}){0,4}", port in 1..=u16::MAX) {
        let authority: Authority = format!("{}.:{port}", name.to_uppercase()).parse().expect("a host and a port");
        prop_assert_eq!(authority.to_string(), format!("{name}.:{port}"));
    }

    #[test]
    fn authority_refuses_bad_bytes(before in "[a-z.]{0,8}", bad in "[\\x00-\\x20\\x7f@/\\\\\"'*%é🦀]", after in "[a-z.]{0,8}") {
        let text = format!("{before}{bad}{after}");
        prop_assert!(text.parse::<Authority>().is_err());
    }

    #[test]
    fn authority_refuses_what_is_too_long(text in "[a-z0-9.:]{261,2000}") {
        prop_assert!(text.parse::<Authority>().is_err());
    }

    #[test]
    fn authority_refuses_ports_that_are_none(host in "[a-z]{1,8}", port in 65_536..u64::MAX) {
        let text = format!("{host}:{port}");
        prop_assert!(text.parse::<Authority>().is_err());
    }

    #[test]
    fn sidecars_are_what_istio_takes(
        objects in objects(),
        learned in prop::collection::vec((workloads(), egress_hosts()), 0..12),
        always in prop::collection::btree_set(egress_hosts(), 0..4),
    ) {
        let inventory = inventory(&objects);
        let mut graph = Graph::new(Limits::default());
        for (source, host) in &learned {
            graph.insert(dependency(source.clone(), host.clone()));
        }
        let visibility = Visibility { always, ..Visibility::default() };
        let policy = Policy { visibility: visibility.clone(), ..Policy::default() };
        for workload in all_workloads() {
            let plan = plan(&inventory, &graph, &policy, &Subject::Workload(workload.clone()));
            let Plan::Publish(spec) = plan else { continue };
            let hosts = hosts_of(&spec.manifest());
            if policy.mode(&inventory, &workload) != Mode::Enforce {
                prop_assert_eq!(hosts, ["*/*"]);
                continue;
            }
            let needed = graph.dependencies(&workload).map(|dependency| &dependency.host);
            for host in visibility.always.iter().chain(needed) {
                // Another namespace may have it in a full scope.
                let name = host.host.to_ascii_lowercase();
                let kept = hosts.iter().any(|entry| entry.split_once('/').is_some_and(|(_, own)| own.eq_ignore_ascii_case(&name)));
                prop_assert!(kept, "lost {host}");
            }
            check_hosts(&hosts)?;
        }
        for namespace in mesh::NAMESPACES {
            let subject = Subject::Namespace(namespace.to_owned());
            if let Plan::Publish(spec) = plan(&inventory, &graph, &policy, &subject) {
                prop_assert_ne!(namespace, "istio-system");
                let hosts = hosts_of(&spec.manifest());
                if hosts == ["*/*"] {
                    continue;
                }
                check_hosts(&hosts)?;
            }
        }
    }

    #[test]
    fn what_is_explained_is_what_is_planned_and_decided(
        objects in objects(),
        learned in prop::collection::vec((workloads(), egress_hosts()), 0..12),
        always in prop::collection::btree_set(egress_hosts(), 0..4),
        questions in prop::collection::vec(questions(), 1..20),
    ) {
        let inventory = inventory(&objects);
        let mut graph = Graph::new(Limits::default());
        for (source, host) in learned {
            graph.insert(dependency(source, host));
        }
        let visibility = Visibility { always, ..Visibility::default() };
        let policy = Policy { visibility, ..Policy::default() };
        for question in questions {
            let Some(call) = call(&question) else { continue };
            let said = explain(&inventory, &graph, &policy, &call);
            prop_assert_eq!(&said.outcome, &decide(&inventory, &graph, &policy, &said.question));
            let subject = Subject::Workload(call.source);
            let plan = plan(&inventory, &graph, &policy, &subject);
            check_standing(&said, &plan)?;
        }
    }

    #[test]
    fn a_change_reaches_no_further_than_it_says(
        objects in objects(),
        change in object(),
        learned in prop::collection::vec((workloads(), egress_hosts()), 0..12),
    ) {
        let mut inventory = inventory(&objects);
        let mut graph = Graph::new(Limits::default());
        for (source, host) in &learned {
            graph.insert(dependency(source.clone(), host.clone()));
        }
        let key = change.key();
        let mut last = plans(&inventory, &graph);
        for change in [Change::Apply(change), Change::Remove(key)] {
            let affected = inventory.apply(change);
            let now = plans(&inventory, &graph);
            check_affected(&last, &affected, &now)?;
            last = now;
        }
    }

    #[test]
    fn order_of_arrival_counts_for_nothing(
        (sorted, shuffled) in objects().prop_flat_map(|objects| (Just(objects.clone()), Just(objects).prop_shuffle())),
        questions in prop::collection::vec(questions(), 1..20),
    ) {
        prop_assert_eq!(observe(&inventory(&sorted), &questions), observe(&inventory(&shuffled), &questions));
    }

    #[test]
    fn what_is_removed_leaves_no_trace(
        stays in objects(),
        goes in objects(),
        questions in prop::collection::vec(questions(), 1..20),
    ) {
        let mut tried = inventory(&stays);
        let before = observe(&tried, &questions);
        for object in &goes {
            tried.apply(object.clone());
        }
        for object in &goes {
            prop_assert_eq!(tried.apply(object.key()).changed, 1);
            prop_assert_eq!(tried.apply(object.key()).changed, 0);
        }
        for object in &stays {
            tried.apply(object.clone());
            prop_assert_eq!(tried.apply(object.clone()).changed, 0);
        }
        prop_assert_eq!(observe(&tried, &questions), before);
        for object in &stays {
            tried.apply(object.key());
        }
        prop_assert!(tried.is_empty());
        prop_assert_eq!(observe(&tried, &questions), observe(&Inventory::new(Mesh::default()), &questions));
    }
}

fn call(question: &Question) -> Option<Call> {
    Some(Call {
        source: question.source.clone(),
        authority: question.authority.clone()?,
        protocol: Some(question.protocol),
        destination: question.destination,
    })
}

fn check_standing(said: &Explanation, plan: &Plan) -> Result<(), TestCaseError> {
    let Some(host) = said.meant.host() else {
        prop_assert_eq!(&said.standing, &Standing::Absent);
        return Ok(());
    };
    match (&said.standing, plan) {
        (Standing::Scoped(causes), Plan::Publish(sidecar)) => {
            prop_assert!(sidecar.hosts.contains(host), "{causes:?}");
            let mut expect = Some(host);
            for cause in causes {
                prop_assert_eq!(Some(&cause.host), expect);
                prop_assert!(sidecar.hosts.contains(&cause.host), "{cause:?}");
                expect = cause.with.as_ref();
            }
            prop_assert_eq!(expect, None, "it begins somewhere");
        }
        (Standing::Absent, Plan::Publish(sidecar)) => {
            prop_assert!(!sidecar.hosts.contains(host), "{host}");
        }
        (Standing::Full(Wide::NoSidecar(said)), Plan::None(planned)) => {
            prop_assert_eq!(said, planned);
        }
        (Standing::Full(_), Plan::Publish(sidecar)) => {
            prop_assert_eq!(&sidecar.hosts, &sidecar.full);
        }
        (Standing::UserManaged(said), Plan::None(Reason::UserManaged(planned))) => {
            prop_assert_eq!(said, planned);
        }
        // It has none before it runs.
        (_, Plan::None(Reason::NothingLearned)) => {}
        (standing, plan) => prop_assert!(false, "{standing:?} but {plan:?}"),
    }
    Ok(())
}

fn inventory(objects: &[Object]) -> Inventory {
    let mut inventory = Inventory::new(Mesh::default());
    for object in objects {
        inventory.apply(object.clone());
    }
    inventory
}

fn dependency(source: Workload, host: EgressHost) -> Dependency {
    let origin = Origin::Learned;
    Dependency {
        source,
        host,
        first_seen_ms: 1,
        last_seen_ms: 1,
        count: 1,
        origin,
        sightings: Sightings::default(),
    }
}

fn all_workloads() -> Vec<Workload> {
    let names = ["x", "y", "z"];
    let pairs = mesh::NAMESPACES
        .iter()
        .flat_map(|namespace| names.map(|name| (*namespace, name)));
    pairs
        .filter_map(|(namespace, name)| Workload::new(namespace, name).ok())
        .collect()
}

/// The plans of all workloads and namespaces.
fn plans(inventory: &Inventory, graph: &Graph) -> Plans {
    let policy = Policy::default();
    let workloads = all_workloads().into_iter().map(Subject::Workload);
    let namespaces = mesh::NAMESPACES
        .iter()
        .map(|namespace| (*namespace).to_owned());
    let subjects = workloads.chain(namespaces.map(Subject::Namespace));
    let planned = subjects.map(|subject| {
        let plan = plan(inventory, graph, &policy, &subject);
        (subject, plan)
    });
    planned.collect()
}

type Plans = Vec<(Subject, Plan)>;

fn check_affected(before: &Plans, affected: &Affected, after: &Plans) -> Result<(), TestCaseError> {
    for ((subject, before), (_, after)) in before.iter().zip(after) {
        let told = affected.everything || affected.subjects.contains(subject);
        prop_assert!(
            told || before == after,
            "{subject}: {affected:?} {before:?} {after:?}"
        );
    }
    Ok(())
}

/// All that can be seen of an inventory, as text.
fn observe(inventory: &Inventory, questions: &[lazymesh_core::Question]) -> Vec<String> {
    let policy = Policy::default();
    let mut graph = Graph::new(Limits::default());
    let mut seen = vec![format!("{} {}", inventory.len(), inventory.services())];
    for question in questions {
        let outcome = decide(inventory, &graph, &policy, question);
        if let lazymesh_core::Learned::Host(host) = &outcome.learned {
            graph.insert(dependency(question.source.clone(), host.clone()));
        }
        seen.push(format!("{question:?}: {outcome:?}"));
    }
    for workload in all_workloads() {
        let (mode, accounts) = (
            policy.mode(inventory, &workload),
            inventory.service_accounts(&workload),
        );
        seen.push(format!("{workload}: {mode:?} {accounts:?}"));
    }
    for (subject, plan) in plans(inventory, &graph) {
        seen.push(format!("{subject}: {plan:?}"));
    }
    for namespace in inventory.namespaces() {
        let workloads = inventory.workloads_in(namespace);
        seen.push(format!("{namespace}: {workloads:?}"));
    }
    seen
}

fn hosts_of(manifest: &serde_json::Value) -> Vec<String> {
    let hosts = manifest["spec"]["egress"][0]["hosts"]
        .as_array()
        .into_iter()
        .flatten();
    hosts
        .filter_map(|host| host.as_str().map(str::to_owned))
        .collect()
}

/// `ValidateSidecar` and `ValidateNamespaceSlashWildcardHostname` of Istio, and our own rule on wildcards.
fn check_hosts(hosts: &[String]) -> Result<(), TestCaseError> {
    prop_assert!(!hosts.is_empty(), "an egress listener needs a host");
    if hosts == ["~/*"] {
        return Ok(());
    }
    prop_assert!(hosts.is_sorted());
    prop_assert_eq!(
        hosts.iter().collect::<BTreeSet<_>>().len(),
        hosts.len(),
        "duplicates"
    );
    for entry in hosts {
        let (namespace, host) = entry.split_once('/').expect("namespace/host");
        prop_assert!(is_label(namespace), "namespace of {entry}");
        let exact = host.strip_prefix("*.").unwrap_or(host);
        let relative = exact.strip_suffix('.').unwrap_or(exact);
        prop_assert!(
            exact.len() <= 255 && relative.split('.').all(is_label),
            "host of {entry}"
        );
        let top = relative.rsplit('.').next().unwrap_or_default();
        prop_assert!(top.parse::<i64>().is_err(), "top level of {entry}");
        prop_assert!(
            exact == host || mesh::WILDCARDS.contains(&host) || host == "*.invalid",
            "a wildcard nobody has: {entry}"
        );
    }
    Ok(())
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-')
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}
