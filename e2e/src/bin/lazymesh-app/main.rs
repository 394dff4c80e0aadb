//! The application of the lab's pods: a server that says what it was asked, and a client.

mod grpc;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use axum::{
    Json, Router,
    extract::Request,
    http::HeaderMap,
    response::{IntoResponse, Response},
    serve::Listener,
};
use clap::{Args, Parser, Subcommand};
use lazymesh_e2e::lab::{Echo, Reply, Tally};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use serde::Serialize;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::MissedTickBehavior,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How many failures a client of `load` tells in words.
const MOST_FAILURES: usize = 10;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers HTTP/1.1, HTTP/2 and gRPC with the request as JSON, and greets on another port
    Serve {
        #[arg(long, required = true)]
        http: Vec<u16>,
        /// TLS, with a certificate that nobody trusts
        #[arg(long)]
        https: Option<u16>,
        #[arg(long)]
        greeting: u16,
    },
    /// Sends one request; prints the answer as JSON
    Get(Get),
    /// Makes a gRPC call; prints the answer as JSON, or of a stream each message
    Grpc(grpc::Call),
    /// Sends requests until its input ends; prints what became of them as JSON
    Load {
        urls: Vec<String>,
        /// Milliseconds between requests for the same URL
        #[arg(long)]
        every: u64,
        /// A connection for each request
        #[arg(long)]
        fresh: bool,
    },
}

#[derive(Args)]
struct Get {
    url: String,
    /// `name: value`
    #[arg(long)]
    header: Vec<String>,
    #[arg(long, default_value = "GET")]
    method: reqwest::Method,
    #[arg(long, default_value = "")]
    body: String,
    /// HTTP/2 without upgrade
    #[arg(long)]
    h2c: bool,
    /// Trust every certificate
    #[arg(long)]
    insecure: bool,
    /// Seconds until giving up
    #[arg(long, default_value_t = 20)]
    timeout: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // reqwest is built without a provider of its own. This fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse().command {
        Command::Serve {
            http,
            https,
            greeting,
        } => serve(&http, https, greeting).await,
        Command::Get(get) => print(&get.send().await?),
        Command::Grpc(call) => call.make().await,
        Command::Load { urls, every, fresh } => {
            let every = Duration::from_millis(every);
            print(&load(urls, every, fresh).await?)
        }
    }
}

fn print(answer: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(())
}

async fn serve(http: &[u16], https: Option<u16>, greeting: u16) -> Result<()> {
    let pod = std::env::var("POD_NAME").unwrap_or_default();
    tokio::spawn(greet(listen(greeting).await?, pod.clone()));
    let grpc = grpc::Server::new();
    let router = Router::new().fallback(move |request| answer(pod.clone(), grpc.clone(), request));
    if let Some(port) = https {
        let tls = Tls::new(listen(port).await?)?;
        tokio::spawn(axum::serve(tls, router.clone()).into_future());
    }
    for &port in http {
        tokio::spawn(axum::serve(listen(port).await?, router.clone()).into_future());
    }
    // They never end.
    std::future::pending().await
}

async fn answer(pod: String, mut grpc: grpc::Server, request: Request) -> Response {
    let echo = echo(&pod, &request);
    if grpc::is_grpc(&request) {
        return grpc.answer(request, &echo).await;
    }
    Json(echo).into_response()
}

async fn listen(port: u16) -> Result<TcpListener> {
    Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?)
}

/// A listener that speaks TLS.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Tls {
    fn new(listener: TcpListener) -> Result<Self> {
        let own = rcgen::generate_simple_self_signed(["lab".to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)?;
        Ok(Self {
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            // A client that fails is no reason to stop.
            if let Ok((stream, from)) = self.listener.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Asks for each URL again and again, until the standard input ends.
async fn load(urls: Vec<String>, every: Duration, fresh: bool) -> Result<Tally> {
    let (stop, stopped) = watch::channel(false);
    let clients = urls
        .into_iter()
        .map(|url| tokio::spawn(ask_for(url, every, fresh, stopped.clone())));
    let clients: Vec<_> = clients.collect();
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    stop.send(true)?;
    let mut total = Tally::default();
    for client in clients {
        let tally = client.await??;
        total.sent += tally.sent;
        total.failed += tally.failed;
        total.failures.extend(tally.failures);
    }
    Ok(total)
}

async fn ask_for(
    url: String,
    every: Duration,
    fresh: bool,
    stopped: watch::Receiver<bool>,
) -> Result<Tally> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(if fresh { 0 } else { usize::MAX })
        .no_proxy()
        .build()?;
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut tally, start) = (Tally::default(), Instant::now());
    while !*stopped.borrow() {
        ticks.tick().await;
        tally.sent += 1;
        let failure = match client.get(&url).send().await {
            Ok(reply) if reply.status().as_u16() == 200 => continue,
            Ok(reply) => format!(
                "{} {}",
                reply.status(),
                reply.text().await.unwrap_or_default()
            ),
            Err(error) => format!("{:#}", anyhow::Error::from(error)),
        };
        tally.failed += 1;
        if tally.failures.len() < MOST_FAILURES {
            tally.failures.push(format!(
                "{url} after {:.3} s: {failure}",
                start.elapsed().as_secs_f64()
            ));
        }
    }
    Ok(tally)
}

fn echo(pod: &str, request: &Request) -> Echo {
    let headers = joined(request.headers());
    let authority = request.uri().authority().map(ToString::to_string);
    Echo {
        pod: pod.to_owned(),
        version: format!("{:?}", request.version()),
        method: request.method().to_string(),
        path: request
            .uri()
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        authority: authority
            .or_else(|| headers.get("host").cloned())
            .unwrap_or_default(),
        headers,
    }
}

fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.to_string())
            .and_modify(|all| *all = format!("{all},{value}"))
            .or_insert_with(|| value.into_owned());
    }
    joined
}

/// Says `hello from POD` to everybody who connects, and hangs up.
async fn greet(listener: TcpListener, pod: String) {
    while let Ok((mut stream, _)) = listener.accept().await {
        // Whoever is gone already misses the greeting.
        let _ = stream
            .write_all(format!("hello from {pod}\n").as_bytes())
            .await;
    }
}

impl Get {
    async fn send(self) -> Result<Reply> {
        let mut client = reqwest::Client::builder()
            .timeout(Duration::from_secs(self.timeout))
            .danger_accept_invalid_certs(self.insecure)
            .no_proxy();
        if self.h2c {
            client = client.http2_prior_knowledge();
        }
        let mut request = client
            .build()?
            .request(self.method, &self.url)
            .body(self.body);
        for header in &self.header {
            let (name, value) = header
                .split_once(": ")
                .context("a header is `name: value`")?;
            request = request.header(name, value);
        }
        let start = Instant::now();
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = joined(response.headers());
        let body = response.text().await?;
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        Ok(Reply {
            status,
            headers,
            body,
            milliseconds,
        })
    }
}
