//! The list by a table, and by attacks on it.

use proptest::prelude::*;

use super::grpc::methods;
use super::rest::routes;
use super::{Access, Effect, Need, Role, allows, classify_grpc, classify_rest};

/// The pattern with names filled in.
fn filled(pattern: &str) -> String {
    pattern.replace("{c}", "my-docs_1.v2").replace("{id}", "5c56c793-69f3-4fbf-87e6-c4bf54c28c26")
}

fn shown(access: Access) -> String {
    let need = match access.need {
        Need::Open => "-".to_owned(),
        Need::Role(role) => role.to_string(),
        Need::Session => "session".to_owned(),
    };
    format!("{need:7} {:5} {}", format!("{:?}", access.effect).to_lowercase(), access.operation)
}

#[test]
fn the_list_of_routes() {
    let lines: Vec<String> = routes()
        .map(|(method, pattern, access)| {
            assert_eq!(classify_rest(method, &filled(pattern)), access, "{method} {pattern}");
            format!("{:45} {method} {pattern}", shown(access))
        })
        .collect();
    insta::assert_snapshot!("rest", lines.join("\n"));
}

#[test]
fn the_list_of_methods() {
    let lines: Vec<String> = methods()
        .map(|(path, access)| {
            assert_eq!(classify_grpc(path), access, "{path}");
            format!("{:45} {path}", shown(access))
        })
        .collect();
    insta::assert_snapshot!("grpc", lines.join("\n"));
}

#[test]
fn the_same_operation_needs_the_same_by_rest_and_by_grpc() {
    for (path, by_grpc) in methods() {
        for (method, pattern, by_rest) in routes() {
            if by_grpc.operation == by_rest.operation {
                assert_eq!(by_grpc, by_rest, "{path} and {method} {pattern}");
            }
        }
    }
}

#[test]
fn a_role_may_all_that_the_roles_before_it_may() {
    let [search, index, admin] = Role::ALL;
    assert!(allows(search, Need::Open));
    assert!(allows(search, Need::Role(search)));
    assert!(!allows(search, Need::Role(index)));
    assert!(allows(index, Need::Role(search)));
    assert!(!allows(index, Need::Role(admin)));
    assert!(Role::ALL.iter().all(|role| allows(admin, Need::Role(*role))));
}

#[test]
fn the_search_role_may_no_more_than_read_points_and_collections() {
    for (method, pattern, access) in routes() {
        if allows(Role::Search, access.need) {
            assert_eq!(access.effect, Effect::Read, "{method} {pattern}");
            assert!(!pattern.contains("snapshot"), "{method} {pattern}");
        }
    }
    for (path, access) in methods() {
        if allows(Role::Search, access.need) {
            assert_eq!(access.effect, Effect::Read, "{path}");
            assert!(!path.contains("Snapshot"), "{path}");
        }
    }
}

#[test]
fn what_needs_no_key_is_health_and_the_way_into_the_page() {
    let open: Vec<&str> = routes()
        .filter(|(_, _, access)| access.need == Need::Open)
        .map(|(_, _, access)| access.operation)
        .collect();
    let page = ["page.door", "page.login", "page.log_in", "page.style", "page.script"];
    let health = ["health.version", "health.healthz", "health.livez", "health.readyz"];
    assert_eq!(open, [&health[..], &page[..]].concat());
}

#[test]
fn a_session_opens_the_page_alone_and_no_key_but_the_admins_could_begin_it() {
    for (method, pattern, access) in routes() {
        let is_page = access.operation.starts_with("page.");
        assert_eq!(
            is_page,
            pattern.starts_with("/qmoor")
                && !pattern.contains("/v1/")
                && pattern != "/qmoor/metrics"
        );
        if access.need == Need::Session {
            assert!(is_page, "{method} {pattern}");
            assert_eq!(Role::ALL.map(|role| allows(role, access.need)), [false, false, true]);
        }
    }
}

#[test]
fn a_query_string_changes_nothing() {
    for query in ["?wait=true", "?", "?x=/snapshots", "?timeout=5&consistency=all", "?a=%2e%2e"] {
        for (method, pattern, access) in routes() {
            assert_eq!(classify_rest(method, &format!("{}{query}", filled(pattern))), access);
        }
    }
}

#[test]
fn names_may_be_encoded_where_they_must_be() {
    let get = |name: &str| classify_rest("GET", &format!("/collections/{name}")).operation;
    for name in ["docs", "my%20docs", "%C3%A9t%C3%A9", "a.b", "a:b", "a+b", "aliases", "%41", "..."]
    {
        assert_eq!(get(name), "collections.get", "{name}");
    }
    for name in [
        "", ".", "..", "%2e", "%2E%2e", "a%2fb", "a%2Fb", "a%5cb", "a\\b", "a%00", "a%0a", "a%7f",
        "a%252e", "a%", "a%2", "a%zz", "a%+1", "a;b", "a%3bb", "a b", "été", "%C3", "%ff",
        "%C2%85", "a#b", "a%23b", "a%3fb", "a\u{0}", "a\tb", "a\"b", "a|b", "a^b", "{c}", "[x]",
    ] {
        assert_eq!(get(name), "unlisted", "{name}");
    }
}

#[test]
fn whatever_is_not_on_the_list_is_a_write_of_the_admin() {
    let unlisted = [
        ("GET", ""),
        ("GET", "//"),
        ("GET", "/healthz/"),
        ("GET", "/qmoor//"),
        ("GET", "/qmoor/login/"),
        ("GET", "/qmoor/do"),
        ("PUT", "/qmoor/do"),
        ("POST", "/qmoor/"),
        ("GET", "/qmoor/%6cogin"),
        ("GET", "/Healthz"),
        ("POST", "/healthz"),
        ("get", "/collections"),
        ("HEAD", "/collections"),
        ("OPTIONS", "/collections"),
        ("GET", "/collections/"),
        ("GET", "/collections//points/1"),
        ("GET", "/collections/a/points/1/"),
        ("GET", "/collections/a/points/%31"),
        ("GET", "/collections/../snapshots"),
        ("GET", "http://host/collections"),
        ("GET", "collections"),
        ("GET", "*"),
        ("POST", "/collections/a/points/search/../../snapshots"),
        ("POST", "/collections/a/points/unheard-of"),
        ("PUT", "/collections/a/snapshots/recover"),
        ("POST", "/collections/a/snapshots/upload"),
        ("GET", "/dashboard"),
        ("POST", "/logger"),
        ("GET", "/qmoor/v1/backups/"),
        ("GET", "/qmoor/v1/backups/a%2fb"),
        ("DELETE", "/qmoor/v1/backups/a"),
    ];
    for (method, path) in unlisted {
        assert_eq!(classify_rest(method, path), Access::UNLISTED, "{method} {path}");
    }
    for path in [
        "",
        "/",
        "qdrant.Points/Query",
        "/qdrant.Points/query",
        "/qdrant.Points/Query/",
        "//qdrant.Points/Query",
        "/qdrant.Points/Query?x",
        "/qdrant.Points/%51uery",
        "/qdrant.PointsInternal/CoreSearchBatch",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        assert_eq!(classify_grpc(path), Access::UNLISTED, "{path}");
    }
}

#[test]
fn a_probe_may_ask_for_the_head_of_a_health_page() {
    for path in ["/", "/healthz", "/livez", "/readyz"] {
        assert_eq!(classify_rest("HEAD", path), classify_rest("GET", path));
    }
}

/// What a careless server might take `path` for: decoded as often as there is anything to decode,
/// slashes merged, dots resolved, parameters cut, lower case.
fn carelessly(path: &str) -> String {
    let mut text = path.to_owned();
    loop {
        let decoded = decode(&text);
        if decoded == text {
            break;
        }
        text = decoded;
    }
    let mut segments: Vec<String> = Vec::new();
    for segment in text.replace('\\', "/").to_lowercase().split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name.to_owned()),
        }
    }
    format!("/{}", segments.join("/"))
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                out.push(byte);
                bytes = &rest[2..];
            }
            _ => {
                out.push(*first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

const TRICKS: [&str; 22] = [
    "/", "//", "/.", "/..", "/../", ".", "..", "%2e", "%2E%2E", "%2f", "%2F..%2F", "%252e", "%5c",
    "\\", ";", ";x=1", "%3b", "%00", "é", "%C3%A9", " ", "#",
];

fn any_route() -> impl Strategy<Value = (&'static str, String, Access)> {
    let all: Vec<_> = routes().map(|(m, pattern, access)| (m, filled(pattern), access)).collect();
    prop::sample::select(all)
}

proptest! {
    #[test]
    fn no_trick_lowers_what_a_request_needs(
        (method, path, access) in any_route(),
        tricks in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(TRICKS.to_vec())), 1..4),
    ) {
        let mut tricked = path;
        for (place, trick) in tricks {
            let boundaries: Vec<usize> = tricked.char_indices().map(|(i, _)| i).collect();
            tricked.insert_str(*place.get(&boundaries), trick);
        }
        let found = classify_rest(method, &tricked);
        prop_assert!(found == Access::UNLISTED || found == access, "{} {}: {:?}", method, tricked, found);
    }

    #[test]
    fn another_case_lowers_nothing((method, path, access) in any_route(), upper in any::<u64>()) {
        let cased: String = path
            .chars()
            .enumerate()
            .map(|(i, c)| if upper >> (i % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        let found = classify_rest(method, &cased);
        prop_assert!(found == Access::UNLISTED || found == access, "{} {}: {:?}", method, cased, found);
    }

    #[test]
    fn a_careless_server_does_no_more_than_what_was_asked_for(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH"]),
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "collections", "aliases", "points", "query", "search", "snapshots", "a", "index",
                "payload", "delete", "cluster", "qmoor", "v1", "backups", "metrics", "7", "..", ".",
                "%2e%2e", "%2E", "%2f", "a%2fb", "%252e%252e", "a%20b", ";", "", "Collections",
                "%61liases", "%73napshots",
            ]),
            0..7,
        ),
    ) {
        let path = format!("/{}", parts.join("/"));
        let asked = classify_rest(method, &path);
        // A space in a name is no trick; it matches encoded only.
        let taken_for = classify_rest(method, &carelessly(&path).replace(' ', "%20"));
        prop_assert!(
            asked.need >= taken_for.need,
            "{} {}: asked {:?}, taken for {:?}", method, path, asked, taken_for
        );
    }

    #[test]
    fn any_text_is_classified(method in ".{0,8}", path in ".{0,80}") {
        let found = classify_rest(&method, &path);
        prop_assert!(found == Access::UNLISTED || routes().any(|(_, _, access)| access == found));
        let found = classify_grpc(&path);
        prop_assert!(found == Access::UNLISTED || methods().any(|(_, access)| access == found));
    }

    #[test]
    fn odd_methods_targets_and_endings_need_the_admin(
        (method, path, access) in any_route(),
        odd in prop::sample::select(vec![
            "GET ", " GET", "get", "Get", "GET\0", "TRACE", "CONNECT", "OPTIONS", "PROPFIND", "PURGE", "",
            "POST\tGET", "G\u{45}\u{301}T", "*",
        ]),
        ending in prop::sample::select(vec![
            "/", "//", ".", "/.", "/..", ";a=b", ";", "%3b", "%3f", "%20", "%00", "\0", "\t", " ", "#x", "%23",
            "%2f", "%5c", "\\", "/%2e", "/%2e%2e", "é", "%ff", "%C3", "&x=1", ":80", "@host",
        ]),
        host in prop::sample::select(vec!["http://host", "https://host:443", "//host", "host:443", "ftp:", "@"]),
    ) {
        prop_assert_eq!(classify_rest(odd, &path), Access::UNLISTED);
        prop_assert_eq!(classify_rest(method, &format!("{host}{path}")), Access::UNLISTED);
        let ended = classify_rest(method, &format!("{path}{ending}"));
        // A name may go on; what the rest of the path is for may not change.
        let into_the_page = [access.operation, ended.operation] == ["page.door", "page.home"];
        prop_assert!(
            ended == Access::UNLISTED || ended == access || into_the_page,
            "{}{}: {:?}", path, ending, ended
        );
        let twice = classify_rest(method, &format!("{path}{path}"));
        prop_assert!(twice.need >= access.need, "{}{}: {:?}", path, path, twice);
    }

    #[test]
    fn a_very_long_path_is_classified_at_once((method, path, access) in any_route(), length in 1_000_usize..100_000) {
        let long = path.replace("my-docs_1.v2", &"x".repeat(length));
        prop_assert!([access, Access::UNLISTED].contains(&classify_rest(method, &long)));
        let many = format!("{path}{}", "/x".repeat(length));
        prop_assert_eq!(classify_rest(method, &many), Access::UNLISTED);
        prop_assert_eq!(classify_grpc(&many), Access::UNLISTED);
    }

    #[test]
    fn whatever_a_role_may_do_the_higher_roles_may(method in "[A-Z]{3,7}", path in "/[a-z/%.;]{0,40}", (known, route, _) in any_route()) {
        for access in [classify_rest(&method, &path), classify_rest(known, &route), classify_grpc(&path)] {
            let may: Vec<bool> = Role::ALL.iter().map(|role| allows(*role, access.need)).collect();
            prop_assert!(may.is_sorted() && may.last() == Some(&true), "{:?}", may);
            // Only what is on a list is for less than the admin.
            prop_assert!(!may[0] || access != Access::UNLISTED);
        }
    }

    #[test]
    fn a_grpc_path_is_on_the_list_to_the_letter(
        (path, access) in prop::sample::select(methods().collect::<Vec<_>>()),
        place in any::<prop::sample::Index>(),
        trick in prop::sample::select(TRICKS.to_vec()),
        upper in any::<u64>(),
    ) {
        let mut tricked = path.to_owned();
        tricked.insert_str(place.index(path.len() + 1), trick);
        prop_assert_eq!(classify_grpc(&tricked), Access::UNLISTED, "{}", tricked);
        let cased: String = path
            .chars()
            .enumerate()
            .map(|(i, c)| if upper >> (i % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .collect();
        prop_assert!(cased == path || classify_grpc(&cased) == Access::UNLISTED);
        prop_assert!(path.is_empty() || classify_rest("POST", path) == Access::UNLISTED);
        prop_assert_ne!(access, Access::UNLISTED);
    }
}
