//! Other versions of the engine: which are refused, which are taken, and which are taken back.

use std::process::Command;

use qmoor_agent::backup::BackupRequest;

use crate::host::{Agent, Place, docker, output, ready, stand_in};

/// A node on this version, with points.
async fn node_on(tag: &str) -> (Place, Agent) {
    let place = Place::new();
    place.configure(&stand_in(tag), "");
    let agent = Agent::start(&place, None).await;
    agent.fill(150).await;
    (place, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_or_one_too_far_ahead_does_not_open_the_data() {
    if !ready() {
        return;
    }
    for (tag, other, why) in
        [("v1.19.0", "v1.18.3", "is older"), ("v1.18.3", "v1.20.0", "skips a minor version")]
    {
        let (place, agent) = node_on(tag).await;
        let key = agent.stop().await;
        place.configure(&stand_in(other), "");
        assert!(Agent::try_start(&place, Some(&key)).await.is_none());
        assert!(place.log().contains(why), "{}", place.log());
        place.configure(&stand_in(tag), "");
        let agent = Agent::start(&place, Some(&key)).await;
        assert_eq!(agent.points().await.len(), 150);
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_kinds_of_engine_do_not_open_each_others_data() {
    if !ready() {
        return;
    }
    let (place, agent) = node_on("v1.19.0").await;
    let key = agent.stop().await;
    let config = place.path().join("qmoor.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"docker\"", "\"embedded\"")).unwrap();
    assert!(Agent::try_start(&place, Some(&key)).await.is_none());
    assert!(place.log().contains("does not read"), "{}", place.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_comes_to_mean_another_image_neither_changes_the_engine_nor_keeps_it_down() {
    if !ready() {
        return;
    }
    let place = Place::new();
    // An image of this test alone, which can be removed.
    let (name, own) =
        (format!("qmoor-stand-in:v1.19.0-{}", place.name), format!("own-{}", place.name));
    docker(&["create", "--name", &own, &stand_in("v1.19.0"), "true"]);
    let label = format!("LABEL test={}", place.name);
    let id = docker(&["commit", "--change", &label, &own, &name]);
    docker(&["rm", &own]);
    place.configure(&name, "");
    let agent = Agent::start(&place, None).await;
    agent.fill(20).await;
    docker(&["tag", &stand_in("v1.19.0-unprivileged"), &name]);
    // Around a backup, and at the next start.
    agent.backup(&BackupRequest::default()).await.unwrap();
    assert_eq!(place.inspect("{{.Image}}"), id);
    let key = agent.stop().await;
    docker(&["rm", &place.container()]);
    let agent = Agent::start(&place, Some(&key)).await;
    assert_eq!(place.inspect("{{.Image}}"), id);
    assert!(place.log().contains("means another image than before"), "{}", place.log());
    assert_eq!(agent.points().await.len(), 20);
    agent.stop().await;
    // Where the image of before is gone, nobody but the operator can tell what is meant.
    docker(&["rm", &place.container()]);
    docker(&["rmi", &id]);
    assert!(Agent::try_start(&place, Some(&key)).await.is_none());
    assert!(place.log().contains("which is gone"), "{}", place.log());
    docker(&["rmi", &name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_with_another_digest_than_was_asked_for_is_refused() {
    if !ready() {
        return;
    }
    let place = Place::new();
    let id = docker(&["image", "inspect", "-f", "{{.Id}}", &stand_in("v1.19.0")]);
    let other = format!("sha256:{}", "0".repeat(64));
    place.configure(&format!("{}@{other}", stand_in("v1.19.0")), "");
    assert!(Agent::try_start(&place, None).await.is_none());
    assert!(place.log().contains("another digest"), "{}", place.log());
    place.configure(&format!("{}@{id}", stand_in("v1.19.0")), "");
    Agent::start(&place, None).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_takes_a_backup_first_and_stays_after_a_restart() {
    if !ready() {
        return;
    }
    let (place, agent) = node_on("v1.18.3").await;
    let report = place.verb(&["upgrade", "1.19.0"]).unwrap();
    assert_eq!(report["from"], "qmoor-stand-in:v1.18.3");
    assert_eq!(report["to"], "qmoor-stand-in:v1.19.0");
    let backups = agent.control.backups().await.unwrap();
    assert_eq!(backups.len(), 1);
    assert_eq!(report["backup"], backups[0].id);
    assert_eq!(agent.points().await.len(), 150);
    let key = agent.stop().await;
    let agent = Agent::start(&place, Some(&key)).await;
    assert_eq!(agent.points().await.len(), 150);
    let image = place.inspect("{{.Image}}");
    assert_eq!(image, docker(&["image", "inspect", "-f", "{{.Id}}", &stand_in("v1.19.0")]));
    let refused = place.verb(&["upgrade", "1.21.0"]).unwrap_err();
    assert!(refused.contains("skips a minor version"), "{refused}");
    let refused = place.verb(&["upgrade", "1.18.3"]).unwrap_err();
    assert!(refused.contains("is older"), "{refused}");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_dies_or_forgets_is_taken_back_by_itself() {
    if !ready() {
        return;
    }
    for (version, why) in
        [("v1.20.1-dies", "cannot load"), ("v1.20.2-forgets", "collection `docs`")]
    {
        let (place, agent) = node_on("v1.19.0").await;
        let refused = place.verb(&["upgrade", version]).unwrap_err();
        assert!(refused.contains("was taken back") && refused.contains(why), "{refused}");
        assert_eq!(agent.points().await.len(), 150, "{version}");
        let image = place.inspect("{{.Image}}");
        assert_eq!(image, docker(&["image", "inspect", "-f", "{{.Id}}", &stand_in("v1.19.0")]));
        let key = agent.stop().await;
        let agent = Agent::start(&place, Some(&key)).await;
        assert_eq!(agent.points().await.len(), 150);
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_pulled_says_so_and_changes_nothing() {
    if !ready() {
        return;
    }
    let (place, agent) = node_on("v1.19.0").await;
    let absent = Command::new("docker").args(["image", "inspect", &stand_in("v1.19.9")]).output();
    assert!(!absent.unwrap().status.success());
    let refused = place.verb(&["upgrade", "1.19.9"]).unwrap_err();
    assert!(refused.contains("cannot be pulled"), "{refused}");
    assert_eq!(agent.control.backups().await.unwrap(), []);
    assert_eq!(agent.points().await.len(), 150);
    agent.stop().await;
    output(Command::new("true").arg(place.path()));
}
