//! A node whose volume is an image: loaded, backed up, lost, restored, drilled, killed, with either kind of store.

use qmoor_agent::volume::mounts;

use crate::disk::{done, loops_are};
use crate::node::Node;

const STORES: [(&str, &str); 3] = [("clone", "xfs"), ("clone", "ext4"), ("restic", "xfs")];

fn each() -> impl Iterator<Item = Node> {
    STORES.into_iter().filter_map(|(store, filesystem)| Node::or_skip(store, filesystem))
}

#[test]
fn what_was_backed_up_is_restored_and_drilled_the_same() {
    for mut node in each() {
        node.start();
        node.index(0..300);
        let before = node.found((0..300).step_by(50));
        let backup = node.run(&["backup", "--batch-id", "first"]);
        let id = backup["id"].as_str().unwrap().to_owned();
        eprintln!(
            "pause {} ms, {} bytes added, phases {}",
            backup["pause_ms"], backup["bytes_added"], backup["phases"]
        );
        assert_eq!(backup["grade"], "clean");
        node.index(300..350);
        assert_eq!(node.run(&["drill"])["ok"], true);
        // Lost altogether.
        node.stop();
        std::fs::remove_dir_all(node.at("volume/data")).unwrap();
        node.run(&["restore", &id, "--yes"]);
        node.start();
        assert_eq!(node.found((0..300).step_by(50)), before);
        let points = node.run(&["drill", &id])["points"].as_u64();
        assert_eq!(points, Some(300));
        // Restored beside a running agent.
        node.index(300..360);
        node.run(&["restore", &id, "--yes"]);
        assert_eq!(node.found((0..300).step_by(50)), before);
        let second = node.run(&["backup"]);
        assert_ne!(second["id"], backup["id"]);
        assert_eq!(node.run(&["backups"]).as_array().map(Vec::len), Some(2));
        node.run(&["prune"]);
        node.stop();
        loops_are(&node.disk.path(), 1);
    }
}

#[test]
fn an_agent_that_is_killed_leaves_the_volume_to_the_next_one() {
    for mut node in each() {
        node.start();
        node.index(0..100);
        let before = node.found((0..100).step_by(25));
        let mount = mounts::at(&node.at("volume")).unwrap().unwrap();
        node.kill();
        node.start();
        assert_eq!(mounts::at(&node.at("volume")).unwrap().unwrap(), mount, "adopted");
        assert_eq!(node.found((0..100).step_by(25)), before);
        // Left frozen by somebody who is gone, while no agent ran.
        node.stop();
        done("fsfreeze", &["--freeze", node.at("volume").to_str().unwrap()]);
        node.start();
        node.index(100..120);
        node.stop();
        // Unmounted meanwhile, as by a restart of the host.
        done("umount", &[node.at("volume").to_str().unwrap()]);
        node.start();
        assert_eq!(node.found((0..100).step_by(25)), before);
        loops_are(&node.disk.path(), 1);
        node.stop();
    }
}

#[test]
fn a_volume_that_is_not_there_is_not_served_and_not_made_anew() {
    let Some(mut node) = Node::or_skip("clone", "xfs") else { return };
    node.start();
    node.index(0..100);
    let id = node.run(&["backup"])["id"].as_str().unwrap().to_owned();
    node.stop();
    let (volume, image) = (node.at("volume"), node.at("volume.img"));
    done("umount", &[volume.to_str().unwrap()]);
    // Written where nothing is mounted.
    std::fs::create_dir_all(volume.join("data/aliases")).unwrap();
    let said = node.try_start().unwrap_err();
    assert!(said.contains("holds `data` and no volume is mounted on it"), "{said}");
    let said = node.refused(&["restore", &id, "--yes"]);
    assert!(said.contains("holds `data`") && said.contains("hint:"), "{said}");
    std::fs::remove_dir_all(volume.join("data")).unwrap();
    std::fs::rename(&image, node.at("away.img")).unwrap();
    let said = node.try_start().unwrap_err();
    assert!(said.contains("is gone, and held the data of this node"), "{said}");
    assert!(!image.exists() && std::fs::read_dir(&volume).unwrap().next().is_none());
    std::fs::rename(node.at("away.img"), &image).unwrap();
    node.start();
    assert_eq!(node.status()["engine"]["up"], true);
    node.stop();
}

#[test]
fn a_larger_volume_is_configured_and_a_clone_of_the_smaller_one_restores() {
    let Some(mut node) = Node::or_skip("clone", "xfs") else { return };
    node.start();
    node.index(0..50);
    let before = node.found([7, 49].into_iter());
    let id = node.run(&["backup"])["id"].as_str().unwrap().to_owned();
    node.stop();
    let config = node.disk.path().join("qmoor.toml");
    let text = std::fs::read_to_string(&config).unwrap().replace("1GiB", "1536MiB");
    std::fs::write(&config, text).unwrap();
    node.start();
    let size =
        done("df", &["--block-size=1M", "--output=size", node.at("volume").to_str().unwrap()]);
    assert!(size.lines().nth(1).unwrap().trim().parse::<u64>().unwrap() > 1300, "{size}");
    node.run(&["restore", &id, "--yes"]);
    assert_eq!(node.found([7, 49].into_iter()), before);
    node.stop();
}
