//! What happens is streamed by a collector that runs.

use reqwest::Response;

use crate::mesh::Mesh;
use crate::running::{Running, until};

/// A stream, and what came of it so far.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn of(collector: &Running) -> Self {
        let response = ask(collector).await;
        assert_eq!(response.status(), 200);
        let text = String::new();
        Self { response, text }
    }

    /// Reads until something was told.
    async fn tells(&mut self, what: &str) {
        while !self.text.contains(what) {
            let chunk = self.response.chunk().await.expect("a chunk");
            let chunk = chunk.unwrap_or_else(|| panic!("{what} was not told: {}", self.text));
            self.text += &String::from_utf8_lossy(&chunk);
        }
    }
}

async fn ask(collector: &Running) -> Response {
    let url = format!("http://{}/v1/events", collector.addresses.admin);
    reqwest::get(url).await.expect("an answer")
}

#[tokio::test]
async fn who_follows_hears_what_was_learned_and_published() {
    let mesh = Mesh::new();
    mesh.run_pod("shop", Some("web"));
    let collector = Running::start(&mesh).await;
    let mut stream = Stream::of(&collector).await;
    collector.resolve("web", "reviews").await;
    stream
        .tells("\"host\":\"shop/reviews.shop.svc.cluster.local\"")
        .await;
    stream
        .tells("\"sidecar\":\"shop/lazymesh-web\",\"count\":3")
        .await;
    mesh.run_pod("shop", None);
    mesh.label_shop("learn");
    stream.tells("\"kind\":\"withdrawn\"").await;
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_the_collector() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(Stream::of(&collector).await);
    }
    assert_eq!(ask(&collector).await.status(), 503);
    streams.pop();
    until("there is room again", async || {
        ask(&collector).await.status() == 200
    })
    .await;
    collector.stop().await.expect("a clean end");
    for mut stream in streams {
        while let Some(_rest) = stream.response.chunk().await.expect("an end") {}
    }
}
