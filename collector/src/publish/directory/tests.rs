use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

use lazymesh_core::{EgressHost, Object};

use super::*;

fn sidecar(name: &str, hosts: &[&str]) -> SidecarSpec {
    SidecarSpec {
        namespace: "shop".to_owned(),
        name: format!("lazymesh-{name}"),
        workload: Some(name.to_owned()),
        hosts: hosts
            .iter()
            .map(|host| host.parse::<EgressHost>().unwrap())
            .collect::<BTreeSet<_>>(),
        ..SidecarSpec::default()
    }
}

struct Fixture {
    root: tempfile::TempDir,
    sink: DirectorySink,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let sink = DirectorySink::open(&root.path().join("out")).unwrap();
        Self { root, sink }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("out/shop").join(name)
    }

    /// Somebody else's file.
    fn put(&self, name: &str, text: &str) -> PathBuf {
        fs::create_dir_all(self.path("")).unwrap();
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    async fn publish(&self, sidecar: &SidecarSpec) -> PublishOutcome {
        self.apply(sidecar).await.unwrap()
    }

    async fn apply(&self, sidecar: &SidecarSpec) -> Result<PublishOutcome, SinkError> {
        self.sink.apply(sidecar, &EgressScope::whole(sidecar)).await
    }

    async fn names(&self) -> Vec<String> {
        let listed = self.sink.list().await.unwrap();
        listed.into_iter().map(|published| published.name).collect()
    }
}

const A: &str = "prod/a.prod.svc.cluster.local";
const B: &str = "prod/b.prod.svc.cluster.local";

#[tokio::test]
async fn a_sidecar_is_a_file_that_istio_can_read() {
    let fixture = Fixture::new();
    // YAML 1.1, which kubectl speaks, takes a bare `y` for true.
    let sidecar = SidecarSpec {
        workload: Some("y".to_owned()),
        ..sidecar("web", &[A, B])
    };
    assert_eq!(fixture.publish(&sidecar).await, PublishOutcome::Created);
    let path = fixture.path("lazymesh-web.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let document = yaml::documents(&text).remove(0).unwrap();
    assert_eq!(document.value, sidecar.manifest());
    let object = Object::from_value(document.value).unwrap().unwrap();
    assert_eq!(object.key().to_string(), "Sidecar shop/lazymesh-web");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
}

#[tokio::test]
async fn an_unchanged_file_is_not_touched() {
    let fixture = Fixture::new();
    let path = fixture.path("lazymesh-web.yaml");
    let identity = || {
        let metadata = fs::metadata(&path).unwrap();
        (metadata.ino(), metadata.mtime_nsec(), metadata.ctime_nsec())
    };
    fixture.publish(&sidecar("web", &[A])).await;
    let before = identity();
    assert_eq!(
        fixture.publish(&sidecar("web", &[A])).await,
        PublishOutcome::Unchanged
    );
    assert_eq!(identity(), before);
    assert_eq!(
        fixture.publish(&sidecar("web", &[A, B])).await,
        PublishOutcome::Updated
    );
    assert_ne!(identity(), before);
    assert!(fs::read_to_string(&path).unwrap().contains(B));
}

#[tokio::test]
async fn what_is_withdrawn_is_gone() {
    let fixture = Fixture::new();
    fixture.publish(&sidecar("web", &[A])).await;
    fixture.publish(&sidecar("api", &[A])).await;
    assert_eq!(fixture.names().await, ["lazymesh-api", "lazymesh-web"]);
    assert!(fixture.sink.withdraw("shop", "lazymesh-web").await.unwrap());
    assert!(!fixture.sink.withdraw("shop", "lazymesh-web").await.unwrap());
    assert!(
        !fixture
            .sink
            .withdraw("nowhere", "lazymesh-web")
            .await
            .unwrap()
    );
    assert_eq!(fixture.names().await, ["lazymesh-api"]);
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let ours = serde_saphyr::to_string(&sidecar("web", &[A]).manifest()).unwrap();
    let theirs = [
        String::new(),
        "{".to_owned(),
        ours.replace("managed-by: lazymesh", "managed-by: helm"),
        format!("{ours}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: a}}\n"),
    ];
    for text in theirs {
        let fixture = Fixture::new();
        let path = fixture.put("lazymesh-web.yaml", &text);
        let refused = fixture.apply(&sidecar("web", &[B])).await.unwrap_err();
        assert!(matches!(refused, SinkError::NotOurs { .. }), "{refused}");
        let refused = fixture
            .sink
            .withdraw("shop", "lazymesh-web")
            .await
            .unwrap_err();
        assert!(matches!(refused, SinkError::NotOurs { .. }), "{refused}");
        assert!(fixture.names().await.is_empty());
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
}

#[tokio::test]
async fn a_link_is_not_ours() {
    let fixture = Fixture::new();
    let target = fixture.put("elsewhere.yaml", "");
    std::os::unix::fs::symlink(&target, fixture.path("lazymesh-web.yaml")).unwrap();
    let refused = fixture.apply(&sidecar("web", &[A])).await.unwrap_err();
    assert!(matches!(refused, SinkError::NotOurs { .. }), "{refused}");
    assert_eq!(fs::read_to_string(target).unwrap(), "");
}

#[tokio::test]
async fn names_cannot_lead_out_of_the_directory() {
    let fixture = Fixture::new();
    for name in [
        "", ".", "..", "a/b", "../web", ".hidden", "a..b", "UPPER", "a\0b", "-a",
    ] {
        for (namespace, name) in [(name, "lazymesh-web"), ("shop", name)] {
            let refused = fixture.sink.withdraw(namespace, name).await.unwrap_err();
            assert!(matches!(refused, SinkError::Name { .. }), "{refused}");
            let spec = SidecarSpec {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                ..sidecar("web", &[A])
            };
            assert!(fixture.apply(&spec).await.is_err());
        }
    }
}

#[tokio::test]
async fn leftovers_of_a_killed_collector_are_removed() {
    let fixture = Fixture::new();
    let leftover = fixture.put(".lazymesh-x1y2", "half");
    let other = fixture.put(".gitkeep", "");
    let second = DirectorySink::open(&fixture.sink.root).unwrap_err();
    assert!(matches!(second, SinkError::Locked { .. }), "{second}");
    assert!(leftover.exists());
    let Fixture { root, sink } = fixture;
    drop(sink);
    DirectorySink::open(&root.path().join("out")).unwrap();
    assert!(!leftover.exists());
    assert!(other.exists());
}
