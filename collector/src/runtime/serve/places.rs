//! Gives connections their places, and takes places back from who keeps the collector waiting.
//!
//! Nobody who comes is turned away for those who are there: what is short, connections or memory for input that
//! is not yet a whole request, is taken from the peer that holds most of it. A connection whose request is being
//! worked on keeps its place.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How much there is of what connections share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Most connections.
    pub(crate) connections: usize,
    /// Most bytes of requests that have not arrived as a whole.
    pub(crate) unread: usize,
}

/// All places of a listener.
pub(crate) struct Places {
    room: Room,
    start: Instant,
    unread: AtomicUsize,
    open: Mutex<Open>,
    freed: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: BTreeMap<u64, Arc<Connection>>,
}

/// What is known of one connection.
pub(crate) struct Connection {
    peer: IpAddr,
    places: Arc<Places>,
    /// Whether the client, and not the collector, is to do the next step.
    waiting: AtomicBool,
    /// Since when, in milliseconds since the listener's start.
    since_ms: AtomicU64,
    /// Whether a request of it was answered.
    served: AtomicBool,
    /// Whether its client leaves an answer unread.
    deaf: AtomicBool,
    unread: AtomicUsize,
    taken_back: Notify,
}

/// A place that a connection has until this is dropped.
pub(crate) struct Place {
    id: u64,
    connection: Arc<Connection>,
}

impl Places {
    pub(crate) fn new(room: Room) -> Arc<Self> {
        Arc::new(Self {
            room,
            start: Instant::now(),
            unread: AtomicUsize::new(0),
            open: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// A place for a peer; waits only while a request of every other connection is being worked on.
    pub(crate) async fn take(self: &Arc<Self>, peer: IpAddr) -> Place {
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.try_take(peer) {
                return place;
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let mut open = self.open.lock();
        if open.connections.len() >= self.room.connections {
            let id = open.of_the_largest_crowd()?;
            open.take_back(id);
        }
        let connection = Arc::new(Connection {
            peer: peer.to_canonical(),
            places: Arc::clone(self),
            waiting: AtomicBool::new(true),
            since_ms: AtomicU64::new(self.now_ms()),
            served: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            unread: AtomicUsize::new(0),
            taken_back: Notify::new(),
        });
        let id = open.next;
        open.next += 1;
        open.connections.insert(id, Arc::clone(&connection));
        Some(Place { id, connection })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes places back until what is unread has room.
    fn make_room(&self) {
        while self.unread.load(Ordering::Relaxed) > self.room.unread {
            let mut open = self.open.lock();
            let Some(id) = open.with_most_unread() else {
                return;
            };
            open.take_back(id);
        }
    }
}

impl Open {
    /// Of the peer with the most connections: who is idle after an answer comes last, then who has been waited for longest.
    fn of_the_largest_crowd(&self) -> Option<u64> {
        let mut crowds: HashMap<IpAddr, usize> = HashMap::new();
        for connection in self.connections.values() {
            *crowds.entry(connection.peer).or_default() += 1;
        }
        let waiting = self.waiting();
        let chosen = waiting.min_by_key(|(id, connection)| {
            let crowd = crowds.get(&connection.peer).copied().unwrap_or_default();
            let rests = connection.rests();
            let since_ms = connection.since_ms.load(Ordering::Relaxed);
            (std::cmp::Reverse(crowd), rests, since_ms, **id)
        });
        chosen.map(|(id, _)| *id)
    }

    fn with_most_unread(&self) -> Option<u64> {
        let unread = |connection: &Connection| connection.unread.load(Ordering::Relaxed);
        let largest = self
            .waiting()
            .max_by_key(|(_, connection)| unread(connection))?;
        (unread(largest.1) > 0).then_some(*largest.0)
    }

    fn waiting(&self) -> impl Iterator<Item = (&u64, &Arc<Connection>)> {
        let open = self.connections.iter();
        open.filter(|(_, connection)| connection.waiting.load(Ordering::Relaxed))
    }

    fn take_back(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id) {
            connection.forget_input();
            connection.taken_back.notify_one();
        }
    }
}

impl Connection {
    /// Some bytes of a request have arrived.
    pub(crate) fn received(&self, bytes: usize) {
        if !self.waiting.load(Ordering::Relaxed) {
            return;
        }
        self.unread.fetch_add(bytes, Ordering::Relaxed);
        let total = self.places.unread.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if total > self.places.room.unread {
            self.places.make_room();
        }
    }

    /// Whether part of a request has arrived and the rest has not.
    pub(crate) fn is_half_received(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) && self.unread.load(Ordering::Relaxed) > 0
    }

    /// Whether its client leaves an answer unread.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::Relaxed);
    }

    /// Whether it is idle after an answer that was read.
    fn rests(&self) -> bool {
        self.served.load(Ordering::Relaxed)
            && !self.deaf.load(Ordering::Relaxed)
            && self.unread.load(Ordering::Relaxed) == 0
    }

    /// The whole request has arrived.
    pub(crate) fn working(&self) {
        self.waiting.store(false, Ordering::Relaxed);
        self.forget_input();
    }

    /// The answer is on its way, and it is the client's turn to read it.
    pub(crate) fn answered(&self) {
        self.forget_input();
        self.served.store(true, Ordering::Relaxed);
        self.since_ms.store(self.places.now_ms(), Ordering::Relaxed);
        self.waiting.store(true, Ordering::Relaxed);
        // Somebody may wait for a connection that can be taken back.
        self.places.freed.notify_one();
    }

    fn forget_input(&self) {
        let bytes = self.unread.swap(0, Ordering::Relaxed);
        self.places.unread.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Place {
    pub(crate) fn connection(&self) -> Arc<Connection> {
        Arc::clone(&self.connection)
    }

    /// Ready when the place is another's.
    pub(crate) async fn taken_back(&self) {
        self.connection.taken_back.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = &self.connection.places;
        places.open.lock().connections.remove(&self.id);
        self.connection.forget_input();
        places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const ROOM: Room = Room {
        connections: 3,
        unread: 100,
    };

    fn peer(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn open(places: &Arc<Places>, from: &[u8]) -> Vec<Place> {
        let take = |last: &u8| places.try_take(peer(*last)).expect("a place");
        from.iter().map(take).collect()
    }

    fn lost(places: &[Place]) -> Vec<usize> {
        let lost = |place: &Place| place.taken_back().now_or_never().is_some();
        (0..places.len()).filter(|n| lost(&places[*n])).collect()
    }

    #[track_caller]
    fn check(from: &[u8], change: impl FnOnce(&[Place]), newcomer: u8, expect: Option<usize>) {
        let places = Places::new(ROOM);
        let held = open(&places, from);
        change(&held);
        let place = places.try_take(peer(newcomer));
        assert_eq!(place.is_some(), expect.is_some());
        assert_eq!(lost(&held), expect.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_largest_crowd_gives_a_place() {
        check(&[1, 2, 2], |_| {}, 3, Some(1));
        check(&[1, 2, 2], |_| {}, 2, Some(1));
        check(&[1, 1, 1], |held| held[0].connection.working(), 1, Some(1));
        check(&[1, 1, 1], |held| held[0].connection.answered(), 1, Some(1));
        let deaf = |held: &[Place]| {
            held.iter().for_each(|place| place.connection.answered());
            held[2].connection.set_deaf(true);
        };
        check(&[1, 1, 1], deaf, 1, Some(2));
    }

    #[test]
    fn who_is_worked_for_keeps_the_place() {
        let work = |held: &[Place]| held.iter().for_each(|place| place.connection.working());
        check(&[1, 1, 1], work, 2, None);
    }

    #[test]
    fn what_is_unread_is_bounded_in_total() {
        let places = Places::new(ROOM);
        let held = open(&places, &[1, 1, 2]);
        held[0].connection.received(60);
        held[1].connection.received(30);
        assert_eq!(lost(&held), [0; 0]);
        held[2].connection.received(20);
        assert_eq!(lost(&held), [0]);
        assert_eq!(places.unread.load(Ordering::Relaxed), 50);
        drop(held);
        assert_eq!(places.unread.load(Ordering::Relaxed), 0);
        assert_eq!(places.open.lock().connections.len(), 0);
    }
}
