use super::*;
use crate::resource::Mode;

fn workload(name: &str) -> Workload {
    Workload {
        namespace: "shop".into(),
        name: name.into(),
    }
}

fn host(name: &str) -> EgressHost {
    EgressHost {
        namespace: "shop".into(),
        host: name.into(),
    }
}

fn dependency(
    source: &str,
    to: &str,
    seen: std::ops::Range<u64>,
    count: u64,
    origin: Origin,
) -> Dependency {
    let (source, host) = (workload(source), host(to));
    Dependency {
        source,
        host,
        first_seen_ms: seen.start,
        last_seen_ms: seen.end,
        count,
        origin,
        sightings: Sightings::default(),
    }
}

#[test]
fn merges_what_is_known() {
    let mut graph = Graph::new(Limits::default());
    graph.insert(dependency("cart", "a", 5..9, 3, Origin::Pinned));
    graph.insert(dependency("cart", "a", 2..7, 8, Origin::Learned));
    assert!(graph.touch(&workload("cart"), &host("a"), Witness::Filter, 20, 2));
    assert!(!graph.touch(&workload("cart"), &host("b"), Witness::Filter, 20, 2));
    let found: Vec<_> = graph.iter().cloned().collect();
    let seen = Seen {
        first_ms: 20,
        last_ms: 20,
    };
    let merged = Dependency {
        sightings: Sightings::of(Witness::Filter, seen),
        ..dependency("cart", "a", 2..20, 10, Origin::Pinned)
    };
    assert_eq!(found, [merged]);
}

#[test]
fn prometheus_tells_the_past_and_may_tell_it_twice() {
    let mut graph = Graph::new(Limits::default());
    graph.insert(dependency("cart", "a", 50..60, 1, Origin::Learned));
    graph.insert_external(ExternalHost {
        source: workload("cart"),
        host: "x".into(),
        first_seen_ms: 50,
        last_seen_ms: 60,
        count: 1,
    });
    let mut check = |at_ms: u64, expect: (u64, u64, u64), external: (u64, u64, u64)| {
        graph.touch(
            &workload("cart"),
            &host("a"),
            Witness::Prometheus,
            at_ms,
            10,
        );
        graph.touch_external(&workload("cart"), "x", Witness::Prometheus, at_ms, 10);
        let known = graph.iter().next().expect("a dependency");
        let found = (known.first_seen_ms, known.last_seen_ms, known.count);
        assert_eq!(found, expect, "{at_ms}");
        let known = graph.externals().next().expect("an external host");
        let found = (known.first_seen_ms, known.last_seen_ms, known.count);
        assert_eq!(found, external, "{at_ms}");
    };
    check(55, (50, 60, 11), (50, 60, 1));
    check(20, (20, 60, 21), (20, 60, 11));
    check(40, (20, 60, 21), (20, 60, 11));
    check(20, (20, 60, 21), (20, 60, 11));
    check(70, (20, 70, 31), (20, 70, 21));
}

#[test]
fn remembers_each_witness_by_itself() {
    let seen = |first_ms, last_ms| Seen { first_ms, last_ms };
    let mut graph = Graph::new(Limits::default());
    graph.insert(Dependency {
        sightings: Sightings::of(Witness::Filter, seen(5, 9)),
        ..dependency("cart", "a", 5..9, 1, Origin::Learned)
    });
    graph.insert(Dependency {
        sightings: Sightings::of(Witness::Filter, seen(2, 7)),
        ..dependency("cart", "a", 2..7, 1, Origin::Learned)
    });
    graph.touch(&workload("cart"), &host("a"), Witness::AccessLog, 20, 1);
    graph.touch(&workload("cart"), &host("a"), Witness::AccessLog, 30, 1);
    let found: Vec<_> = graph.iter().flat_map(|it| it.sightings.iter()).collect();
    let expect = [
        (Witness::Filter, seen(2, 9)),
        (Witness::AccessLog, seen(20, 30)),
    ];
    assert_eq!(found, expect);
}

#[test]
fn finds_dependents_in_order() {
    let mut graph = Graph::new(Limits::default());
    for (source, to) in [("web", "a"), ("cart", "b"), ("cart", "a")] {
        graph.insert(dependency(source, to, 1..1, 1, Origin::Learned));
    }
    let check = |to: &str, after: Option<&str>, expect: &[&str]| {
        let (to, after) = (host(to), after.map(workload));
        let dependents = graph.dependents_after(&to, after.as_ref());
        let names: Vec<_> = dependents.map(|found| found.source.name.as_str()).collect();
        assert_eq!(names, expect, "{to} after {after:?}");
        assert!(graph.is_needed(&to) || names.is_empty());
    };
    check("a", None, &["cart", "web"]);
    check("a", Some("cart"), &["web"]);
    check("a", Some("dog"), &["web"]);
    check("a", Some("web"), &[]);
    check("c", None, &[]);
}

#[test]
fn goes_on_behind_what_was_seen() {
    let mut graph = Graph::new(Limits::default());
    for (source, to) in [("cart", "a"), ("cart", "b"), ("web", "a")] {
        graph.insert(dependency(source, to, 1..1, 1, Origin::Learned));
    }
    graph.insert(dependency("web", "a", 1..2, 1, Origin::Learned));
    assert_eq!((graph.workload_count(), graph.dependency_count()), (2, 3));
    for (source, to, expect) in [
        ("a", "z", 3),
        ("cart", "a", 2),
        ("cart", "aa", 2),
        ("cart", "b", 1),
        ("dog", "a", 1),
        ("web", "a", 0),
    ] {
        let after = (&workload(source), &host(to));
        assert_eq!(
            graph.iter_after(Some(after)).count(),
            expect,
            "{source} {to}"
        );
    }
    for (after, expect) in [
        (None, 2),
        (Some("a"), 2),
        (Some("cart"), 1),
        (Some("web"), 0),
    ] {
        let after = after.map(workload);
        assert_eq!(
            graph.workloads_after(after.as_ref()).count(),
            expect,
            "{after:?}"
        );
    }
    for (after, expect) in [(None, 2), (Some("a"), 1), (Some("aa"), 1), (Some("b"), 0)] {
        let after = after.map(host);
        let cart = workload("cart");
        let rest = graph.dependencies_after(&cart, after.as_ref());
        assert_eq!(rest.count(), expect, "{after:?}");
    }
}

#[test]
fn addresses_leave_room_for_names() {
    let mut graph = Graph::new(Limits {
        externals_per_workload: 2,
        ..Limits::default()
    });
    let first = "203.0.113.1:5432";
    graph.insert_external(ExternalHost {
        source: workload("cart"),
        host: first.into(),
        first_seen_ms: 1,
        last_seen_ms: 1,
        count: 1,
    });
    for (host, expect) in [
        (first, true),
        ("203.0.113.2:5432", false),
        ("203.0.113.2", false),
        ("[2001:db8::1]:443", false),
        ("[2001:db8::1]", false),
        ("2001:db8::1", false),
        ("example.org", true),
        ("example.org:8443", true),
    ] {
        let learned = Learned::External(host.into());
        assert_eq!(
            graph.admits(&workload("cart"), &learned, Mode::Learn),
            expect,
            "{host}"
        );
    }
}

#[test]
fn the_external_hosts_of_all_share_a_limit() {
    let mut graph = Graph::new(Limits {
        externals: 3,
        ..Limits::default()
    });
    for (source, host) in [("cart", "x"), ("cart", "x"), ("web", "y")] {
        assert!(graph.admits(
            &workload(source),
            &Learned::External(host.into()),
            Mode::Learn
        ));
        graph.insert_external(ExternalHost {
            source: workload(source),
            host: host.into(),
            first_seen_ms: 1,
            last_seen_ms: 1,
            count: 1,
        });
    }
    for (source, host, expect) in [
        ("cart", "x", true),
        ("cart", "y", false),
        ("new", "z", false),
    ] {
        let learned = Learned::External(host.into());
        assert_eq!(
            graph.admits(&workload(source), &learned, Mode::Learn),
            expect,
            "{source} {host}"
        );
    }
    assert!(graph.admits(
        &workload("new"),
        &Learned::Host(self::host("a")),
        Mode::Learn
    ));
}

#[test]
fn admits_what_is_known_or_fits() {
    let limits = Limits {
        workloads: 2,
        dependencies_per_workload: 1,
        externals_per_workload: 1,
        externals: 1,
        ..Limits::default()
    };
    let mut graph = Graph::new(limits);
    let (a, b) = (Learned::Host(host("a")), Learned::Host(host("b")));
    let (x, y) = (Learned::External("x".into()), Learned::External("y".into()));
    assert!(graph.admits(&workload("cart"), &a, Mode::Learn));
    graph.insert(dependency("cart", "a", 1..1, 1, Origin::Learned));
    let external = |name: &str| ExternalHost {
        source: workload("cart"),
        host: name.into(),
        first_seen_ms: 1,
        last_seen_ms: 1,
        count: 1,
    };
    assert!(graph.admits(&workload("cart"), &x, Mode::Learn));
    graph.insert_external(external("x"));
    for (source, learned, expect) in [
        ("cart", &a, true),
        ("cart", &b, false),
        ("cart", &x, true),
        ("cart", &y, false),
        ("cart", &Learned::Nothing, true),
        ("web", &a, false),
        ("web", &x, false),
        ("web", &Learned::Nothing, true),
    ] {
        assert_eq!(
            graph.admits(&workload(source), learned, Mode::Learn),
            expect,
            "{source} {learned:?}"
        );
    }
    let enforced = workload("web");
    assert!(
        graph.has_room(&enforced, Mode::Enforce),
        "others are only learned"
    );
    graph.insert(dependency("web", "a", 1..1, 1, Origin::Learned));
    assert!(!graph.has_room(&workload("more"), Mode::Enforce));
    let elsewhere = Workload::new("bank", "more").unwrap();
    assert!(graph.has_room(&elsewhere, Mode::Enforce));
    assert!(graph.touch_external(&workload("cart"), "x", Witness::Filter, 4, 1));
    assert!(!graph.touch_external(&workload("cart"), "y", Witness::Filter, 4, 1));
}

/// Namespaces that learn as much as they can, one after the other: how many workloads, with one dependency, each gets.
#[test]
fn a_namespace_leaves_others_as_much_as_it_has() {
    let check = |limits: Limits, expect: &[(&str, usize)]| {
        let mut graph = Graph::new(limits);
        for (namespace, expect) in expect {
            let found = (0..1_000).take_while(|n| {
                let source = Workload::new(*namespace, format!("w{n}")).unwrap();
                let is_admitted = graph.admits(&source, &Learned::Host(host("a")), Mode::Learn);
                let room = graph.room_in(namespace).learn;
                assert_eq!(room, is_admitted, "{namespace} w{n}");
                assert!(room || graph.is_filling_up(0) || limits.workloads < 1_000);
                if is_admitted {
                    let mut new = dependency("x", "a", 1..1, 1, Origin::Learned);
                    new.source = source;
                    graph.insert(new);
                }
                is_admitted
            });
            assert_eq!(found.count(), *expect, "{namespace} of {limits:?}");
        }
    };
    let (mut workloads, mut dependencies) = (Limits::default(), Limits::default());
    for (most, expect) in [
        (
            100,
            &[("a", 50), ("b", 25), ("c", 13), ("d", 6), ("e", 3)][..],
        ),
        (1, &[("a", 1), ("b", 0)]),
        (0, &[("a", 0)]),
    ] {
        workloads.workloads = most;
        check(workloads, expect);
        dependencies.dependencies = most;
        check(dependencies, expect);
    }
}

#[test]
fn who_has_dependencies_learns_no_more_than_its_namespace_may() {
    let mut graph = Graph::new(Limits {
        dependencies: 4,
        ..Limits::default()
    });
    for to in ["a", "b"] {
        assert!(graph.has_room(&workload("web"), Mode::Enforce), "{to}");
        graph.insert(dependency("web", to, 1..1, 1, Origin::Learned));
        graph.insert(dependency("web", to, 1..2, 2, Origin::Learned));
    }
    let (b, c) = (Learned::Host(host("b")), Learned::Host(host("c")));
    assert!(graph.admits(&workload("web"), &b, Mode::Learn));
    assert!(!graph.admits(&workload("web"), &c, Mode::Enforce));
    assert!(graph.is_crowded("shop") && !graph.is_crowded("bank"));
    graph.remove(&workload("web"));
    assert!(graph.has_room(&workload("web"), Mode::Enforce));
}

#[test]
fn what_is_removed_leaves_nothing_behind() {
    let mut graph = Graph::new(Limits::default());
    for (source, to) in [("cart", "a"), ("web", "a"), ("web", "b")] {
        graph.insert(dependency(source, to, 1..1, 1, Origin::Learned));
    }
    graph.insert_external(ExternalHost {
        source: workload("web"),
        host: "x".into(),
        first_seen_ms: 1,
        last_seen_ms: 1,
        count: 1,
    });
    assert!(graph.remove(&workload("web")));
    assert!(!graph.remove(&workload("web")));
    let counts = |graph: &Graph| {
        (
            graph.workload_count(),
            graph.dependency_count(),
            graph.external_count(),
            graph.namespaces.len(),
        )
    };
    assert_eq!(counts(&graph), (1, 1, 0, 1));
    assert_eq!(graph.dependents_after(&host("a"), None).count(), 1);
    assert!(!graph.is_needed(&host("b")));
    assert!(graph.remove(&workload("cart")));
    assert_eq!(counts(&graph), (0, 0, 0, 0));
}

#[test]
fn a_use_after_the_clock_was_put_back_is_the_last_one() {
    let mut graph = Graph::new(Limits::default());
    graph.insert(dependency("cart", "a", 50..90, 1, Origin::Learned));
    assert!(graph.touch(&workload("cart"), &host("a"), Witness::Filter, 20, 1));
    assert_eq!(graph.iter().next().map(|it| it.last_seen_ms), Some(20));
}

/// A dependency last seen at 1,000: its silence after each step, by whose word.
#[test]
fn silence_is_what_was_watched_since_the_last_sighting() {
    enum Step {
        Watched(u64, u64),
        Seen(Witness, u64),
        Loaded(u64),
    }
    let mut graph = Graph::new(Limits::default());
    let stored = dependency("cart", "a", 0..1_000, 1, Origin::Learned);
    graph.insert(stored.clone());
    let mut check = |step: Step, expect: u64| {
        match step {
            Step::Watched(by, now) => drop(graph.watched(&workload("cart"), by, 100, now)),
            Step::Seen(witness, now) => {
                assert!(graph.touch(&workload("cart"), &host("a"), witness, now, 1));
            }
            Step::Loaded(silence_ms) => {
                let mut again = stored.clone();
                again.sightings.lengthen(silence_ms, u64::MAX);
                graph.insert(again);
            }
        }
        let found = graph.iter().next().map(|it| it.sightings.silence_ms());
        assert_eq!(found, Some(expect));
    };
    check(Step::Watched(50, 1_050), 50);
    check(Step::Watched(0, 9_000), 50);
    check(Step::Watched(70, 9_070), 120);
    check(Step::Seen(Witness::AccessLog, 9_100), 0);
    check(Step::Watched(500, 9_150), 50);
    check(Step::Seen(Witness::Filter, 9_200), 0);
    check(Step::Watched(500, 9_100), 0);
    check(Step::Watched(500, 9_900), 500);
    check(Step::Seen(Witness::Prometheus, 9_100), 500);
    check(Step::Seen(Witness::Prometheus, 9_800), 0);
    check(Step::Watched(500, 10_300), 500);
    check(Step::Loaded(900), 500);
    check(Step::Loaded(10), 10);
}

#[test]
fn silence_is_worth_writing_down_step_by_step() {
    let mut graph = Graph::new(Limits::default());
    graph.insert(dependency("cart", "a", 0..0, 1, Origin::Learned));
    let mut now = 0;
    let written = |by: u64| {
        now += by;
        graph.watched(&workload("cart"), by, 100, now).len()
    };
    assert_eq!(
        [60, 30, 20, 70, 19, 1, 300].map(written),
        [0, 0, 1, 0, 0, 1, 1]
    );
}

#[test]
fn one_dependency_is_forgotten() {
    let mut graph = Graph::new(Limits::default());
    for (source, to) in [("cart", "a"), ("cart", "b"), ("web", "a")] {
        graph.insert(dependency(source, to, 1..1, 1, Origin::Learned));
    }
    assert!(graph.remove_dependency(&workload("cart"), &host("a")));
    assert!(!graph.remove_dependency(&workload("cart"), &host("a")));
    assert!(!graph.remove_dependency(&workload("none"), &host("a")));
    assert_eq!((graph.dependency_count(), graph.workload_count()), (2, 2));
    assert_eq!(graph.dependents_after(&host("a"), None).count(), 1);
    assert!(graph.remove_dependency(&workload("web"), &host("a")));
    assert_eq!(graph.dependents_after(&host("a"), None).count(), 0);
}
