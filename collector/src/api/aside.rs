//! Does what may take long beside the threads that answer filters.

use tokio::task::spawn_blocking;

use crate::api::problem::{Kind, Problem};

/// Has another thread do the work, which may wait for its turn to read.
///
/// # Errors
/// The work's own, or that it has failed.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "an answer could not be made");
        Err(Problem::new(
            Kind::Internal,
            "the answer could not be made; the collector's log says why",
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use lazymesh_core::{Graph, Inventory, Limits, Mesh, Policy};
    use tokio::task::yield_now;

    use super::*;
    use crate::state::{SharedView, View};

    /// On the one thread of this test a handler that read the view itself would never let it go on.
    #[tokio::test]
    async fn who_reads_waits_for_its_turn_and_holds_up_nobody() {
        let view = Arc::new(SharedView::new(View {
            inventory: Inventory::new(Mesh::default()),
            graph: Graph::new(Limits::default()),
            policy: Policy::default(),
        }));
        let ((taken, is_taken), (done, is_done)) = (channel(), channel::<()>());
        let other = Arc::clone(&view);
        let reader = thread::spawn(move || {
            let _turn = other.turn();
            taken.send(()).expect("the test waits");
            let _ = is_done.recv();
        });
        is_taken.recv().expect("the turn is taken");
        let read = Arc::clone(&view);
        let second = tokio::spawn(aside(move || {
            let _turn = read.turn();
            Ok(read.look().graph.dependency_count())
        }));
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!second.is_finished());
        view.change(|view| view.policy.off = true);
        drop(done);
        let count = second.await.expect("it ends");
        assert_eq!(count.expect("no problem"), 0);
        reader.join().expect("it ends");
    }
}
