//! A node without a gateway: clients talk to the container, with Qdrant's own keys.

use http::Method;
use qmoor_agent::backup::BackupRequest;
use qmoor_plan::backup::Mode;
use qmoor_plan::manifest::Grade;
use serde_json::{Value, json};

use crate::host::{Agent, Place, ask, image, ready};

#[tokio::test(flavor = "multi_thread")]
async fn clients_talk_to_the_container_and_its_backups_are_proved_from_the_snapshot_itself() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&image(), "gateway.enabled = false");
    let agent = Agent::start(&place, None).await;
    agent.fill(120).await;
    let (status, _) = ask(&agent.http, "wrong", Method::GET, "/collections", &Value::Null).await;
    assert_eq!(status, 401);
    let notes = place.path().join("notes");
    std::fs::create_dir(&notes).unwrap();
    std::fs::write(notes.join("ships.md"), "A ship at rest is held by two anchors.").unwrap();
    // The commands of the host are given the container's own key.
    place.verb(&["index", "notes", "-c", "notes"]).unwrap();
    let found = place.verb(&["search", "-c", "notes", "what holds a ship?"]).unwrap();
    assert_eq!(found[0]["doc"], "ships.md");

    let report = agent.backup(&BackupRequest::default()).await.unwrap();
    assert_eq!(report.grade, Grade::Clean);
    assert_eq!(report.manifest.collections["docs"].points, 120);
    assert!(!report.manifest.collections["docs"].samples.is_empty());
    assert!(agent.control.drill("latest", |_| {}).await.unwrap().ok);
    let freeze = BackupRequest { mode: Mode::Freeze, ..BackupRequest::default() };
    assert!(agent.backup(&freeze).await.is_err(), "nobody holds the writes");
    let refused = place.verb(&["keys", "rotate", "index"]).unwrap_err();
    assert!(refused.contains("Qdrant's own"), "{refused}");

    // Without a gateway it needs no agent to come back: whoever starts it again, the agent follows.
    assert_eq!(place.inspect("{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped");
    let before = agent.control.status().await.unwrap().engine.pid.unwrap();
    crate::host::signal(before, "KILL");
    crate::host::until("another process", async || {
        let engine = agent.control.status().await.unwrap().engine;
        engine.pid.filter(|now| engine.up && *now != before)
    })
    .await;
    assert_eq!(agent.backup(&BackupRequest::default()).await.unwrap().grade, Grade::Clean);
    assert_eq!(place.inspect("{{.HostConfig.RestartPolicy.Name}}"), "unless-stopped");

    // The container goes on without its agent, under the same keys.
    let http = crate::host::docker(&["port", &place.container(), "6333"]);
    let key = agent.stop().await;
    assert_eq!(crate::host::points(&http, &key).await.len(), 120);
    let agent = Agent::start(&place, Some(&key)).await;
    assert_eq!(agent.points().await.len(), 120);
    let (status, _) = agent.ask(Method::DELETE, "/collections/docs", &json!(null)).await;
    assert_eq!(status, 200);
}
