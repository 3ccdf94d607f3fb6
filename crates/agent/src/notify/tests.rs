//! A queue that never waits, a webhook that is insisted on, a command that is not waited for.

use std::os::unix::fs::PermissionsExt;

use qmoor_plan::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn config(text: &str) -> config::Notify {
    Config::parse(text, std::path::Path::new("/n/qmoor.toml")).unwrap().notify
}

fn words(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).into()
}

/// A webhook that answers request after request with these statuses, then 200. It passes on what it was sent.
async fn webhook(statuses: &[u16]) -> (String, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/s3cret", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::channel(100);
    let statuses = statuses.to_vec();
    let mut statuses = statuses.into_iter();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = Vec::new();
            let mut chunk = [0; 4096];
            while !got.ends_with(b"}") {
                let read = stream.read(&mut chunk).await.unwrap();
                got.extend_from_slice(&chunk[..read]);
            }
            let status = statuses.next().unwrap_or(200);
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 4\r\n\r\nsaid");
            stream.write_all(answer.as_bytes()).await.unwrap();
            sender.send(String::from_utf8(got).unwrap()).await.unwrap();
        }
    });
    (address, receiver)
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_answers_500_is_asked_again_with_the_same_message() {
    let (address, mut got) = webhook(&[500, 503]).await;
    let notifier = Notifier::new("n", &config(&format!("notify.webhook = \"{address}\"")));
    notifier.start();
    notifier.tell(
        Event::BackupFailed,
        Some(By::Schedule),
        Some("b-1".to_owned()),
        "why".to_owned(),
    );
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let request = got.recv().await.unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /s3cret HTTP/1.1"), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        bodies.push(body.to_owned());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let message: Message = serde_json::from_str(&bodies[0]).unwrap();
    assert_eq!(
        (message.event, message.ok, message.id.as_deref()),
        (Event::BackupFailed, false, Some("b-1"))
    );
    notifier.end(Duration::from_secs(60)).await;
    assert_eq!(notifier.told(), Told { webhook_sent: 1, ..Told::default() });
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_sent_again_and_what_fails_only_so_often() {
    let (address, mut got) = webhook(&[404]).await;
    let notifier = Notifier::new("n", &config(&format!("notify.webhook = \"{address}\"")));
    notifier.start();
    notifier.tell(Event::BackupFailed, None, None, String::new());
    got.recv().await.unwrap();
    notifier.end(Duration::from_secs(60)).await;
    assert_eq!(notifier.told(), Told { webhook_failed: 1, ..Told::default() });

    let (address, mut got) = webhook(&[500; 100]).await;
    let notifier = Notifier::new("n", &config(&format!("notify.webhook = \"{address}\"")));
    notifier.start();
    notifier.tell(Event::BackupFailed, None, None, String::new());
    for _ in 0..6 {
        got.recv().await.unwrap();
    }
    notifier.end(Duration::from_secs(600)).await;
    assert_eq!(notifier.told(), Told { webhook_failed: 1, ..Told::default() });
    assert!(got.try_recv().is_err(), "six times in all");
}

#[tokio::test]
async fn only_what_was_chosen_is_told_and_the_oldest_makes_room() {
    let mut wanted = config("notify.command = [\"/bin/true\"]\nnotify.on = [\"failure\"]");
    let notifier = Notifier::new("n", &wanted);
    notifier.tell(Event::BackupSucceeded, None, None, String::new());
    notifier.tell(Event::EngineDown, None, None, String::new());
    assert_eq!(notifier.waiting.lock().len(), 0);
    for number in 0..WAITING_MAX + 3 {
        notifier.tell(Event::BackupFailed, None, None, number.to_string());
    }
    assert_eq!(notifier.told().dropped, 3);
    assert_eq!(notifier.waiting.lock().front().unwrap().message, "3");
    assert_eq!(notifier.waiting.lock().len(), WAITING_MAX);

    wanted.command.clear();
    let nobody = Notifier::new("n", &wanted);
    nobody.start();
    nobody.tell(Event::BackupFailed, None, None, String::new());
    assert_eq!(nobody.waiting.lock().len(), 0);
    assert_eq!(nobody.try_out().await, Trial { webhook: None, command: None });
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_never_answers_holds_up_neither_the_teller_nor_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/s3cret", listener.local_addr().unwrap());
    let notifier = Notifier::new("n", &config(&format!("notify.webhook = \"{address}\"")));
    notifier.start();
    for _ in 0..10 {
        notifier.tell(Event::BackupFailed, None, None, String::new());
    }
    let (_open, _) = listener.accept().await.unwrap();
    let begun = tokio::time::Instant::now();
    notifier.end(Duration::from_secs(3)).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let trial = notifier.try_out().await.webhook.unwrap();
    assert!(!trial.ok && trial.answer.contains("no answer within 10s"), "{trial:?}");
    assert!(!format!("{trial:?}").contains("s3cret"), "{trial:?}");
}

#[tokio::test]
async fn the_address_may_stand_in_a_file_that_only_its_owner_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("webhook");
    let config = config(&format!("notify.webhook_file = \"{}\"", path.display()));
    let of = async || webhook::of(&config).await.unwrap();
    assert!(of().await.unwrap_err().contains("No such file"));
    fs_err::write(&path, "https://hooks.example.com/s3cret\n").unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(of().await.unwrap_err().contains("chmod 600"));
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(of().await.unwrap().host(), "hooks.example.com");
    fs_err::write(&path, "s3cret").unwrap();
    let why = of().await.unwrap_err();
    assert!(why.contains("not an address") && !why.contains("s3cret"), "{why}");
}

#[tokio::test]
async fn a_command_gets_the_message_and_no_secret_of_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let seen = dir.path().join("seen");
    let script = format!("cat >{0}; env >>{0}; pwd >>{0}", seen.display());
    let said = command::run(&words(&script), b"{\"a\":1}\n", Duration::from_secs(60)).await;
    assert_eq!(said.unwrap(), "exit status: 0");
    let seen = fs_err::read_to_string(&seen).unwrap();
    let (message, environment) = seen.split_once('\n').unwrap();
    assert_eq!(message, "{\"a\":1}");
    // What a shell sets by itself besides.
    let names: Vec<&str> =
        environment.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(
        names.contains(&"PATH")
            && names.iter().all(|name| ["PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(name)),
        "{names:?}"
    );
    assert!(std::env::vars_os().count() > 5, "there was something to keep from it");
}

#[tokio::test]
async fn a_command_that_fails_says_why_and_one_that_reads_nothing_is_no_failure() {
    let run = async |script: &str| {
        command::run(&words(script), &[b' '; 200_000], Duration::from_secs(60)).await
    };
    assert_eq!(run("exec 0<&-; sleep 0.1").await.unwrap(), "exit status: 0");
    let why = run("echo no such room >&2; exit 7").await.unwrap_err();
    assert_eq!(why, "`/bin/sh` ended with exit status: 7: no such room");
    let long = run("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1").await.unwrap_err();
    assert!(long.len() < 300, "{}", long.len());
    let missing = command::run(&["/no/such".to_owned()], b"", Duration::from_secs(60)).await;
    assert!(missing.unwrap_err().starts_with("`/no/such` cannot be run: "));
}

#[tokio::test]
async fn a_command_that_does_not_end_is_killed_with_all_it_has_started() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let script = format!("sleep 600 & echo $! >{0}.new; mv {0}.new {0}; wait", pid.display());
    let run = tokio::spawn({
        let words = words(&script);
        async move { command::run(&words, b"", Duration::from_secs(2)).await }
    });
    let why = run.await.unwrap().unwrap_err();
    assert!(why.contains("did not end within 2s and was killed"), "{why}");
    let pid: u32 = fs_err::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let stat = format!("/proc/{pid}/stat");
    let deadline = Instant::now() + Duration::from_secs(60);
    // Gone, or dead and not yet collected by whoever has adopted it.
    while fs_err::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "the child of the command goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_a_command_leaves_running_is_not_waited_for() {
    let begun = Instant::now();
    let said = command::run(&words("sleep 60 & exit 0"), b"", Duration::from_secs(50)).await;
    assert!(said.is_ok() && begun.elapsed() < Duration::from_secs(30), "{said:?}");
}
