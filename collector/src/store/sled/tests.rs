use lazymesh_core::{Dependency, ExternalHost, Seen, Sightings, Witness};

use super::*;
use crate::store::fixtures::{dependency, external};

async fn commit(dir: &Path, changes: Vec<Change>) {
    let store = SledStore::open(dir).unwrap();
    store.commit(changes).await.unwrap();
    store.close().await.unwrap();
}

async fn reopened(dir: &Path) -> Snapshot {
    let store = SledStore::open(dir).unwrap();
    let snapshot = store.load().await.unwrap();
    store.close().await.unwrap();
    snapshot
}

fn write_raw(dir: &Path, records: &[(&[u8], &[u8])]) {
    let engine = Engine::open(&dir.join("sled")).unwrap();
    for (key, value) in records {
        engine.db.insert(key, *value).unwrap();
    }
    engine.sync().unwrap();
}

const OLD_KEY: &[u8] = b"d/shop/web/prod/old.prod.svc.cluster.local";
const OLD_VALUE: &[u8] =
    br#"{"first_seen_ms":1000,"last_seen_ms":2000,"count":3,"origin":"learned"}"#;

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let nested = dir.path().join("not/yet/there");
    commit(
        &nested,
        vec![
            Change::Dependency(dependency("web", "b")),
            Change::Dependency(dependency("web", "a")),
            Change::External(external("web", "example.com")),
        ],
    )
    .await;
    let updated = ExternalHost {
        count: 9,
        ..external("web", "example.com")
    };
    let gone = dependency("web", "b");
    commit(
        &nested,
        vec![
            Change::External(updated.clone()),
            Change::RemoveDependency {
                source: gone.source,
                host: gone.host,
            },
        ],
    )
    .await;
    let snapshot = reopened(&nested).await;
    assert_eq!(snapshot.dependencies, [dependency("web", "a")]);
    assert_eq!(snapshot.externals, std::slice::from_ref(&updated));
    let remove = Change::RemoveExternal {
        source: updated.source,
        host: updated.host,
    };
    commit(&nested, vec![remove]).await;
    assert_eq!(reopened(&nested).await.externals, []);
}

#[tokio::test]
async fn the_last_change_of_one_commit_wins() {
    let dir = tempfile::tempdir().unwrap();
    let removed = dependency("web", "a");
    commit(
        dir.path(),
        vec![
            Change::RemoveDependency {
                source: removed.source,
                host: removed.host,
            },
            Change::Dependency(dependency("web", "a")),
            Change::Dependency(Dependency {
                count: 7,
                ..dependency("web", "a")
            }),
        ],
    )
    .await;
    assert_eq!(reopened(dir.path()).await.dependencies[0].count, 7);
}

#[tokio::test]
async fn a_second_collector_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = SledStore::open(dir.path()).unwrap();
    let refused = SledStore::open(dir.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    first.close().await.unwrap();
    reopened(dir.path()).await;
}

/// As lazymesh wrote it before it had checksums: version 1, and development builds before that.
#[tokio::test]
async fn a_store_of_an_earlier_version_is_brought_up_to_date() {
    for version in [Some(b"1".as_slice()), None] {
        let dir = tempfile::tempdir().unwrap();
        let schema = version.map(|version| (b"schema".as_slice(), version));
        let records: Vec<_> = schema.into_iter().chain([(OLD_KEY, OLD_VALUE)]).collect();
        write_raw(dir.path(), &records);
        for _ in 0..2 {
            let found = reopened(dir.path()).await.dependencies;
            assert_eq!(found, [seen_by_filters("old")]);
        }
        let engine = Engine::open(&dir.path().join("sled")).unwrap();
        assert_eq!(engine.db.get("schema").unwrap().unwrap(), b"2");
    }
}

#[tokio::test]
async fn an_upgrade_that_was_cut_short_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let done = crate::store::checked::wrap(OLD_KEY, OLD_VALUE);
    let other = b"d/shop/web/prod/a.prod.svc.cluster.local";
    write_raw(
        dir.path(),
        &[(b"schema", b"1"), (OLD_KEY, &done), (other, OLD_VALUE)],
    );
    let found = reopened(dir.path()).await.dependencies;
    assert_eq!(found, [seen_by_filters("a"), seen_by_filters("old")]);
}

/// What was written when filters alone saw dependencies.
fn seen_by_filters(host: &str) -> Dependency {
    let known = dependency("web", host);
    let seen = Seen {
        first_ms: known.first_seen_ms,
        last_ms: known.last_seen_ms,
    };
    Dependency {
        sightings: Sightings::of(Witness::Filter, seen),
        ..known
    }
}

#[tokio::test]
async fn a_later_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    commit(dir.path(), vec![Change::Dependency(dependency("web", "a"))]).await;
    write_raw(dir.path(), &[(b"schema", b"3")]);
    let refused = SledStore::open(dir.path()).err().unwrap();
    let (found, supported) = match refused {
        StoreError::Newer {
            found, supported, ..
        } => (found, supported),
        other => panic!("{other}"),
    };
    assert_eq!((found, supported), (3, 2));
}

async fn of_two_commits() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let changes = (0..20).map(|n| Change::External(external("web", &format!("{name}{n}.com"))));
        commit(dir.path(), changes.collect()).await;
    }
    dir
}

#[track_caller]
fn check_damaged(dir: &Path, expect: &str) {
    let refused = SledStore::open(dir).err().unwrap();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    assert!(refused.to_string().contains(expect), "{refused}");
}

#[tokio::test]
async fn what_is_not_what_was_written_is_damage() {
    let dir = of_two_commits().await;
    write_raw(dir.path(), &[(OLD_KEY, OLD_VALUE)]);
    check_damaged(dir.path(), "old.prod.svc.cluster.local has no checksum");

    let dir = of_two_commits().await;
    let engine = Engine::open(&dir.path().join("sled")).unwrap();
    engine.db.remove("e/shop/web/a3.com").unwrap();
    engine.sync().unwrap();
    drop(engine);
    check_damaged(dir.path(), "expected 40 external hosts of shop, got 39");

    let dir = of_two_commits().await;
    fs::remove_dir_all(dir.path().join("sled")).unwrap();
    check_damaged(dir.path(), "there is a seal, but no sled");

    let dir = of_two_commits().await;
    fs::remove_file(dir.path().join("seal")).unwrap();
    check_damaged(dir.path(), "its seal is missing");
}

#[tokio::test]
async fn an_earlier_state_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    commit(dir.path(), vec![Change::External(external("web", "a.com"))]).await;
    let (now, then) = (dir.path().join("sled"), dir.path().join("then"));
    salvage::copy_tree(&now, &then).unwrap();
    commit(dir.path(), vec![Change::External(external("web", "b.com"))]).await;
    fs::remove_dir_all(&now).unwrap();
    fs::rename(&then, &now).unwrap();
    check_damaged(
        dir.path(),
        "expected the state after commit 3, got that after 2",
    );
}

/// One bit at a time, all over what the engine has written: it is found out, or all is there.
#[tokio::test]
async fn a_bit_that_flips_is_never_silence() {
    let dir = of_two_commits().await;
    let expect = reopened(dir.path()).await;
    let pristine = tempfile::tempdir().unwrap();
    let pristine = pristine.path().join("store");
    salvage::copy_tree(dir.path(), &pristine).unwrap();
    let (mut refused, mut harmless) = (0, 0);
    for file in ["sled/db", "seal"] {
        let bytes = fs::read(pristine.join(file)).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for step in 0..40 {
            let mut flipped = bytes.clone();
            let at = (step * 7_919 + 13) % used;
            flipped[at] ^= 1 << (step % 8);
            let copy = tempfile::tempdir().unwrap();
            let copy = copy.path().join("store");
            salvage::copy_tree(&pristine, &copy).unwrap();
            fs::write(copy.join(file), flipped).unwrap();
            match SledStore::open(&copy) {
                Err(error) => {
                    assert!(
                        matches!(error, StoreError::Damaged { .. }),
                        "{file} {at}: {error}"
                    );
                    refused += 1;
                }
                Ok(store) => {
                    let found = store.load().await.unwrap();
                    assert_eq!(found.externals, expect.externals, "{file} {at}");
                    store.close().await.unwrap();
                    harmless += 1;
                }
            }
        }
    }
    assert!(refused > 20, "{refused} refused, {harmless} harmless");
}

#[tokio::test]
async fn accepted_damage_keeps_a_copy_and_what_can_be_read() {
    let dir = of_two_commits().await;
    write_raw(dir.path(), &[(b"e/shop/web/a3.com", b"rubbish")]);
    check_damaged(dir.path(), "--accept-damage");
    let store = SledStore::open_accepting_damage(dir.path()).unwrap();
    assert_eq!(store.load().await.unwrap().externals.len(), 39);
    store.close().await.unwrap();
    commit(dir.path(), vec![Change::External(external("web", "c.com"))]).await;
    assert_eq!(reopened(dir.path()).await.externals.len(), 40);
    let names = fs::read_dir(dir.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let mut kept = names
        .iter()
        .filter(|name| name.as_encoded_bytes().starts_with(b"damaged-"));
    let kept = dir.path().join(kept.next().unwrap());
    check_damaged(&kept, "a3.com");
}

#[tokio::test]
async fn damage_beyond_reading_can_be_accepted() {
    let dir = of_two_commits().await;
    fs::write(dir.path().join("sled/conf"), "segment_size: what?\n....").unwrap();
    check_damaged(dir.path(), "--accept-damage");
    let store = SledStore::open_accepting_damage(dir.path()).unwrap();
    assert!(store.load().await.unwrap().externals.is_empty());
    store.close().await.unwrap();
    reopened(dir.path()).await;
}

#[tokio::test]
async fn what_would_not_be_found_again_is_not_acknowledged() {
    let check = async |remove: &dyn Fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("data");
        let store = SledStore::open(&home).unwrap();
        let change = |name| vec![Change::External(external("web", name))];
        store.commit(change("a.com")).await.unwrap();
        remove(&home);
        let refused = store.commit(change("b.com")).await.unwrap_err();
        assert!(matches!(refused, StoreError::Replaced { .. }), "{refused}");
        let refused = store.commit(change("c.com")).await.unwrap_err();
        assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    };
    check(&|home| fs::remove_dir_all(home).unwrap()).await;
    check(&|home| fs::rename(home, home.with_extension("away")).unwrap()).await;
    check(&|home| {
        let data = home.join("sled/db");
        let copy = fs::read(&data).unwrap();
        fs::remove_file(&data).unwrap();
        fs::write(&data, copy).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_start_that_was_cut_short_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sled.new")).unwrap();
    fs::write(dir.path().join("sled.new/conf"), [0; 62]).unwrap();
    assert!(reopened(dir.path()).await.dependencies.is_empty());
    assert!(!dir.path().join("sled.new").exists());
}

#[tokio::test]
async fn a_snapshot_that_was_cut_short_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    commit(dir.path(), vec![Change::Dependency(dependency("web", "a"))]).await;
    for unfinished in ["", "half of a snapshot"] {
        let path = dir.path().join("sled/snap.FFFFFFFFFFFFFFFF.generating");
        fs::write(&path, unfinished).unwrap();
        assert_eq!(
            reopened(dir.path()).await.dependencies,
            [dependency("web", "a")]
        );
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_file_of_rubbish_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    commit(dir.path(), vec![Change::Dependency(dependency("web", "a"))]).await;
    fs::write(dir.path().join("sled/conf"), "segment_size: what?\n....").unwrap();
    let refused = SledStore::open(dir.path()).err().unwrap();
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
}

#[test]
fn a_path_that_is_a_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store");
    fs::write(&file, "").unwrap();
    let refused = SledStore::open(&file).err().unwrap();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
}
