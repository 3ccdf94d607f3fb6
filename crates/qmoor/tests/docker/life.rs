//! Starting, guarding, adopting and ending a container.

use http::Method;
use serde_json::Value;

use crate::host::{Agent, Place, docker, image, ready, signal, stand_in, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_container_runs_the_server_itself_guarded_and_on_loopback_only() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&image(), "");
    let agent = Agent::start(&place, None).await;
    agent.fill(20).await;
    assert_eq!(agent.points().await.len(), 20);

    assert_eq!(place.inspect("{{.Path}}"), "./qdrant");
    let published =
        place.inspect("{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}");
    assert_eq!(published.trim(), "127.0.0.1 127.0.0.1");
    // The agent starts it again, and nobody else.
    assert_eq!(place.inspect("{{.HostConfig.RestartPolicy.Name}}"), "no");
    assert_eq!(place.inspect("{{.HostConfig.CapDrop}}"), "[ALL]");
    assert_eq!(place.inspect("{{index .HostConfig.LogConfig.Config \"max-file\"}}"), "3");

    // The key is nowhere but in the file that is mounted.
    let secret = place.path().join(format!("n/state/container/{}.yaml", place.container()));
    let settings: Value = serde_json::from_slice(&std::fs::read(secret).unwrap()).unwrap();
    let key = settings["service"]["api_key"].as_str().unwrap();
    assert!(key.len() >= 32);
    assert!(!docker(&["inspect", &place.container()]).contains(key));
    let arguments = docker(&["top", &place.container(), "-o", "pid,args"]);
    assert!(!arguments.contains(key), "{arguments}");
    assert!(!place.log().contains(key));

    let port = docker(&["port", &place.container(), "6333"]);
    let (status, _) =
        crate::host::ask(&port, "wrong", Method::GET, "/collections", &Value::Null).await;
    assert_eq!(status, 401);
    agent.stop().await;
    assert_eq!(place.inspect("{{.State.ExitCode}} {{.State.Running}}"), "0 false");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_killed_leaves_the_container_and_the_next_one_adopts_it() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&image(), "");
    let agent = Agent::start(&place, None).await;
    agent.fill(30).await;
    let before = place.inspect("{{.Id}} {{.State.StartedAt}}");
    let key = agent.kill().await;
    assert_eq!(place.inspect("{{.State.Running}}"), "true");
    let agent = Agent::start(&place, Some(&key)).await;
    assert_eq!(place.inspect("{{.Id}} {{.State.StartedAt}}"), before);
    assert_eq!(agent.points().await.len(), 30);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_comes_back_by_itself() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&image(), "");
    let agent = Agent::start(&place, None).await;
    agent.fill(30).await;
    let pid = agent.control.status().await.unwrap().engine.pid.unwrap();
    signal(pid, "KILL");
    until("another process", async || {
        let engine = agent.control.status().await.unwrap().engine;
        engine.pid.filter(|now| engine.up && *now != pid)
    })
    .await;
    assert_eq!(agent.points().await.len(), 30);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_that_name_that_is_not_ours_is_left_alone() {
    if !ready() {
        return;
    }
    let place = Place::new();
    place.configure(&image(), "");
    docker(&["create", "--name", &place.container(), &stand_in("v1.19.0"), "true"]);
    let id = place.inspect("{{.Id}}");
    assert!(Agent::try_start(&place, None).await.is_none());
    assert!(place.log().contains("belongs to something else"), "{}", place.log());
    assert_eq!(place.inspect("{{.Id}}"), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_is_given_to_the_user_of_the_image_or_of_the_configuration() {
    use std::os::unix::fs::MetadataExt as _;
    if !ready() {
        return;
    }
    for (image, more, user) in [
        (stand_in("v1.19.0-unprivileged"), "", 1000),
        (stand_in("v1.19.0"), "engine.user = \"1234:1234\"", 1234),
    ] {
        let place = Place::new();
        place.configure(&image, more);
        let agent = Agent::start(&place, None).await;
        agent.fill(10).await;
        let owner = |path: &str| std::fs::metadata(place.path().join(path)).unwrap().uid();
        assert_eq!(owner("n/data"), user);
        assert_eq!(owner("n/data/collections"), user);
        let ran_as = docker(&["top", &place.container(), "-o", "pid,uid"]);
        assert!(ran_as.contains(&user.to_string()), "{ran_as}");
        agent.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_open_files_that_the_host_does_not_allow_says_what_to_do() {
    if !ready() {
        return;
    }
    let limited = std::process::Command::new("docker")
        .args(["run", "--rm", "--ulimit", "nofile=1000000:1000000", &stand_in("v1.19.0"), "true"])
        .output()
        .unwrap();
    if limited.status.success() {
        eprintln!("SKIPPED: this host lets containers raise their limit of open files");
        return;
    }
    let place = Place::new();
    place.configure(&image(), "");
    let config = place.path().join("qmoor.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("engine.nofile = 0", "engine.nofile = 1000000")).unwrap();
    assert!(Agent::try_start(&place, None).await.is_none());
    assert!(place.log().contains("engine.nofile"), "{}", place.log());
}
