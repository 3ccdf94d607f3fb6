//! An engine made of shell: it does at each moment what a real one does once in a year.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

struct Fake {
    dir: tempfile::TempDir,
    engine: EngineProcess,
}

/// An engine that runs this script; `$GREETING` is the line of an engine that is ready and guarded.
async fn fake(status: u16, script: &str) -> Fake {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // What is closed with something unread is reset, and the answer with it.
            if stream.read(&mut [0; 4096]).await.unwrap_or(0) == 0 {
                continue;
            }
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let program = dir.path().join("program");
    let greeting = format!(r#"{{"http":"{address}","grpc":"{address}"}}"#);
    let text =
        format!("#!/bin/sh\nGREETING='{greeting}'\nDIR={}\n{script}\n", dir.path().display());
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let engine = EngineProcess::new(EngineSpec {
        runs_in: RunsIn::Child(program),
        data: dir.path().join("data"),
        log: dir.path().join("engine.log"),
        start_timeout: Duration::from_secs(20),
        stop_timeout: Duration::from_secs(20),
    })
    .remembering(dir.path().join("existed"));
    Fake { dir, engine }
}

/// Greets, then waits for the end of standard input or for TERM, and ends well.
const GOOD: &str = r#"trap 'exit 0' TERM
echo "$GREETING"
while read -r line; do :; done
exit 0"#;

#[tokio::test]
async fn it_starts_once_and_stops_cleanly() {
    let fake = fake(401, GOOD).await;
    assert!(fake.engine.endpoint().is_none());
    let endpoint = fake.engine.start().await.unwrap();
    let pid = fake.engine.pid().unwrap();
    assert_eq!(fake.engine.start().await.unwrap().http, endpoint.http);
    assert_eq!(fake.engine.pid().unwrap(), pid);
    let report = fake.engine.stop().await.unwrap();
    assert!(report.clean);
    assert_eq!(report.exit_code, Some(0));
    assert!(fake.engine.endpoint().is_none());
    assert_eq!(fake.engine.pid(), None);
    let again = fake.engine.stop().await.unwrap();
    assert!(!again.clean, "an engine that did not run was not stopped cleanly");
}

#[tokio::test]
async fn a_lost_term_is_repeated() {
    let lost = r#"trap 'trap "exit 0" TERM' TERM
echo "$GREETING"
while :; do read -r line; done"#;
    let fake = fake(401, lost).await;
    fake.engine.start().await.unwrap();
    assert!(fake.engine.stop().await.unwrap().clean);
}

#[tokio::test]
async fn an_engine_that_ignores_term_is_killed_and_that_is_not_clean() {
    let deaf = r#"trap '' TERM
echo "$GREETING"
while :; do read -r line; done"#;
    let mut fake = fake(401, deaf).await;
    fake.engine.spec.stop_timeout = Duration::from_millis(50);
    fake.engine.start().await.unwrap();
    let report = fake.engine.stop().await.unwrap();
    assert!(!report.clean);
    assert_eq!(report.exit_code, None);
}

#[tokio::test]
async fn another_exit_code_than_zero_is_not_clean() {
    let fake = fake(401, &GOOD.replace("exit 0", "exit 4")).await;
    fake.engine.start().await.unwrap();
    let report = fake.engine.stop().await.unwrap();
    assert_eq!((report.exit_code, report.clean), (Some(4), false));
}

#[tokio::test]
async fn an_engine_that_ends_at_once_leaves_its_last_words() {
    let fake = fake(401, "echo 'cannot load: disk on fire' >&2; exit 3").await;
    let error = fake.engine.start().await.unwrap_err();
    let EngineError::Died { exit_code: Some(3), last_words } = error else { panic!("{error}") };
    assert_eq!(last_words, "cannot load: disk on fire");
    assert!(fake.engine.endpoint().is_none());
    assert!(fake.engine.wanted(), "it is tried again");
}

#[tokio::test]
async fn an_engine_that_lets_everybody_in_is_ended() {
    let fake = fake(200, GOOD).await;
    let error = fake.engine.start().await.unwrap_err();
    assert!(matches!(error, EngineError::Unguarded { status: 200 }), "{error}");
    assert_eq!(fake.engine.pid(), None);
}

#[tokio::test]
async fn an_engine_that_says_something_else_or_nothing_is_ended() {
    let chatty = fake(401, "echo hello; while read -r line; do :; done").await;
    let error = chatty.engine.start().await.unwrap_err();
    assert!(matches!(error, EngineError::Greeting { .. }), "{error}");
    assert_eq!(chatty.engine.pid(), None);
    let mut silent = fake(401, "while read -r line; do :; done").await;
    silent.engine.spec.start_timeout = Duration::from_millis(50);
    let error = silent.engine.start().await.unwrap_err();
    assert!(matches!(error, EngineError::TooSlow { .. }), "{error}");
    assert_eq!(silent.engine.pid(), None);
}

#[tokio::test]
async fn an_engine_that_ends_by_itself_is_started_again_and_one_that_was_stopped_is_not() {
    let once = r#"trap 'exit 0' TERM
echo "$GREETING"
[ -e "$DIR/second" ] || { touch "$DIR/second"; exit 1; }
while read -r line; do :; done"#;
    let fake = fake(401, once).await;
    fake.engine.start().await.ok();
    fake.engine.keep_up().await.unwrap();
    assert!(fake.engine.endpoint().is_some());
    assert!(fake.engine.stop().await.unwrap().clean);
    let kept = tokio::time::timeout(Duration::from_millis(200), fake.engine.keep_up()).await;
    assert!(kept.is_err(), "it was started though it had been stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_by_itself_is_counted_however_soon_the_next_start_comes() {
    let fake = fake(401, GOOD).await;
    fake.engine.start().await.unwrap();
    for ends in 1..=20 {
        let pid = i32::try_from(fake.engine.pid().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        fake.engine.keep_up().await.unwrap();
        assert_eq!(fake.engine.life().unclean_ends, ends);
    }
}

#[tokio::test]
async fn an_engine_ends_when_its_owner_is_gone() {
    let fake = fake(401, GOOD_UNTIL_EOF).await;
    fake.engine.start().await.unwrap();
    let dir = fake.dir;
    drop(fake.engine);
    let ended = async {
        while !dir.path().join("ended").exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap();
}

const GOOD_UNTIL_EOF: &str = r#"echo "$GREETING"
while read -r line; do :; done
touch "$DIR/ended""#;

#[tokio::test]
async fn it_is_not_started_where_its_data_is_gone() {
    let fake = fake(401, &format!("mkdir -p \"$DIR/data/collections\"\n{GOOD}")).await;
    let data = fake.dir.path().join("data");
    fake.engine.start().await.unwrap();
    fake.engine.stop().await.unwrap();
    assert!(!fake.engine.data_missing());
    std::fs::write(data.join(".lock"), "").unwrap();
    for path in [data.join("collections"), data.clone()] {
        std::fs::remove_dir_all(path).unwrap();
        assert!(fake.engine.data_missing());
        let error = fake.engine.start().await.unwrap_err();
        assert!(matches!(error, EngineError::DataMissing { .. }), "{error}");
    }
    assert!(!data.exists());
}

#[tokio::test]
async fn starts_at_the_same_time_are_one_start() {
    let fake = fake(401, &format!("echo x >> \"$DIR/starts\"\n{GOOD}")).await;
    let engine = Arc::new(fake.engine);
    let both = [Arc::clone(&engine), Arc::clone(&engine)]
        .map(|engine| tokio::spawn(async move { engine.start().await.unwrap() }));
    for start in both {
        start.await.unwrap();
    }
    let starts = std::fs::read_to_string(fake.dir.path().join("starts")).unwrap();
    assert_eq!(starts, "x\n");
    engine.stop().await.unwrap();
}
