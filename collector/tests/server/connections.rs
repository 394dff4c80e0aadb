//! Clients that say nothing, half of it, too much, or do not listen.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::mesh::Mesh;
use crate::running::Running;

/// More than the admin port has places for.
const CROWD: usize = 300;

/// Opens a connection that sends this, and reads nothing.
async fn open(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(2_048).expect("a small buffer");
    let mut stream = socket.connect(address).await.expect("a connection");
    // Who does not read cannot send without end either.
    let write = stream.write_all(bytes);
    let _ = tokio::time::timeout(Duration::from_millis(200), write).await;
    stream
}

#[tokio::test]
async fn a_crowd_keeps_nobody_out() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    let whole = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(40);
    for (what, bytes) in [
        ("silent", ""),
        ("half a head", "GET /v1/graph HTTP/1.1\r\nx: "),
        (
            "half a body",
            "POST /v1/graph HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1",
        ),
        ("deaf", &whole),
    ] {
        let crowd = (0..CROWD).map(|_| open(collector.addresses.admin, bytes.as_bytes()));
        let crowd = join_all(crowd).await;
        // A place that nobody gives up is free only after a minute.
        let url = format!("http://{}/readyz", collector.addresses.admin);
        let answer = tokio::time::timeout(Duration::from_secs(15), reqwest::get(url)).await;
        let answer = answer.expect("an answer in time").expect("an answer");
        assert_eq!(answer.status(), 200, "{what}");
        drop(crowd);
    }
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn a_request_that_stops_half_way_is_given_up() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    let half = [
        "GET /livez HTTP/1.1\r\nx: ",
        "POST /v1/resolve HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n1",
    ];
    let ends = half.map(async |bytes| {
        let mut stream = open(collector.addresses.ingest, bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer);
        let end = tokio::time::timeout(Duration::from_secs(8), end).await;
        assert!(end.is_ok(), "still open after {bytes}");
    });
    join_all(ends).await;
    collector.stop().await.expect("a clean end");
}

#[tokio::test]
async fn a_head_has_at_most_64_kib() {
    let mesh = Mesh::new();
    let collector = Running::start(&mesh).await;
    for (kib, status) in [(50, "200"), (66, "431"), (100, "431")] {
        let head = format!(
            "GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n",
            "x".repeat(kib << 10)
        );
        let mut stream = TcpStream::connect(collector.addresses.ingest)
            .await
            .expect("a connection");
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = [0; 12];
        let read = stream.read_exact(&mut answer).await;
        // What is left unread may reset the connection before the answer is read.
        let found = read.map(|_| String::from_utf8_lossy(&answer[9..]).into_owned());
        assert!(
            found.as_deref().is_ok_and(|found| found == status)
                || (found.is_err() && status == "431"),
            "{kib} KiB: {found:?}"
        );
    }
    collector.stop().await.expect("a clean end");
}
