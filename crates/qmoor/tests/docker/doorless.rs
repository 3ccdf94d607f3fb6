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
    let search = place.verb(&["search", "-c", "docs", "--limit", "1", "x"]);
    assert!(search.is_err() || search.is_ok(), "the key of the container is the command's own");

    let report = agent.backup(&BackupRequest::default()).await.unwrap();
    assert_eq!(report.grade, Grade::Clean);
    assert_eq!(report.manifest.collections["docs"].points, 120);
    assert!(!report.manifest.collections["docs"].samples.is_empty());
    assert!(agent.control.drill("latest", |_| {}).await.unwrap().ok);
    let freeze = BackupRequest { mode: Mode::Freeze, ..BackupRequest::default() };
    assert!(agent.backup(&freeze).await.is_err(), "nobody holds the writes");
    let refused = place.verb(&["keys", "rotate", "index"]).unwrap_err();
    assert!(refused.contains("Qdrant's own"), "{refused}");

    // The container goes on without its agent, under the same keys.
    let http = crate::host::docker(&["port", &place.container(), "6333"]);
    let key = agent.stop().await;
    assert_eq!(crate::host::points(&http, &key).await.len(), 120);
    let agent = Agent::start(&place, Some(&key)).await;
    assert_eq!(agent.points().await.len(), 120);
    let (status, _) = agent.ask(Method::DELETE, "/collections/docs", &json!(null)).await;
    assert_eq!(status, 200);
}
