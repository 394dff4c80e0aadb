//! Bounds what streams have sent of messages that are not whole yet: the memory of all together, and how long one takes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::Frame;
use parking_lot::Mutex;
use thiserror::Error;

/// Most bytes of all streams together, beside what each may have.
const MOST: usize = 32 << 20;
/// What each stream may have whatever others do: as much as Envoy gathers.
const OWN: usize = 16 * 1024;
/// Longest from the first byte of a message to its last.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all streams have sent.
#[derive(Default)]
pub(super) struct Unread {
    bytes: Mutex<usize>,
}

/// What one stream has sent, which is given back when this is dropped.
pub(super) struct Share {
    all: Arc<Unread>,
    own: Mutex<Own>,
}

#[derive(Default)]
struct Own {
    bytes: usize,
    since: Option<Instant>,
}

/// Streams have sent as much as there is memory for.
#[derive(Debug, Error)]
#[error("messages that are not whole have at most {MOST} bytes in all; send smaller ones")]
struct TooMuch;

impl Share {
    pub(super) fn of(all: &Arc<Unread>) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::clone(all),
            own: Mutex::default(),
        })
    }

    /// Counts what has come, if there is room for it.
    fn add(&self, bytes: usize, now: Instant) -> Result<(), TooMuch> {
        let (mut own, mut all) = (self.own.lock(), self.all.bytes.lock());
        if own.bytes + bytes > OWN && *all + bytes > MOST {
            return Err(TooMuch);
        }
        own.bytes += bytes;
        own.since.get_or_insert(now);
        *all += bytes;
        Ok(())
    }

    /// A message is whole.
    pub(super) fn clear(&self) {
        let own = std::mem::take(&mut *self.own.lock());
        *self.all.bytes.lock() -= own.bytes;
    }

    /// Whether a message has been on its way for too long.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        let since = self.own.lock().since;
        since.is_some_and(|since| now.saturating_duration_since(since) > PATIENCE)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A body that is counted.
pub(super) struct Counted {
    pub(super) body: Body,
    pub(super) share: Arc<Share>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame);
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let room = self.share.add(bytes, Instant::now());
        Poll::Ready(Some(room.map(|()| frame).map_err(axum::Error::new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_streams_share_what_is_more_than_each_may_have() {
        let (all, now) = (Arc::<Unread>::default(), Instant::now());
        let large: Vec<_> = (0..512).map(|_| Share::of(&all)).collect();
        for share in &large {
            assert!(share.add(MOST / 512, now).is_ok());
        }
        assert!(large[0].add(1, now).is_err());
        let small = Share::of(&all);
        assert!(small.add(OWN, now).is_ok(), "its own");
        assert!(small.add(1, now).is_err());
        drop(large);
        assert!(small.add(1, now).is_ok());
        drop(small);
        assert_eq!(*all.bytes.lock(), 0);
    }

    #[test]
    fn a_message_that_is_not_whole_in_time_is_late() {
        let (share, now) = (Share::of(&Arc::default()), Instant::now());
        let later = now + PATIENCE + Duration::from_secs(1);
        assert!(!share.is_late(later), "nothing has come");
        assert!(share.add(1, now).is_ok() && share.add(1, later).is_ok());
        assert!(!share.is_late(now + PATIENCE));
        assert!(share.is_late(later), "from its first byte on");
        share.clear();
        assert!(!share.is_late(later));
    }
}
