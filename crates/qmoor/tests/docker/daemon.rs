//! A Docker engine of the test's own, which may be restarted in the middle of things.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use qmoor_agent::backup::BackupRequest;
use qmoor_plan::manifest::Grade;

use crate::host::{Agent, Place, output, ready, signal, stand_in, until};

/// `dockerd` with everything of its own, and a bridge of its own.
struct Daemon {
    dir: tempfile::TempDir,
    bridge: String,
    process: Child,
}

impl Daemon {
    /// Nothing if this host has no `dockerd` that could be started.
    async fn start() -> Option<Self> {
        let there = Command::new("dockerd").arg("--version").stdout(Stdio::null()).status();
        let is_root = output(Command::new("id").arg("-u")) == "0";
        if !is_root || !there.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no dockerd that this test may start");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let number: u8 = rand::random();
        let bridge = format!("qmt{number}");
        output(Command::new("ip").args(["link", "add", "name", &bridge, "type", "bridge"]));
        let address = format!("172.30.{number}.1/24");
        output(Command::new("ip").args(["addr", "add", &address, "dev", &bridge]));
        output(Command::new("ip").args(["link", "set", &bridge, "up"]));
        let process = Self::run(dir.path(), &bridge);
        let daemon = Self { dir, bridge, process };
        daemon.answers().await;
        Some(daemon)
    }

    fn run(dir: &Path, bridge: &str) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let at = |name: &str| dir.join(name).to_string_lossy().into_owned();
        // The host's own settings are for its own daemon.
        std::fs::write(dir.join("config.json"), "{}").unwrap();
        let driver = output(Command::new("docker").args(["info", "-f", "{{.Driver}}"]));
        Command::new("dockerd")
            .args([
                "--config-file",
                &at("config.json"),
                "--data-root",
                &at("data"),
                "--exec-root",
                &at("exec"),
            ])
            .args(["--pidfile", &at("pid"), "--host", &format!("unix://{}", at("docker.sock"))])
            .args([
                "--storage-driver",
                &driver,
                "--bridge",
                bridge,
                "--iptables=false",
                "--ip-forward=false",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    fn docker(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.arg("-H").arg(format!("unix://{}", self.socket().display())).args(arguments);
        command
    }

    async fn answers(&self) {
        let info = async || {
            let mut info = self.docker(&["info"]);
            let quiet = info.stdout(Stdio::null()).stderr(Stdio::null());
            quiet.status().unwrap().success().then_some(())
        };
        until("the private daemon answers", info).await;
    }

    /// Ends the daemon in order, and with it its containers, and starts it again.
    async fn restart(&mut self) {
        self.end();
        self.process = Self::run(self.dir.path(), &self.bridge);
        self.answers().await;
    }

    fn end(&mut self) {
        signal(self.process.id(), "TERM");
        self.process.wait().unwrap();
    }

    fn load(&self, image: &str) {
        let mut save =
            Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().unwrap();
        output(self.docker(&["load", "-q"]).stdin(save.stdout.take().unwrap()));
        assert!(save.wait().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
        let removed = Command::new("ip").args(["link", "del", &self.bridge]).status();
        assert!(removed.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_restarted_in_the_middle_of_a_backup_or_between_is_outlived() {
    if !ready() {
        return;
    }
    let Some(mut daemon) = Daemon::start().await else { return };
    daemon.load(&stand_in("v1.19.0"));
    let place = Place::on(&daemon.socket().to_string_lossy());
    place.configure(&stand_in("v1.19.0"), "");
    let agent = Agent::start(&place, None).await;
    agent.fill(100).await;

    // Between backups: its containers end with it, and the engine comes back.
    daemon.restart().await;
    agent.points_back(100).await;
    assert_eq!(agent.backup(&BackupRequest::default()).await.unwrap().grade, Grade::Clean);

    // While the snapshot is taken, and while the engine is to stop: whatever becomes of the backup, the service is back.
    for step in ["snapshot", "stop", "start"] {
        let begun = AtomicBool::new(false);
        let (seen, told) = tokio::sync::oneshot::channel();
        let mut seen = Some(seen);
        let request = BackupRequest::default();
        let made = agent.control.backup(&request, |progress| {
            if progress.step == step
                && !begun.swap(true, Ordering::Relaxed)
                && let Some(seen) = seen.take()
            {
                seen.send(()).unwrap();
            }
        });
        let restarting = async {
            told.await.unwrap();
            daemon.restart().await;
        };
        let (made, ()) = tokio::join!(made, restarting);
        agent.points_back(100).await;
        agent.idle().await;
        if let Ok(report) = made {
            assert_eq!(report.manifest.engine.exit_code, Some(0), "{step}");
        }
        let listed = agent.control.backups().await.unwrap();
        assert!(listed.iter().all(|backup| backup.complete), "{step}: {listed:?}");
    }
    assert_eq!(agent.backup(&BackupRequest::default()).await.unwrap().grade, Grade::Clean);
    assert!(agent.control.drill("latest", |_| {}).await.unwrap().ok);
    agent.stop().await;
    drop(place);
}
