//! The application of the lab's pods: a server that says what it was asked, and a client.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use axum::{Json, Router, extract::Request, http::HeaderMap};
use clap::{Args, Parser, Subcommand};
use lazymesh_e2e::lab::{Echo, Reply};
use tokio::{io::AsyncWriteExt, net::TcpListener};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers HTTP/1.1 and HTTP/2 with the request as JSON, and greets on another port
    Serve {
        #[arg(long)]
        http: u16,
        #[arg(long)]
        greeting: u16,
    },
    /// Sends one request; prints the answer as JSON
    Get(Get),
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
    /// Seconds until giving up
    #[arg(long, default_value_t = 20)]
    timeout: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // reqwest is built without a provider of its own. This fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Cli::parse().command {
        Command::Serve { http, greeting } => serve(http, greeting).await,
        Command::Get(get) => {
            println!("{}", serde_json::to_string(&get.send().await?)?);
            Ok(())
        }
    }
}

async fn serve(http: u16, greeting: u16) -> Result<()> {
    let pod = std::env::var("POD_NAME").unwrap_or_default();
    let greetings = TcpListener::bind((Ipv4Addr::UNSPECIFIED, greeting)).await?;
    tokio::spawn(greet(greetings, pod.clone()));
    let router = Router::new().fallback(async move |request: Request| Json(echo(&pod, &request)));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, http)).await?;
    axum::serve(listener, router).await?;
    Ok(())
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
