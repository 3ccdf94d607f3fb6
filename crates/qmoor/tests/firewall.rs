//! The rules that `qmoor render firewall` prints, loaded in network namespaces of the test's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use std::process::{Child, Command, Stdio};

fn output(program: &str, arguments: &[&str]) -> String {
    let ended = Command::new(program).args(arguments).output().unwrap();
    assert!(
        ended.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    String::from_utf8(ended.stdout).unwrap()
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let quiet =
        Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Three hosts: a node, with a container behind it, and two clients.
struct Net {
    prefix: String,
    servers: Vec<Child>,
}

impl Net {
    fn or_skip() -> Option<Self> {
        let prefix = format!("qm{:x}", std::process::id());
        if !works("ip", &["netns", "add", &format!("{prefix}n")]) || !works("nft", &["--version"]) {
            eprintln!("SKIPPED: no network namespaces or no nft, so the firewall was not tried");
            return None;
        }
        let net = Self { prefix, servers: Vec::new() };
        for name in ["a", "b", "c"] {
            output("ip", &["netns", "add", &net.host(name)]);
        }
        for (name, inside) in [("a", "10.7.1.2"), ("b", "10.7.2.2"), ("c", "10.7.3.2")] {
            let (near, far) = (format!("v{name}n"), format!("v{name}"));
            let node = net.host("n");
            output(
                "ip",
                &[
                    "-n",
                    &node,
                    "link",
                    "add",
                    &near,
                    "type",
                    "veth",
                    "peer",
                    "name",
                    &far,
                    "netns",
                    &net.host(name),
                ],
            );
            let gateway = format!("{}1", inside.trim_end_matches('2'));
            net.on("n", &["ip", "addr", "add", &format!("{gateway}/24"), "dev", &near]);
            net.on("n", &["ip", "link", "set", &near, "up"]);
            net.on(name, &["ip", "addr", "add", &format!("{inside}/24"), "dev", &far]);
            net.on(name, &["ip", "link", "set", &far, "up"]);
            net.on(name, &["ip", "route", "add", "default", "via", &gateway]);
        }
        net.on("n", &["ip", "link", "set", "lo", "up"]);
        net.on("n", &["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
        Some(net)
    }

    fn host(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn on(&self, name: &str, command: &[&str]) -> String {
        let host = self.host(name);
        output("ip", &[&["netns", "exec", &host], command].concat())
    }

    /// A server that answers each connection with a line.
    fn serve(&mut self, name: &str, port: u16) {
        let program = format!(
            "import socketserver\n\
             class Hello(socketserver.BaseRequestHandler):\n    \
                 def handle(self): self.request.sendall(b'hello')\n\
             server = socketserver.TCPServer(('0.0.0.0', {port}), Hello)\n\
             print('up', flush=True)\n\
             server.serve_forever()"
        );
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.host(name), "python3", "-c", &program])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0; 2];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        self.servers.push(child);
    }

    /// Whether one host reaches a port of the node.
    fn reaches(&self, name: &str, address: &str, port: u16) -> bool {
        let program = format!(
            "import socket; assert socket.create_connection(('{address}', {port}), 1).recv(5) == b'hello'"
        );
        works("ip", &["netns", "exec", &self.host(name), "python3", "-c", &program])
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for server in &mut self.servers {
            drop(server.kill());
            drop(server.wait());
        }
        for name in ["n", "a", "b", "c"] {
            works("ip", &["netns", "del", &self.host(name)]);
        }
    }
}

#[test]
fn only_the_networks_that_are_allowed_reach_the_ports_published_by_docker_or_not() {
    let Some(mut net) = Net::or_skip() else { return };
    net.serve("n", 6333);
    net.serve("n", 6335);
    net.serve("n", 8080);
    net.serve("c", 6334);
    // What Docker does for a published port: translated before any input rule, and forwarded.
    let publish = "table ip nat { chain pre { type nat hook prerouting priority -100; \
                   iifname != \"vcn\" tcp dport 6334 dnat to 10.7.3.2:6334; }; }";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rules");
    let load = |text: &str| {
        std::fs::write(&file, text).unwrap();
        net.on("n", &["nft", "-f", file.to_str().unwrap()]);
    };
    load(publish);
    for (name, address) in [("a", "10.7.1.1"), ("b", "10.7.2.1")] {
        for port in [6333, 6334, 6335, 8080] {
            assert!(net.reaches(name, address, port), "without rules {name} reaches {port}");
        }
    }
    let program = env!("CARGO_BIN_EXE_qmoor");
    let rendered = Command::new(program)
        .args(["render", "firewall", "--allow", "10.7.1.0/24", "--allow", "fd00::/8"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(rendered.status.success());
    let rules = String::from_utf8(rendered.stdout).unwrap();
    // Twice, as at a second boot.
    load(&rules);
    load(&rules);
    for (port, allowed) in [(6333, true), (6334, true), (6335, false), (8080, true)] {
        assert_eq!(net.reaches("a", "10.7.1.1", port), allowed, "the allowed client and {port}");
    }
    for (port, allowed) in [(6333, false), (6334, false), (6335, false), (8080, true)] {
        assert_eq!(net.reaches("b", "10.7.2.1", port), allowed, "the other client and {port}");
    }
    assert!(net.reaches("n", "127.0.0.1", 6333), "the host itself");
}
