use lazymesh_collector::store::StoreError;
use lazymesh_collector::{Server, ServerError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mesh::Mesh;
use crate::running::{Running, config, until};

#[tokio::test]
async fn requests_in_flight_finish_before_it_stops() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    let ingest = collector.addresses.ingest;
    let body = r#"{"source":{"namespace":"shop","workload":"web"},"authority":"reviews","protocol":"http"}"#;
    let (first, second) = body.split_at(20);
    let head = format!(
        "POST /v1/resolve HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{first}",
        body.len()
    );
    let mut stream = TcpStream::connect(ingest).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("written");
    // A second connection that is answered means that the first was accepted.
    collector.resolve("other", "reviews").await;

    let ended = collector.ask_to_stop();
    until("nothing more is accepted", async || {
        TcpStream::connect(ingest).await.is_err()
    })
    .await;
    stream.write_all(second.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("an answer, then the end");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    ended.await.expect("no panic").expect("a clean end");

    let collector = Running::start(&mesh).await;
    assert_eq!(
        collector.get("/v1/workloads/shop/web").await["dependencies"],
        1
    );
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn one_data_directory_serves_one_collector() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    let file = mesh.path("addresses");
    let flag = format!("--address-file={}", file.display());
    let second = Server::start(config(&mesh, &[&flag]))
        .await
        .err()
        .expect("a refusal");
    assert!(!file.exists(), "the first one's file would be overwritten");
    assert!(
        matches!(second, ServerError::Store(StoreError::Locked { .. })),
        "{second}"
    );
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn one_directory_of_sidecars_has_one_collector() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    let elsewhere = format!("--data-dir={}", mesh.path("other").display());
    let second = Server::start(config(&mesh, &[&elsewhere])).await.err();
    let second = second.expect("a refusal").to_string();
    assert!(second.contains("another collector"), "{second}");
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn manifests_that_cannot_be_read_end_it() {
    let mesh = Mesh::new();
    std::fs::remove_dir_all(mesh.path("manifests")).expect("a directory");
    let server = Server::start(config(&mesh, &[])).await.expect("it starts");
    let error = server
        .run(std::future::pending())
        .await
        .expect_err("an end");
    assert!(error.to_string().contains("manifests"), "{error}");
}
