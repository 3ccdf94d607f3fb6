//! TLS in front of the gateway, with certificates made by `openssl` and clients that check them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use qmoor_plan::access::Role;
use qmoor_plan::config::TlsFiles;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::LONG;
use crate::node::{self, Node, Process, program};

fn run(program: &str, args: &[&str]) -> Output {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    output.unwrap_or_else(|error| panic!("{program} (a Debian package of ./test): {error}"))
}

/// A certificate for 127.0.0.1 that is its own root.
fn certificate(dir: &Path, name: &str) -> TlsFiles {
    let path = |kind: &str| dir.join(format!("{name}.{kind}"));
    let (cert, key) = (path("crt"), path("key"));
    // No root of others, as the certificates of servers are.
    let config = path("cnf");
    let text = "[req]\ndistinguished_name = dn\n[dn]\n[leaf]\nsubjectAltName = IP:127.0.0.1\n\
                basicConstraints = critical, CA:FALSE\n";
    std::fs::write(&config, text).unwrap();
    let subject = format!("/CN={name}");
    let asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -extensions leaf";
    let mut args: Vec<&str> = asked.split(' ').collect();
    args.extend(["-subj", &subject, "-config", config.to_str().unwrap()]);
    args.extend(["-keyout", key.to_str().unwrap(), "-out", cert.to_str().unwrap()]);
    let made = run("openssl", &args);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    mode(&key, "600");
    TlsFiles { cert, key }
}

fn mode(path: &Path, mode: &str) {
    assert!(run("chmod", &[mode, path.to_str().unwrap()]).status.success());
}

/// Puts a pair in the place of another, as a tool for certificates does.
fn replace(from: &TlsFiles, to: &TlsFiles) {
    for (from, to) in [(&from.key, &to.key), (&from.cert, &to.cert)] {
        let beside: PathBuf = to.with_extension("new");
        std::fs::copy(from, &beside).unwrap();
        std::fs::rename(beside, to).unwrap();
    }
}

fn settings(files: &TlsFiles) -> String {
    format!("[gateway]\ntls_cert = {:?}\ntls_key = {:?}\n", files.cert, files.key)
}

/// Status and protocol of a request by `curl`, which trusts this certificate alone.
async fn curl(url: String, root: &Path, key: &str, more: &[&str]) -> Result<String, String> {
    let mut args = vec!["--silent", "--show-error", "--max-time", "20", "--output", "/dev/null"];
    let root = root.to_str().unwrap().to_owned();
    let header = format!("api-key: {key}");
    args.extend([
        "--cacert",
        &root,
        "--header",
        &header,
        "--write-out",
        "%{http_code} %{http_version}",
    ]);
    args.extend(more);
    args.push(&url);
    let output = tokio::process::Command::new("curl").args(args).output().await.unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[tokio::test]
async fn rest_and_grpc_come_through_tls_and_plain_text_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path(), "first");
    let other = certificate(dir.path(), "other");
    let mut agent = Process::start_with(dir.path(), &settings(&files)).await;
    let url = format!("https://{}/collections", agent.http);
    let key = agent.index_key.clone();
    assert_eq!(curl(url.clone(), &files.cert, &key, &["--http1.1"]).await.unwrap(), "200 1.1");
    assert_eq!(curl(url.clone(), &files.cert, &key, &["--http2"]).await.unwrap(), "200 2");
    assert_eq!(curl(url.clone(), &files.cert, "wrong", &[]).await.unwrap(), "401 2");
    assert_eq!(curl(url.clone(), &files.cert, &key, &["--tls-max", "1.2"]).await.unwrap(), "200 2");
    let old = curl(url.clone(), &files.cert, &key, &["--tls-max", "1.1"]).await.unwrap_err();
    assert!(!old.is_empty());
    let untrusted = curl(url.clone(), &other.cert, &key, &[]).await.unwrap_err();
    assert!(untrusted.contains("certificate"), "{untrusted}");

    // The bulk writer is a gRPC client.
    std::fs::write(
        dir.path().join("ships.jsonl"),
        "{\"id\": \"a\", \"text\": \"A ship at rest\"}\n",
    )
    .unwrap();
    for address in [agent.http, agent.grpc] {
        let indexed = tokio::process::Command::new(program())
            .args(["index", "ships.jsonl", "-c", "ships", "--url", &format!("https://{address}")])
            .current_dir(dir.path())
            .env("SSL_CERT_FILE", &files.cert)
            .env("QMOOR_KEY", &key)
            .output()
            .await
            .unwrap();
        assert!(indexed.status.success(), "{}", String::from_utf8_lossy(&indexed.stderr));
    }

    for plain in [
        &b"GET /collections HTTP/1.1\r\nhost: x\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        let mut stream = TcpStream::connect(agent.http).await.unwrap();
        stream.write_all(plain).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nthis port speaks TLS: use https://\n"), "{answer}");
        let length = answer.split("\r\n\r\n").nth(1).unwrap().len();
        assert!(answer.contains(&format!("content-length: {length}\r\n")), "{answer}");
    }
    agent.kill().await;
}

#[tokio::test]
async fn the_page_of_metrics_says_when_the_certificate_ends() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path(), "two-days");
    let mut agent = Process::start_with(dir.path(), &settings(&files)).await;
    let key = agent.control().session_key(Role::Admin).await.unwrap().key;
    let output = tokio::process::Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--cacert"])
        .arg(&files.cert)
        .args(["--header", &format!("api-key: {key}")])
        .arg(format!("https://{}/qmoor/metrics", agent.http))
        .output()
        .await
        .unwrap();
    let page = String::from_utf8(output.stdout).unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("qmoor_tls_certificate_days_left "));
    let days: f64 = line.unwrap_or_else(|| panic!("{page}")).parse().unwrap();
    assert!((1.9..=2.0).contains(&days), "{days}");
    agent.kill().await;
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_a_restart_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path(), "used");
    let first = dir.path().join("first.crt");
    std::fs::copy(&files.cert, &first).unwrap();
    let second = certificate(dir.path(), "second");
    let mut agent = Process::start_with(dir.path(), &settings(&files)).await;
    let url = format!("https://{}/collections", agent.http);
    let key = agent.index_key.clone();
    let mut open = tokio::process::Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_quiet", "-connect", &agent.http.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut to, mut from) = (open.stdin.take().unwrap(), open.stdout.take().unwrap());
    let mut ask = async || {
        let request =
            format!("GET /collections/none/exists HTTP/1.1\r\nhost: x\r\napi-key: {key}\r\n\r\n");
        to.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") || answer.iter().filter(|byte| **byte == b'{').count() < 2 {
            answer.push(tokio::time::timeout(LONG, from.read_u8()).await.unwrap().unwrap());
        }
        String::from_utf8(answer).unwrap()
    };
    assert!(ask().await.starts_with("HTTP/1.1 200"));
    assert_eq!(curl(url.clone(), &first, &key, &[]).await.unwrap(), "200 2");

    replace(&second, &files);
    let taken = async { while curl(url.clone(), &second.cert, &key, &[]).await.is_err() {} };
    tokio::time::timeout(LONG, taken).await.expect("the new certificate is not taken");
    curl(url.clone(), &first, &key, &[]).await.unwrap_err();
    assert!(ask().await.contains("HTTP/1.1 200"), "an open connection was cut");

    let log = dir.path().join("agent.log");
    let said = async |times: usize| {
        let waited = async {
            while std::fs::read_to_string(&log).unwrap().matches("is not used").count() < times {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(LONG, waited).await.expect("the broken certificate is not noticed");
    };
    std::fs::write(&files.cert, "no certificate").unwrap();
    said(1).await;
    assert_eq!(curl(url.clone(), &second.cert, &key, &[]).await.unwrap(), "200 2");
    std::fs::copy(&first, &files.cert).unwrap();
    said(2).await;
    assert_eq!(curl(url.clone(), &second.cert, &key, &[]).await.unwrap(), "200 2");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("does not belong to"), "{text}");
    agent.kill().await;
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let right = certificate(dir.path(), "right");
    let other = certificate(dir.path(), "other");
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    mode(&empty, "600");
    let missing = dir.path().join("missing.pem");
    let open = dir.path().join("open.key");
    std::fs::copy(&right.key, &open).unwrap();
    mode(&open, "644");
    let cases = [
        (&missing, &right.key, "cannot read"),
        (&right.cert, &missing, "cannot read"),
        (&right.cert, &open, "can be read by everybody on this host (hint: chmod o-rwx"),
        (&empty, &right.key, "holds no certificate"),
        (&right.key, &right.key, "holds no certificate"),
        (&right.cert, &empty, "holds no private key"),
        (&right.cert, &other.key, "does not belong to"),
    ];
    for (cert, key, said) in cases {
        let node_dir = tempfile::tempdir().unwrap();
        let mut config = node::config(node_dir.path());
        config.gateway.tls_cert = Some(cert.clone());
        config.gateway.tls_key = Some(key.clone());
        let error = node::serve_once(config).await.unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut_and_has_a_place_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = node::config(dir.path());
    let files = certificate(dir.path(), "tls");
    (config.gateway.tls_cert, config.gateway.tls_key) = (Some(files.cert), Some(files.key));
    config.gateway.max_connections = 2;
    let node = Node::start_in(dir, config).await;
    let begun = Instant::now();
    let mut silent = TcpStream::connect(node.http).await.unwrap();
    let mut half = TcpStream::connect(node.http).await.unwrap();
    // A handshake record that does not go on.
    half.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
    let mut third = TcpStream::connect(node.http).await.unwrap();
    third.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LONG, third.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    // The header timeout: before it both places were taken.
    assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
    for stream in [&mut silent, &mut half] {
        let mut rest = Vec::new();
        tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await.expect("still open").ok();
    }
    node.stop().await;
}
