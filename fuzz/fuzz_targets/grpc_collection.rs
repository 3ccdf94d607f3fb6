//! A gRPC message that a limited key may send names only its collections, for a decoder that reads all of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use qmoor_plan::access::{Scope, classify_grpc, classify_rest, limit_grpc, limit_rest};

const PATHS: [&str; 6] = [
    "/qdrant.Points/Upsert",
    "/qdrant.Points/Query",
    "/qdrant.Points/QueryBatch",
    "/qdrant.Points/QueryGroups",
    "/qdrant.Collections/Create",
    "/qdrant.Collections/Get",
];

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (which, piece, message) = input;
    let path = PATHS[usize::from(which) % PATHS.len()];
    let scope = Scope::parse("docs,n*").expect("a scope");
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
    body.extend_from_slice(message);
    let walk = |piece: usize| {
        let access = classify_grpc(path);
        let mut check = limit_grpc(&scope, &access, path)?.expect("a check");
        body.chunks(piece).try_for_each(|piece| check.push(piece))?;
        check.end()
    };
    let whole = walk(usize::MAX);
    assert_eq!(whole, walk(usize::from(piece) + 1), "the pieces make a difference");
    if whole.is_ok() {
        let names = names(message).expect("a decoder would refuse it");
        assert!(!names.is_empty());
        for name in names {
            assert!(scope.covers(std::str::from_utf8(name).expect("text")), "{name:?}");
        }
    }
    // The same bytes as JSON.
    let method = "POST";
    let path = "/collections/docs/points/query";
    let check = limit_rest(&scope, &classify_rest(method, path), method, path).expect("in scope");
    let mut check = check.expect("a check");
    let _either = check.push(message);
});

/// All fields with number 1 of a message, by a decoder of its own.
fn names(mut message: &[u8]) -> Option<Vec<&[u8]>> {
    let mut names = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let length = match tag & 7 {
            0 => {
                varint(&mut message)?;
                0
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (content, rest) = message.split_at_checked(length)?;
        message = rest;
        if tag >> 3 == 1 {
            names.push(content);
        }
    }
    Some(names)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
