//! Whatever is asked for, and however it is spelt, no role may more than the one above it; what a role below
//! the admin may is on the list to the letter; and a limited key touches the collection that the path names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmoor_plan::access::{
    Access, Need, OutOfScope, Role, Scope, allows, classify_grpc, classify_rest, limit_rest,
};

fuzz_target!(|input: (&str, &str)| {
    let (method, path) = input;
    for access in [classify_rest(method, path), classify_grpc(path)] {
        let may = Role::ALL.map(|role| allows(role, access.need));
        assert!(may.is_sorted() && may[2]);
        assert!(access == Access::UNLISTED || access.operation != Access::UNLISTED.operation);
    }
    let access = classify_rest(method, path);
    if access.need < Need::Role(Role::Admin) {
        let bare = path.split('?').next().unwrap_or_default();
        assert!(["GET", "HEAD", "POST", "PUT"].contains(&method), "{method:?}");
        assert!(bare.is_ascii() && bare.starts_with('/') && !bare.contains("//"), "{bare:?}");
        assert!(!bare.split('/').any(|segment| segment == "." || segment == ".."), "{bare:?}");
        for word in ["%2e", "%2f", "%5c", "%00", "%25", ";", "\\", "#", "snapshots/"] {
            assert!(!bare.to_lowercase().contains(word), "{bare:?}");
        }
    }
    let none = Scope::parse("no-such-collection").expect("a scope");
    match limit_rest(&none, &access, method, path) {
        Ok(_) => assert!(access.need == Need::Open || path.contains("no-such-collection")),
        Err(OutOfScope::Collection(name)) => {
            // Whoever decodes the path once or more finds the same name.
            assert!(!name.contains(['/', '\\', '%', '?', '#', ';']), "{name:?}");
            assert!(name != "." && name != ".." && !name.is_empty(), "{name:?}");
        }
        Err(_) => {}
    }
});
