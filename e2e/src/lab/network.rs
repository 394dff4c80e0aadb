//! Links and addresses of the lab.
//!
//! One link leads from the machine to the node; it is all that can be seen from outside. Every pod has a link of its
//! own to the node, without a bridge, so that all its packets pass the node's packet filter, where kube-proxy works.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, sync::oneshot};

use super::sandbox::Sandbox;

/// What the pods of every lab have addresses in.
pub(super) const PODS: &str = "10.244.0.0/16";
/// Cluster IPs.
pub(super) const SERVICES: &str = "10.96.0.0/16";
/// The name server's cluster IP.
pub(super) const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// kube-apiserver's cluster IP, which it gives itself.
pub(super) const KUBERNETES: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Every pod's gateway: the node's end of the pod's link.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// Links to nodes are /30 networks in 100.64.0.0/16, which is set aside for such uses.
const UPLINKS: u16 = 1 << 14;

/// The link between the machine and a lab's node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Uplink {
    name: String,
    /// The node's address.
    pub(super) node: Ipv4Addr,
}

impl Uplink {
    /// Links `node` to the machine, with addresses that no other lab has.
    pub(super) fn create(node: &Sandbox) -> Result<Self> {
        // Labs that start at the same time must not choose the same addresses.
        // A folder can be locked as well as a file, and is nothing to clean up.
        let lock = File::open(std::env::temp_dir())?;
        lock.lock()?;
        let taken = run(Command::new("ip").args(["-4", "-oneline", "address"]), "")?;
        let (index, machine) = (0..UPLINKS)
            .map(|index| (index, uplink_address(index, 1)))
            .find(|(_, address)| !taken.contains(&format!(" {address}/")))
            .context("every address for a lab is taken")?;
        let (name, node_address) = (format!("lm{index}"), uplink_address(index, 2));
        batch(
            Command::new("ip"),
            &format!(
                "link add {name} type veth peer name uplink netns {}\n\
                 address add {machine}/30 dev {name}\n\
                 link set {name} up\n",
                node.pid()
            ),
        )?;
        batch(
            node.network_command("ip"),
            &format!(
                "link set lo up\n\
                 address add {node_address}/30 dev uplink\n\
                 link set uplink up\n\
                 route add {SERVICES} dev uplink\n"
            ),
        )?;
        let mut forward = node.command("sh");
        run(
            forward.args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]),
            "",
        )?;
        Ok(Self {
            name,
            node: node_address,
        })
    }

    /// Takes the link away, if it did not go with the node yet.
    pub(super) fn remove(&self) -> Result<()> {
        if Path::new("/sys/class/net").join(&self.name).exists() {
            // The kernel may be quicker.
            let _ = Command::new("ip")
                .args(["link", "delete", &self.name])
                .output()?;
        }
        Ok(())
    }
}

fn uplink_address(index: u16, host: u16) -> Ipv4Addr {
    let [third, fourth] = (index * 4 + host).to_be_bytes();
    Ipv4Addr::new(100, 64, third, fourth)
}

/// Addresses of what is linked to the node: the first half is fixed, the second counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    first: [u8; 2],
    /// Start of the names of the links.
    name: &'static str,
}

/// Pods.
pub(super) const POD_RANGE: Range = Range {
    first: [10, 244],
    name: "pod",
};
/// Hosts outside the cluster, in a range that is set aside for tests.
pub(super) const EXTERNAL_RANGE: Range = Range {
    first: [198, 18],
    name: "ext",
};

impl Range {
    /// Takes an address that nothing in the lab has or had. `folder` remembers which were taken.
    pub(super) fn take(self, folder: &Path) -> Result<Ipv4Addr> {
        fs::create_dir_all(folder)?;
        let [a, b] = self.first;
        for number in 1..=u16::MAX - 1 {
            let [c, d] = number.to_be_bytes();
            let address = Ipv4Addr::new(a, b, c, d);
            match File::create_new(folder.join(address.to_string())) {
                Ok(_) => return Ok(address),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
        bail!("every address is taken")
    }

    /// Links `sandbox` to `node`, whose packets to it come `from` that address.
    pub(super) fn link(
        self,
        node: &Sandbox,
        from: Ipv4Addr,
        sandbox: &Sandbox,
        address: Ipv4Addr,
    ) -> Result<()> {
        let [.., third, fourth] = address.octets();
        let name = format!("{}{third}.{fourth}", self.name);
        batch(
            node.network_command("ip"),
            &format!(
                "link add {name} type veth peer name eth0 netns {}\n\
                 address add {GATEWAY}/32 dev {name}\n\
                 link set {name} up\n\
                 route add {address}/32 dev {name} src {from}\n",
                sandbox.pid()
            ),
        )?;
        batch(
            sandbox.network_command("ip"),
            &format!(
                "link set lo up\n\
                 address add {address}/32 dev eth0\n\
                 link set eth0 up\n\
                 route add {GATEWAY} dev eth0 scope link\n\
                 route add default via {GATEWAY}\n"
            ),
        )
    }
}

/// Runs one `ip` for many changes.
fn batch(mut ip: Command, changes: &str) -> Result<()> {
    run(ip.args(["-batch", "-"]), changes).map(drop)
}

/// Runs a short command to its end and gives its output.
pub(super) fn run(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    ensure!(
        output.status.success(),
        "{command:?} failed ({}): {}\n{input}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Connects as a process inside `sandbox` would. The connection can then be used anywhere.
pub(super) async fn connect(sandbox: &Sandbox, to: SocketAddr) -> Result<TcpStream> {
    let network = sandbox.network();
    let (send, receive) = oneshot::channel();
    // A thread of its own, because a thread that moved into a namespace is good for nothing else.
    thread::spawn(move || send.send(connect_from(&network, to)));
    let stream = receive.await.context("the connecting thread died")??;
    Ok(TcpStream::from_std(stream)?)
}

fn connect_from(network: &Path, to: SocketAddr) -> Result<std::net::TcpStream> {
    let namespace = File::open(network)?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    let stream = std::net::TcpStream::connect(to)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}
