use futures::stream;
use lazymesh_core::{Dependency, ExternalHost};

use super::*;
use crate::store::fixtures::{dependency, external};
use crate::store::{Change, SledStore, Store, record};

/// A record as it was used later.
fn used(host: &str, last_seen_ms: u64, count: u64) -> ExternalHost {
    ExternalHost {
        last_seen_ms,
        count,
        ..external("web", host)
    }
}

fn snapshot(externals: Vec<ExternalHost>) -> Snapshot {
    Snapshot {
        dependencies: Vec::new(),
        externals,
        ..Snapshot::default()
    }
}

async fn write_all(store: &SledStore, pieces: Vec<Snapshot>) {
    let pieces = stream::iter(pieces).boxed();
    store.write_usage(pieces).await.unwrap();
}

async fn commit(store: &SledStore, externals: impl Iterator<Item = ExternalHost>) {
    let changes = externals.map(Change::External).collect();
    store.commit(changes).await.unwrap();
}

async fn reopened(dir: &Path, store: SledStore) -> Snapshot {
    store.close().await.unwrap();
    let store = SledStore::open(dir).unwrap();
    let snapshot = store.load().await.unwrap();
    store.close().await.unwrap();
    snapshot
}

#[tokio::test]
async fn uses_are_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let learned = dependency("web", "a");
    let names = ["a.com", "again.com", "b.com"];
    let learned_externals = names.map(|host| Change::External(external("web", host)));
    let changes = [Change::Dependency(learned.clone())].into_iter();
    let changes = changes.chain(learned_externals).collect();
    store.commit(changes).await.unwrap();

    let later = Dependency {
        first_seen_ms: 900,
        last_seen_ms: 3_000,
        count: 7,
        ..learned
    };
    let piece = Snapshot {
        dependencies: vec![later.clone()],
        externals: vec![used("a.com", 4_000, 9), used("again.com", 5_000, 9)],
        ..Snapshot::default()
    };
    let forgotten = snapshot(vec![used("gone.com", 4_000, 9)]);
    write_all(&store, vec![piece, forgotten]).await;
    // Forgotten and learned once more, after the uses were written.
    let again = used("again.com", 6_000, 1);
    commit(&store, [again.clone()].into_iter()).await;

    let found = reopened(dir.path(), store).await;
    assert_eq!(found.dependencies, [later]);
    let expect = [used("a.com", 4_000, 9), again, external("web", "b.com")];
    assert_eq!(found.externals, expect);
}

#[tokio::test]
async fn what_was_written_last_counts_and_what_is_half_written_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    commit(&store, [external("web", "a.com")].into_iter()).await;
    for count in [4, 5] {
        let piece = snapshot(vec![used("a.com", 3_000 + count, count)]);
        write_all(&store, vec![piece]).await;
    }
    fs::write(dir.path().join(UNFINISHED), "[\"e/shop/web/a.com\",1").unwrap();
    let found = reopened(dir.path(), store).await;
    assert_eq!(found.externals, [used("a.com", 3_005, 5)]);
}

#[tokio::test]
async fn uses_that_differ_from_what_was_written_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    commit(&store, [external("web", "a.com")].into_iter()).await;
    write_all(&store, vec![snapshot(vec![used("a.com", 3_000, 4)])]).await;
    store.close().await.unwrap();

    let file = path(dir.path());
    let good = fs::read(&file).unwrap();
    let expect = lines(dir.path()).unwrap();
    let mut found = 0;
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, flipped).unwrap();
        match lines(dir.path()) {
            Err(error) => {
                assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
                found += 1;
            }
            Ok(lines) => assert_eq!(lines, expect, "bit {bit}"),
        }
    }
    assert!(found > good.len() * 7, "{found} of {} bytes", good.len());
    for end in [0, 1, good.len() / 2] {
        fs::write(&file, &good[..end]).unwrap();
        let refused = SledStore::open(dir.path()).err().unwrap();
        assert!(matches!(refused, StoreError::Damaged { .. }), "{refused}");
    }
    let store = SledStore::open_accepting_damage(dir.path()).unwrap();
    let found = reopened(dir.path(), store).await;
    assert_eq!(found.externals, [external("web", "a.com")]);
}

fn lines(dir: &Path) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut lines = Vec::new();
    read(dir, |line| lines.push(line.to_vec()))?;
    Ok(lines)
}

fn size(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let sizes = entries.map(|entry| match entry.metadata().unwrap() {
        metadata if metadata.is_dir() => size(&entry.path()),
        metadata => metadata.len(),
    });
    sizes.sum()
}

#[tokio::test]
async fn disk_stays_while_known_things_are_used() {
    const HOSTS: usize = 20_000;
    const ROUNDS: u64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let names: Vec<String> = (0..HOSTS)
        .map(|n| format!("host-{n}.example.com"))
        .collect();
    for batch in names.chunks(1_000) {
        commit(&store, batch.iter().map(|host| external("web", host))).await;
    }
    let live: usize = names.iter().map(|host| live(host)).sum();
    let mut sizes = Vec::new();
    for round in 1..=ROUNDS {
        let uses = names.iter().map(|host| used(host, 2_000 + round, round));
        write_all(&store, vec![snapshot(uses.collect())]).await;
        sizes.push(size(dir.path()));
    }
    // While it is written there are two.
    let most = size(dir.path()) + fs::metadata(path(dir.path())).unwrap().len();
    assert!(
        most <= 4 * live as u64,
        "{most} bytes for {live}: {sizes:?}"
    );
    let (first, last) = (sizes[1], sizes[sizes.len() - 1]);
    assert!(last <= first * 101 / 100, "{sizes:?}");
}

/// Bytes of a record's key and value.
fn live(host: &str) -> usize {
    match record::encode(&Change::External(external("web", host))).unwrap() {
        record::Op::Put { key, value } => key.len() + value.len(),
        record::Op::Delete { .. } => 0,
    }
}
