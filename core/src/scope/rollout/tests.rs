use super::*;

const SETTLE: Duration = Duration::from_secs(15);

/// A Sidecar, and a clock.
struct Fixture {
    settle: Duration,
    transit: Transit,
    live: EgressScope,
    now: Instant,
    /// Namespace of entries that are desired soon.
    soon: &'static str,
}

fn start(settle: Duration, routes: &[&str], clusters: &[&str]) -> Fixture {
    Fixture {
        settle,
        transit: Transit::default(),
        live: scope(routes, clusters),
        now: Instant::now(),
        soon: "soon",
    }
}

fn texts(entries: &[&str]) -> BTreeSet<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn scope(routes: &[&str], clusters: &[&str]) -> EgressScope {
    EgressScope {
        routes: texts(routes),
        clusters: texts(clusters),
    }
}

impl Fixture {
    /// Entries of namespace `at-once` are desired so.
    fn plan(&mut self, seconds: u64, desired: &[&str]) -> Rollout {
        self.now += Duration::from_secs(seconds);
        let hosts: BTreeSet<EgressHost> = (desired.iter())
            .filter_map(|entry| entry.split_once('/'))
            .map(|(namespace, host)| EgressHost {
                namespace: namespace.to_owned(),
                host: host.to_owned(),
            })
            .collect();
        let of = |namespace: &str| {
            let its = hosts.iter().filter(|host| host.namespace == namespace);
            its.cloned().collect()
        };
        let sidecar = SidecarSpec {
            namespace: "shop".to_owned(),
            name: "lazymesh-web".to_owned(),
            undecided: of("at-once"),
            routed: of(self.soon),
            hosts: hosts.clone(),
            ..SidecarSpec::default()
        };
        roll_out(
            &sidecar,
            &self.live,
            self.transit.clone(),
            self.settle,
            self.now,
        )
    }

    /// Publishes, some seconds after the last time, and looks at what is there then.
    fn publish(&mut self, seconds: u64, desired: &[&str], routes: &[&str], clusters: &[&str]) {
        let rollout = self.plan(seconds, desired);
        self.transit = rollout.transit;
        self.live = rollout.scope;
        assert_eq!(self.live, scope(routes, clusters));
    }

    fn due(&self) -> Option<u64> {
        let due = self.transit.due()?;
        Some(due.duration_since(self.now).as_secs())
    }
}

#[test]
fn a_host_that_comes_has_its_clusters_first() {
    let mut it = start(SETTLE, &["a/x"], &[]);
    it.publish(0, &["a/x", "a/y"], &["a/x"], &["a/y"]);
    assert_eq!(it.due(), Some(15));
    it.publish(1, &["a/x", "a/y", "a/z"], &["a/x"], &["a/y", "a/z"]);
    assert_eq!(it.due(), Some(14));
    it.publish(14, &["a/x", "a/y", "a/z"], &["a/x", "a/y"], &["a/z"]);
    it.publish(1, &["a/x", "a/y", "a/z"], &["a/x", "a/y", "a/z"], &[]);
    assert_eq!(it.due(), None);
}

#[test]
fn a_host_that_goes_keeps_its_clusters_for_a_while() {
    let mut it = start(SETTLE, &["a/x", "a/y"], &[]);
    it.publish(0, &["a/x"], &["a/x"], &["a/y"]);
    assert_eq!(it.due(), Some(15));
    it.publish(14, &["a/x"], &["a/x"], &["a/y"]);
    it.publish(1, &["a/x"], &["a/x"], &[]);
    assert_eq!(it.due(), None);
}

#[test]
fn a_full_scope_shrinks_and_what_is_learned_meanwhile_is_warm() {
    let mut it = start(SETTLE, &["*/*"], &[]);
    it.publish(0, &["a/always"], &["a/always"], &["*/*"]);
    it.publish(1, &["a/always", "a/x"], &["a/always", "a/x"], &["*/*"]);
    it.publish(14, &["a/always", "a/x"], &["a/always", "a/x"], &[]);
    assert_eq!(it.due(), None);
}

#[test]
fn a_full_scope_comes_in_steps_too() {
    let mut it = start(SETTLE, &["a/x"], &[]);
    it.publish(0, &["*/*"], &["a/x"], &["*/*"]);
    it.publish(15, &["*/*"], &["*/*"], &[]);
    assert_eq!(it.due(), None);
}

#[test]
fn what_the_mesh_s_own_sidecar_gives_comes_and_goes_in_steps_too() {
    let mut it = start(SETTLE, &["./*", "b/*"], &[]);
    let small = ["b/x", "c/x", "shop/x"];
    it.publish(0, &small, &["b/x", "shop/x"], &["./*", "b/*", "c/x"]);
    it.publish(15, &small, &small, &[]);
    it.publish(
        0,
        &["./*", "b/*"],
        &["b/x", "shop/x"],
        &["./*", "b/*", "c/x"],
    );
    it.publish(15, &["./*", "b/*"], &["./*", "b/*"], &[]);
    assert_eq!(it.due(), None);
}

#[test]
fn what_cannot_wait_has_its_routes_at_once() {
    let mut it = start(SETTLE, &["a/x"], &[]);
    it.publish(0, &["a/x", "at-once/y"], &["a/x", "at-once/y"], &[]);
    assert_eq!(it.due(), None);
    it.publish(0, &["a/x"], &["a/x"], &["at-once/y"]);
    it.publish(1, &["a/x", "at-once/y"], &["a/x", "at-once/y"], &[]);
    assert_eq!(it.due(), None);
}

#[test]
fn what_the_filter_leads_past_waits_for_less() {
    let mut it = start(SETTLE, &[], &[]);
    let desired = ["a/x", "soon/y"];
    it.publish(0, &desired, &[], &desired);
    assert_eq!(it.due(), Some(2));
    it.publish(2, &desired, &["soon/y"], &["a/x"]);
    assert_eq!(it.due(), Some(13));
    let mut it = start(Duration::from_secs(1), &[], &[]);
    it.publish(0, &desired, &[], &desired);
    assert_eq!(it.due(), Some(1));
}

#[test]
fn what_gets_a_route_to_be_led_past_waits_for_less_from_then_on() {
    let mut it = start(SETTLE, &[], &[]);
    let desired = ["a/x", "b/y"];
    it.publish(0, &desired, &[], &desired);
    it.soon = "b";
    it.publish(5, &desired, &[], &desired);
    assert_eq!(it.due(), Some(2));
    it.publish(1, &desired, &[], &desired);
    it.publish(1, &desired, &["b/y"], &["a/x"]);
    assert_eq!(it.due(), Some(8));
}

#[test]
fn an_entry_covers_others() {
    let check = |wide: &str, entry: &str, expect: bool| {
        let wide = texts(&[wide]);
        let cover = Cover::new(&wide, "shop");
        assert_eq!(cover.has(entry), expect, "{wide:?} {entry}");
    };
    check("*/*", "a/x", true);
    check("./*", "shop/x", true);
    check("./*", "a/x", false);
    check("a/*", "a/x", true);
    check("*/*.com", "a/x.com", true);
    check("*/*.com", "a/*.x.com", true);
    check("*/*.com", "a/x.org", false);
    check("a/x", "a/x", true);
    check("a/x", "a/*", false);
}

#[test]
fn a_host_that_comes_back_has_its_routes_at_once() {
    let mut it = start(SETTLE, &["a/x", "a/y"], &[]);
    it.publish(0, &["a/x"], &["a/x"], &["a/y"]);
    it.publish(1, &["a/x", "a/y"], &["a/x", "a/y"], &[]);
    assert_eq!(it.due(), None);
}

#[test]
fn a_host_that_never_came_to_routes_keeps_its_clusters_too() {
    let mut it = start(SETTLE, &["a/x"], &[]);
    it.publish(0, &["a/x", "a/y"], &["a/x"], &["a/y"]);
    it.publish(1, &["a/x"], &["a/x"], &["a/y"]);
    assert_eq!(it.due(), Some(15));
}

#[test]
fn a_step_counts_from_when_it_was_published() {
    let mut it = start(SETTLE, &["a/x", "a/y"], &[]);
    // What was planned never came to Kubernetes.
    it.transit = it.plan(0, &["a/x", "a/z"]).transit;
    it.publish(20, &["a/x", "a/z"], &["a/x"], &["a/y", "a/z"]);
    assert_eq!(it.due(), Some(15));
    it.publish(15, &["a/x", "a/z"], &["a/x", "a/z"], &[]);
    assert_eq!(it.due(), None);
}

#[test]
fn what_an_earlier_collector_left_on_the_way_begins_anew() {
    let mut it = start(SETTLE, &["a/x"], &["a/y", "a/z"]);
    it.publish(0, &["a/x", "a/y"], &["a/x"], &["a/y", "a/z"]);
    it.publish(15, &["a/x", "a/y"], &["a/x", "a/y"], &[]);
}

#[test]
fn without_time_there_are_no_steps() {
    let mut it = start(Duration::ZERO, &["*/*"], &[]);
    it.publish(0, &["a/x"], &["a/x"], &[]);
    it.publish(0, &["a/y"], &["a/y"], &[]);
}
