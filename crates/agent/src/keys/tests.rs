//! Keys by a table of what happens to them.

use super::*;

fn ring() -> (tempfile::TempDir, Keyring, NewKeys) {
    let dir = tempfile::tempdir().unwrap();
    let (ring, new) = Keyring::open_or_create(&dir.path().join("keys.json"), now()).unwrap();
    ring.keep().unwrap();
    (dir, ring, new.unwrap())
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn role(ring: &Keyring, key: &Secret) -> Option<Role> {
    ring.check(key.expose(), now()).map(|info| info.role)
}

#[test]
fn each_new_key_has_its_role_and_survives_a_restart() {
    let (dir, ring, new) = ring();
    let (again, none) = Keyring::open_or_create(&dir.path().join("keys.json"), now()).unwrap();
    assert!(none.is_none());
    for ring in [&ring, &again] {
        assert_eq!(role(ring, &new.search), Some(Role::Search));
        assert_eq!(role(ring, &new.index), Some(Role::Index));
        assert_eq!(role(ring, &new.admin), Some(Role::Admin));
        assert_eq!(ring.check("", now()), None);
        assert_eq!(ring.check("qm_admin_", now()), None);
        assert_eq!(ring.check(&"x".repeat(100_000), now()), None);
    }
}

#[test]
fn the_file_holds_no_key_and_only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, _ring, new) = ring();
    let path = dir.path().join("keys.json");
    let text = std::fs::read_to_string(&path).unwrap();
    for key in [&new.search, &new.index, &new.admin] {
        assert!(!text.contains(key.expose()));
    }
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn two_keys_are_valid_during_rotation_and_a_third_ends_the_first() {
    let (_dir, ring, new) = ring();
    let (_, second) = ring.rotate(&Wanted::of(Role::Search), now()).unwrap();
    assert_eq!(role(&ring, &new.search), Some(Role::Search));
    assert_eq!(role(&ring, &second), Some(Role::Search));
    let (_, third) = ring.rotate(&Wanted::of(Role::Search), now()).unwrap();
    assert_eq!(role(&ring, &new.search), None);
    assert_eq!(role(&ring, &second), Some(Role::Search));
    assert_eq!(role(&ring, &third), Some(Role::Search));
}

#[test]
fn the_last_key_of_a_role_cannot_be_revoked() {
    let (_dir, ring, new) = ring();
    let first = ring.check(new.index.expose(), now()).unwrap();
    assert!(matches!(ring.revoke(&first.id, now()), Err(KeysError::LastOfRole { .. })));
    ring.rotate(&Wanted::of(Role::Index), now()).unwrap();
    ring.revoke(&first.id, now()).unwrap();
    assert_eq!(role(&ring, &new.index), None);
    assert!(matches!(ring.revoke(&first.id, now()), Err(KeysError::Unknown { .. })));
}

#[test]
fn a_damaged_file_is_an_error_and_not_new_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    for text in ["", "{}", "{\"version\":2,\"keys\":[]}", "[1"] {
        std::fs::write(&path, text).unwrap();
        let result = Keyring::open_or_create(&path, now());
        assert!(matches!(result, Err(KeysError::Damaged { .. })), "{text}");
    }
}

#[test]
fn a_session_key_is_valid_is_not_listed_and_gives_way_to_newer_ones() {
    let (_dir, ring, new) = ring();
    let (_, first) = ring.session(Role::Index, now());
    assert_eq!(role(&ring, &first), Some(Role::Index));
    assert_eq!(ring.list(now()).len(), 3);
    for _ in 0..SESSIONS_MAX {
        let _newer = ring.session(Role::Search, now());
    }
    assert_eq!(role(&ring, &first), None);
    assert_eq!(role(&ring, &new.index), Some(Role::Index));
}

fn limited(role: Role, names: &str) -> Wanted {
    Wanted { collections: Some(Scope::parse(names).unwrap()), ..Wanted::of(role) }
}

#[test]
fn with_an_overlap_the_old_key_ends_by_itself_and_stays_ended_after_a_restart() {
    let (dir, ring, new) = ring();
    let hour = Duration::from_secs(3600);
    let wanted = Wanted { overlap: Some(hour), ..Wanted::of(Role::Index) };
    let (_, fresh) = ring.rotate(&wanted, now()).unwrap();
    let path = dir.path().join("keys.json");
    let (again, _) = Keyring::open_or_create(&path, now()).unwrap();
    let end = now() + hour;
    let before = end - Duration::from_secs(1);
    for ring in [&ring, &again] {
        assert!(ring.check(new.index.expose(), before).is_some());
        assert!(ring.check(new.index.expose(), end).is_none());
        assert!(ring.check(fresh.expose(), end).is_some());
        let shown: Vec<_> = ring.list(before).into_iter().map(|key| key.until).collect();
        assert_eq!(shown, [None, Some(end), None, None]);
        assert_eq!(ring.list(end).len(), 3);
    }
    // The fresh one is all that stays.
    let id = ring.check(fresh.expose(), before).unwrap().id.clone();
    assert!(matches!(ring.revoke(&id, before), Err(KeysError::LastOfRole { .. })));
    let (_, third) = ring.rotate(&Wanted::of(Role::Index), end).unwrap();
    assert!(!std::fs::read_to_string(&path).unwrap().contains("until"));
    assert!(ring.check(third.expose(), end).is_some());
    let never = Wanted { overlap: Some(Duration::MAX), ..Wanted::of(Role::Index) };
    assert!(matches!(ring.rotate(&never, now()), Err(KeysError::Overlap(_))));
}

#[test]
fn a_second_overlap_does_not_lengthen_the_first() {
    let (_dir, ring, new) = ring();
    let within = |seconds| Wanted {
        overlap: Some(Duration::from_secs(seconds)),
        ..Wanted::of(Role::Search)
    };
    ring.rotate(&within(10), now()).unwrap();
    // Three keys would be too many: the oldest goes at once.
    ring.rotate(&within(1000), now()).unwrap();
    assert!(ring.check(new.search.expose(), now()).is_none());
    let ends: Vec<_> = ring.list(now()).into_iter().filter_map(|key| key.until).collect();
    assert_eq!(ends, [now() + Duration::from_secs(1000)]);
}

#[test]
fn a_limited_key_has_its_own_rotation_and_no_admin_key_is_limited() {
    let (dir, ring, new) = ring();
    let (info, first) = ring.rotate(&limited(Role::Index, "docs,notes-*"), now()).unwrap();
    assert_eq!(info.collections, Some(Scope::parse("notes-*, docs").unwrap()));
    ring.rotate(&limited(Role::Index, "docs,notes-*"), now()).unwrap();
    ring.rotate(&limited(Role::Index, "other"), now()).unwrap();
    assert_eq!(role(&ring, &first), Some(Role::Index));
    assert_eq!(role(&ring, &new.index), Some(Role::Index));
    ring.rotate(&limited(Role::Index, "docs,notes-*"), now()).unwrap();
    assert_eq!(role(&ring, &first), None);
    assert_eq!(role(&ring, &new.index), Some(Role::Index));
    let path = dir.path().join("keys.json");
    let (again, _) = Keyring::open_or_create(&path, now()).unwrap();
    assert_eq!(again.list(now()), ring.list(now()));
    let admin = ring.rotate(&limited(Role::Admin, "docs"), now());
    assert!(matches!(admin, Err(KeysError::AdminLimited)));
    // A limited one is no replacement for one that is not.
    let whole = ring.check(new.index.expose(), now()).unwrap();
    assert!(matches!(ring.revoke(&whole.id, now()), Err(KeysError::LastOfRole { .. })));
}

#[test]
fn there_are_only_so_many_keys() {
    let (_dir, ring, _) = ring();
    for number in 3..KEYS_MAX {
        ring.rotate(&limited(Role::Search, &format!("c{number}")), now()).unwrap();
    }
    let more = ring.rotate(&limited(Role::Search, "more"), now());
    assert!(matches!(more, Err(KeysError::TooMany)));
    // Its place is free when the oldest of its own goes.
    let changes = ring.changes();
    ring.revoke(&ring.list(now()).last().unwrap().id, now()).unwrap();
    assert!(ring.changes() > changes);
    ring.rotate(&limited(Role::Search, "more"), now()).unwrap();
}

#[test]
fn a_secret_is_not_printed() {
    assert_eq!(format!("{:?}", Secret::new("swordfish".to_owned())), "[redacted]");
}

#[test]
fn a_key_that_another_keeps_takes_the_place_of_the_one_before_after_a_while() {
    let (dir, ring, new) = ring();
    let (hour, later) = (Duration::from_secs(3600), Timestamp::from_second(3601).unwrap());
    let theirs = Secret::new("from elsewhere, of at least as many letters".to_owned());
    assert!(ring.adopt(Role::Index, &theirs, hour, now()).unwrap());
    assert!(!ring.adopt(Role::Index, &theirs, hour, now()).unwrap(), "nothing has changed");
    assert_eq!(role(&ring, &theirs), Some(Role::Index));
    assert_eq!(role(&ring, &new.index), Some(Role::Index), "the one before is still valid");
    assert_eq!(ring.check(new.index.expose(), later), None, "and ends");
    assert_eq!(role(&ring, &new.search), Some(Role::Search), "others stay");
    // Back to the one before: what ends does not end the one that stays.
    assert!(ring.adopt(Role::Index, &new.index, hour, now()).unwrap());
    assert!(ring.check(new.index.expose(), later).is_some());
    assert_eq!(ring.check(theirs.expose(), later), None);
    let text = std::fs::read_to_string(dir.path().join("keys.json")).unwrap();
    assert!(!text.contains(theirs.expose()));
}
