//! Starts Debian's `docker-registry`.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lazymesh_oci::{Digest, Registry, RegistryOptions};

use crate::token_server::TokenServer;

/// bcrypt of `correct horse`, user `robot`.
const HTPASSWD: &str = "robot:$2b$04$o1NGvZt95cfWqklhbaroGO6rBTyUfiOL6SFIRGILXneYcf.rIpPey\n";

pub(crate) struct DockerRegistry {
    process: Child,
    pub(crate) address: SocketAddr,
    dir: tempfile::TempDir,
}

impl DockerRegistry {
    /// A registry whose configuration has `more` besides storage and address. `{dir}` in it is a directory with `files`.
    pub(crate) async fn start(more: &str, files: &[(&str, String)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let at = dir.path().display().to_string();
        for (name, contents) in files {
            fs::write(dir.path().join(name), contents).expect("written");
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let address = free.expect("a free port");
        let more = more.replace("{dir}", &at);
        let configuration = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             http:\n  addr: {address}\n{more}"
        );
        let path = dir.path().join("config.yml");
        fs::write(&path, configuration).expect("written");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).expect("a file"))
            .spawn()
            .expect("docker-registry must be on PATH: apt-get install docker-registry");
        let mut registry = Self {
            process,
            address,
            dir,
        };
        registry.wait().await;
        registry
    }

    /// One that only lets in `robot` with the password `correct horse`.
    pub(crate) async fn with_passwords() -> Self {
        let more = "auth: {htpasswd: {realm: test, path: \"{dir}/htpasswd\"}}\n";
        Self::start(more, &[("htpasswd", HTPASSWD.to_owned())]).await
    }

    /// One that lets in whoever has a token; `robot` gets one, and the identity token `refresh me` is good for one.
    pub(crate) async fn with_tokens() -> Self {
        let server = TokenServer::start("robot", "correct horse", "refresh me").await;
        let more = format!(
            "auth: {{token: {{realm: \"http://{}/token\", service: test, issuer: test, rootcertbundle: \"{{dir}}/ca.pem\"}}}}\n",
            server.address
        );
        Self::start(&more, &[("ca.pem", server.certificate.clone())]).await
    }

    async fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while tokio::net::TcpStream::connect(self.address).await.is_err() {
            let ended = self.process.try_wait().expect("a child");
            let log = || fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "docker-registry: {}",
                log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The file in which the registry keeps a blob.
    pub(crate) fn blob(&self, blob: &Digest) -> PathBuf {
        let hex = blob.hex();
        let blobs = self.dir.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(&hex).join("data")
    }

    pub(crate) fn open(&self, options: RegistryOptions) -> Registry {
        Registry::new(&self.address.to_string(), "lazymesh/filter", options).expect("a client")
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        // Either fails only if the process is gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
