//! Limited keys: what surely touches their collections and no others, and attacks on that.

use proptest::prelude::*;

use super::grpc::methods;
use super::rest::routes;
use super::shapes::shape_of;
use super::*;

fn scope() -> Scope {
    Scope::parse("docs,notes-*").unwrap()
}

#[test]
fn a_scope_is_exact_names_and_beginnings() {
    let scope = scope();
    for name in ["docs", "notes-", "notes-2026"] {
        assert!(scope.covers(name), "{name}");
    }
    for name in ["", "doc", "docs2", "Docs", "notes", "xnotes-1", "*", "docs,notes-*"] {
        assert!(!scope.covers(name), "{name}");
    }
    assert_eq!(Scope::parse(" notes-* , docs,docs").unwrap(), scope);
    assert_eq!(scope.to_string(), "docs,notes-*");
    let json = serde_json::to_string(&scope).unwrap();
    assert_eq!(json, "[\"docs\",\"notes-*\"]");
    assert_eq!(serde_json::from_str::<Scope>(&json).unwrap(), scope);
    for text in ["", "a,", "*a", "a**", "a/b", "..", "a%2fb", "a\u{0}", "a?b", &"x".repeat(256)] {
        assert!(Scope::parse(text).is_err(), "{text}");
    }
    assert!(serde_json::from_str::<Scope>("[]").is_err());
    assert!(Scope::parse("*").unwrap().covers("anything"));
}

fn rest(method: &str, path: &str) -> Result<Option<BodyCheck>, OutOfScope> {
    limit_rest(&scope(), &classify_rest(method, path), method, path)
}

#[test]
fn by_rest_the_path_must_name_one_collection_of_the_scope() {
    for (method, path) in [
        ("GET", "/collections/docs"),
        ("GET", "/collections/%64ocs"),
        ("GET", "/collections/notes-%C3%A9?x=/collections/other"),
        ("PUT", "/collections/notes-new"),
        ("POST", "/collections/docs/points/query"),
        ("PUT", "/collections/docs/points?wait=true"),
        ("GET", "/healthz"),
    ] {
        rest(method, path).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
    }
    for (method, path) in [
        ("GET", "/collections/other"),
        ("GET", "/collections/Docs"),
        ("GET", "/collections/docs%20"),
        ("POST", "/collections/other/points/query"),
        ("POST", "/collections/other/points/query?/collections/docs/"),
    ] {
        assert!(matches!(rest(method, path), Err(OutOfScope::Collection(_))), "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/collections"),
        ("GET", "/aliases"),
        ("GET", "/metrics"),
        ("POST", "/qmoor/v1/backups"),
        ("GET", "/qmoor/v1/backups/docs"),
        ("GET", "/collections/docs/"),
        ("GET", "//collections/docs"),
        ("GET", "/collections/docs/unheard-of"),
        ("GET", "/collections/docs/../other"),
    ] {
        assert_eq!(rest(method, path).err(), Some(OutOfScope::Unnamed), "{method} {path}");
    }
}

#[test]
fn every_route_of_a_limited_role_names_one_collection_or_is_refused() {
    for (method, pattern, access) in routes() {
        let path = pattern.replace("{c}", "other").replace("{id}", "1");
        let limited = limit_rest(&scope(), &access, method, &path);
        assert_eq!(limited.is_ok(), access.need == Need::Open, "{method} {pattern}");
    }
    for (path, access) in methods() {
        let Need::Role(role) = access.need else { continue };
        let names_one = !path.ends_with("/List") && !path.ends_with("/ListAliases");
        assert_eq!(shape_of(path).is_some(), names_one && role < Role::Admin, "{path}");
    }
}

fn scan(pieces: &[&str]) -> Result<(), OutOfScope> {
    let mut scan = JsonScan::default();
    pieces.iter().try_for_each(|piece| scan.push(piece.as_bytes()))
}

#[test]
fn a_body_that_names_another_collection_is_refused_however_it_is_written() {
    for body in [
        r#"{"lookup_from":{"collection":"other"}}"#,
        r#"{"prefetch":{"lookup_from" : null}}"#,
        r#"{"lookup\u005ffrom":1}"#,
        r#"{"\u006c\u006F\u006fkup_from":1}"#,
        r#"{"with_lookup":"other"}"#,
        "{\"with_lookup\"\n\t :\"other\"}",
        r#"{"init_from":{"collection":"other"}}"#,
        // By position: the fields of a prefetch in an array.
        r#"{"prefetch":[[[],[0.1],"v",{},{},0.0,10,["other","v"]]]}"#,
        r#"{"prefetch":[[[],[0.1],null,{},{},0.0,10,{"collection":"other"}]]}"#,
    ] {
        assert_eq!(scan(&[body]), Err(OutOfScope::Lookup), "{body}");
        let bytes: Vec<&str> = body.split("").collect();
        assert_eq!(scan(&bytes), Err(OutOfScope::Lookup), "{body}, byte by byte");
    }
    for body in [
        "",
        r#"{"query":[0.1,0.2],"filter":{"must":[{"key":"collection","match":{"value":"x"}}]}}"#,
        r#"{"query":{"text":"what is \"lookup_from\": a key?","model":"qdrant/bm25"}}"#,
        r#"{"query":"lookup_from","with_payload":["with_lookup","a\\\"b"]}"#,
        r#"{"positive":[1,"5c56c793-69f3-4fbf-87e6-c4bf54c28c26",[0.1,0.2]]}"#,
        r#"{"query":{"formula":{"sum":["$score",{"mult":[0.5,{"key":"a","match":{"any":["x"]}}]}]}}}"#,
        r#"{"lookup_fro":1,"lookup_from_":2,"LOOKUP_FROM":3}"#,
        r#"{"query":[[0.1,0.2],[0.3,0.4]],"limit":5}"#,
    ] {
        assert_eq!(scan(&[body]), Ok(()), "{body}");
    }
    assert_eq!(scan(&["[".repeat(129).as_str()]), Err(OutOfScope::Unreadable));
}

/// Protobuf by hand: a field of bytes.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = varint(number << 3 | 2);
    bytes.extend(varint(content.len() as u64));
    bytes.extend_from_slice(content);
    bytes
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

fn walk(path: &str, body: &[u8], piece: usize) -> Result<(), OutOfScope> {
    let check = limit_grpc(&scope(), &classify_grpc(path), path)?;
    let mut check = check.unwrap();
    body.chunks(piece).try_for_each(|piece| check.push(piece))?;
    check.end()
}

const UPSERT: &str = "/qdrant.Points/Upsert";
const QUERY: &str = "/qdrant.Points/Query";
const BATCH: &str = "/qdrant.Points/QueryBatch";

#[test]
fn by_grpc_every_name_in_the_message_counts() {
    let other = || Err(OutOfScope::Collection("other".to_owned()));
    let docs = field(1, b"docs");
    let secret = field(1, b"other");
    let points = field(3, &[7; 100_000]);
    let wait = [varint(2 << 3), varint(1)].concat();
    let named = |name: &[u8]| field(2, &field(1, name));
    let lookup = field(8, &field(1, b"docs"));
    let cases: [(&str, Vec<u8>, Result<(), OutOfScope>); 15] = [
        (UPSERT, [&docs[..], &wait, &points].concat(), Ok(())),
        (UPSERT, [&wait[..], &points, &docs].concat(), Ok(())),
        (UPSERT, [&docs[..], &points, &secret].concat(), other()),
        (UPSERT, [&secret[..], &points, &docs].concat(), other()),
        (UPSERT, [&docs[..], &docs].concat(), Ok(())),
        (UPSERT, [&docs[..], &field(1, b"")].concat(), Err(OutOfScope::Collection(String::new()))),
        (UPSERT, points.clone(), Err(OutOfScope::Unnamed)),
        (UPSERT, Vec::new(), Err(OutOfScope::Unnamed)),
        (UPSERT, [&docs[..], &field(9, b"new")].concat(), Err(OutOfScope::Unreadable)),
        (QUERY, [&docs[..], &field(14, b"")].concat(), Err(OutOfScope::Lookup)),
        (QUERY, [&docs[..], &field(2, &field(1, &lookup))].concat(), Err(OutOfScope::Lookup)),
        (BATCH, [&docs[..], &named(b""), &named(b"notes-1")].concat(), Ok(())),
        (BATCH, [&docs[..], &named(b"docs"), &named(b"other")].concat(), other()),
        (BATCH, [&docs[..], &field(2, &field(14, b"x"))].concat(), Err(OutOfScope::Lookup)),
        (BATCH, named(b"docs"), Err(OutOfScope::Unnamed)),
    ];
    for (path, message, expected) in cases {
        for piece in [1, 7, 1000, usize::MAX] {
            assert_eq!(walk(path, &framed(&message), piece), expected, "{path} {message:.60?}");
        }
    }
}

#[test]
fn messages_that_are_not_read_the_same_by_everybody_are_refused() {
    let docs = field(1, b"docs");
    let mut compressed = framed(&docs);
    compressed[0] = 1;
    assert_eq!(walk(UPSERT, &compressed, 9), Err(OutOfScope::Compressed));
    let mut long = docs.clone();
    // The tag of field 1 in two bytes instead of one is the same tag.
    long.splice(0..1, [0x8a, 0x00]);
    assert_eq!(walk(UPSERT, &framed(&long), 9), Ok(()));
    let twice = [framed(&docs), framed(&field(1, b"other"))].concat();
    let short = &framed(&docs)[..8];
    let beyond = framed(&[0x0a, 0x7f, b'd']);
    let group = framed(&[&docs[..], &[0x13, 0x14]].concat());
    let number = framed(&[0x08, 0x01]);
    let zero = framed(&[&docs[..], &[0x02, 0x00]].concat());
    let not_text = framed(&field(1, &[0xff, 0xfe]));
    let endless = framed(&[&docs[..], &[0x92], &[0x80; 12]].concat());
    let name = framed(&field(1, &[b'd'; 256]));
    let mut nested = Vec::new();
    for _ in 0..40 {
        nested = field(1, &nested);
    }
    let nested = framed(&[&docs[..], &field(2, &nested)].concat());
    for body in [twice, group, number, zero, not_text, endless, beyond, name, short.to_vec()] {
        assert_eq!(walk(UPSERT, &body, 3), Err(OutOfScope::Unreadable), "{body:?}");
    }
    assert_eq!(walk(QUERY, &nested, 3), Err(OutOfScope::Unreadable));
    assert_eq!(walk(UPSERT, b"", 1), Err(OutOfScope::Unreadable));
    let list = "/qdrant.Collections/List";
    assert_eq!(limit_grpc(&scope(), &classify_grpc(list), list).err(), Some(OutOfScope::Unnamed));
}

proptest! {
    #[test]
    fn any_bytes_are_walked_and_scanned_the_same_in_any_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        piece in 1_usize..40,
        framing in any::<bool>(),
    ) {
        let bytes = if framing { framed(&bytes) } else { bytes };
        for path in [UPSERT, QUERY, BATCH] {
            prop_assert_eq!(walk(path, &bytes, piece), walk(path, &bytes, usize::MAX));
        }
        let mut whole = JsonScan::default();
        let mut pieces = JsonScan::default();
        let by_piece = bytes.chunks(piece).try_for_each(|piece| pieces.push(piece));
        prop_assert_eq!(whole.push(&bytes), by_piece);
    }

    #[test]
    fn json_with_a_lookup_anywhere_is_refused(
        before in prop::collection::vec(("[a-z\"\\\\]{0,6}", any::<Option<i32>>()), 0..4),
        depth in 0_usize..20,
        escaped in any::<u16>(),
        key in prop::sample::select(vec!["lookup_from", "with_lookup", "init_from"]),
    ) {
        let written: String = key
            .chars()
            .enumerate()
            .map(|(i, c)| match escaped >> i & 1 {
                1 => format!("\\u{:04x}", u32::from(c)),
                _ => c.to_string(),
            })
            .collect();
        let mut body = format!("{{\"{written}\":\"other\"}}");
        for (name, number) in before {
            let name = serde_json::to_string(&name).unwrap();
            body = match number {
                Some(number) => format!("{{{name}:{number},\"x\":{body}}}"),
                None => format!("[{{{name}:{body}}}]"),
            };
        }
        for _ in 0..depth {
            body = format!("{{\"prefetch\":{body}}}");
        }
        prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{}", body);
        prop_assert_eq!(scan(&[&body]), Err(OutOfScope::Lookup), "{}", body);
    }

    #[test]
    fn what_is_written_as_a_lookup_in_text_alone_passes(text in ".{0,60}") {
        let text = format!("{text} \"lookup_from\": \"x\"");
        let body = serde_json::json!({"query": {"text": text}, "filter": {"key": text}}).to_string();
        prop_assert_eq!(scan(&[&body]), Ok(()), "{}", body);
    }
}

#[test]
fn an_address_is_told_a_few_times_and_then_stopped_until_time_passes() {
    use std::time::Duration;
    let mut failures = Failures::default();
    let one = "10.0.0.1".parse().unwrap();
    let second = Duration::from_secs(1);
    for _ in 0..20 {
        assert_eq!(failures.note(one, Duration::ZERO), Verdict::Tell);
    }
    for _ in 0..1000 {
        assert_eq!(failures.note(one, second / 2), Verdict::Stop);
    }
    assert_eq!(failures.note("10.0.0.2".parse().unwrap(), second), Verdict::Tell);
    assert_eq!(failures.note("::ffff:10.0.0.1".parse().unwrap(), second), Verdict::Tell);
    assert_eq!(failures.note(one, second), Verdict::Stop);
    for _ in 0..20 {
        assert_eq!(failures.note(one, second * 3600), Verdict::Tell);
    }
    assert_eq!(failures.note(one, second * 3600), Verdict::Stop);
}

#[test]
fn a_network_of_ipv6_addresses_is_one_address() {
    use std::net::Ipv6Addr;
    use std::time::Duration;
    let mut failures = Failures::default();
    let verdicts: Vec<_> = (0..40_u128)
        .map(|host| Ipv6Addr::from_bits(0x2001_0db8_0000_0001 << 64 | host << 20))
        .map(|address| failures.note(address.into(), Duration::ZERO))
        .collect();
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Stop).count(), 20);
    let next = Ipv6Addr::from_bits(0x2001_0db8_0000_0002 << 64);
    assert_eq!(failures.note(next.into(), Duration::ZERO), Verdict::Tell);
}

#[test]
fn a_million_addresses_need_no_more_memory_than_one() {
    use std::net::Ipv4Addr;
    use std::time::Duration;
    let mut failures = Failures::default();
    let before = failures.places();
    for number in 0..1_000_000_u32 {
        let address = Ipv4Addr::from_bits(number.wrapping_mul(2_654_435_761));
        failures.note(address.into(), Duration::from_micros(u64::from(number)));
    }
    assert_eq!(failures.places(), before);
    assert_eq!(before, 8192);
}

#[test]
fn only_so_many_lines_a_minute_are_written_and_the_others_are_counted() {
    use std::time::Duration;
    let mut lines = Trickle::new(3);
    let minute = Duration::from_secs(60);
    let passed: Vec<_> = (0..10).map(|_| lines.pass(Duration::ZERO)).collect();
    assert_eq!(passed[..4], [Some(0), Some(0), Some(0), None]);
    assert_eq!(lines.pass(minute), Some(7));
    assert_eq!(lines.pass(minute), Some(0));
}
