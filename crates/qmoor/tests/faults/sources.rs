//! Sources that are not as they should be: said with file and row, and put right by a second run after mending.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use crate::command::{qmoor, run_watched};
use crate::files::{fvecs, npy, texts};
use crate::node::Node;

const GIB: u64 = 1 << 30;

/// A source as it is, what must be said of it, and as it should be.
struct Case {
    file: &'static str,
    bad: Vec<u8>,
    words: &'static [&'static str],
    good: Vec<u8>,
}

fn case(
    file: &'static str,
    bad: impl Into<Vec<u8>>,
    words: &'static [&'static str],
    good: impl Into<Vec<u8>>,
) -> Case {
    Case { file, bad: bad.into(), words, good: good.into() }
}

/// Refused while it is bad, and whole once it is good; what a good one makes is told by an undisturbed collection.
fn refused_then_right(node: &Node, cases: Vec<Case>) {
    for (number, Case { file, bad, words, good }) in (0..).zip(cases) {
        let (collection, beside) = (format!("c{number}"), format!("beside{number}"));
        node.file(file, &bad);
        node.index(file, &collection).refused(1, words).refused(1, &[file]);
        node.file(file, &good);
        let summary = node.index(file, &collection).json();
        let again = node.index(file, &collection).json();
        assert_eq!(
            (&again["written"], &again["unchanged"]),
            (&0.into(), &summary["chunks"]),
            "{file}"
        );
        node.index(file, &beside).done();
        let content = node.content(&collection);
        assert_eq!(content, node.content(&beside), "{file}");
        assert_eq!(summary["chunks"], content.len(), "{file}");
        assert!(!content.is_empty(), "{file}");
    }
}

fn rows(rows: &[&str]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

#[test]
fn rows_of_text() {
    let node = Node::start();
    let good = texts(0..5);
    let cut = good.trim_end().trim_end_matches("more\"}").to_owned();
    let latin = [good.as_bytes(), b"{\"id\": \"x\", \"text\": \"caf\xe9\"}\n"].concat();
    let twice = [texts(0..5), texts(3..4)].concat();
    refused_then_right(
        &node,
        vec![
            case("cut.jsonl", cut, &["row 5"], good.clone()),
            case("latin.jsonl", latin, &["row 6", "UTF-8"], good.clone()),
            case("twice.jsonl", twice, &["row 6", "row 4", "d3"], good),
            case("array.jsonl", "[{\"id\": 1}]", &["JSON array"], texts(0..1)),
        ],
    );
}

#[test]
fn rows_of_vectors() {
    let node = Node::start();
    let good = rows(&[r#"{"id": 1, "vector": [1, 2, 3]}"#, r#"{"id": 2, "vector": [4, 5, 6]}"#]);
    let ragged = rows(&[r#"{"id": 1, "vector": [1, 2, 3]}"#, r#"{"id": 2, "vector": [4, 5]}"#]);
    let nan = good.replace('5', "NaN");
    let infinite = good.replace('5', "1e39");
    let none = rows(&[r#"{"id": 1, "vector": [1, 2, 3]}"#, r#"{"id": 2}"#]);
    refused_then_right(
        &node,
        vec![
            case("ragged.jsonl", ragged, &["row 2", "2 numbers", "3"], good.clone()),
            case("nan.jsonl", nan, &["row 2"], good.clone()),
            case("infinite.jsonl", infinite, &["row 2", "number 2", "inf"], good.clone()),
            case("none.jsonl", none, &["row 2"], good),
        ],
    );
}

#[test]
fn arrays_of_vectors() {
    let node = Node::start();
    let good: [&[f32]; 3] = [&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], &[7.0, 8.0, 9.0]];
    let nan: [&[f32]; 3] = [&[1.0, 2.0, 3.0], &[4.0, f32::NAN, 6.0], &[7.0, 8.0, 9.0]];
    // As many numbers as two whole vectors of three, so that only the rows themselves tell.
    let ragged: [&[f32]; 2] = [&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0]];
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 3);
        bytes
    };
    refused_then_right(
        &node,
        vec![
            case("nan.npy", npy(&nan), &["row 2", "number 2", "NaN"], npy(&good)),
            case("cut.npy", cut(npy(&good)), &["cut short"], npy(&good)),
            case("text.npy", "not an array", &[".npy"], npy(&good)),
            case("nan.fvecs", fvecs(&nan), &["row 2", "number 2", "NaN"], fvecs(&good)),
            case("cut.fvecs", cut(fvecs(&good)), &["cut short"], fvecs(&good)),
            case("ragged.fvecs", fvecs(&ragged), &["row 2", "where the first has 3"], fvecs(&good)),
        ],
    );
}

#[test]
fn files_that_are_missing_empty_or_not_what_their_name_says() {
    let node = Node::start();
    let text = "# A heading\n\nsome words\n";
    refused_then_right(
        &node,
        vec![
            case("empty.md", "", &["empty"], text),
            case("latin.md", b"caf\xe9\n".as_slice(), &["UTF-8", "byte 3"], text),
            case("program.md", b"\x7fELF\x00\x00".as_slice(), &["program"], text),
        ],
    );
    for file in ["empty.jsonl", "empty.npy", "empty.fvecs", "empty.parquet"] {
        node.file(file, b"");
        node.index(file, "none").refused(1, &[file, "empty"]);
    }
    for (file, bytes) in [
        ("zipped.jsonl", b"\x1f\x8b\x08 and so on".as_slice()),
        ("text.parquet", b"no table at all".as_slice()),
        ("cut.parquet", b"PAR1\x15\x04\x15\x00".as_slice()),
        ("cut-header.npy", b"\x93NUMPY\x01\x00\x76".as_slice()),
        ("text.fvecs", b"no vectors at all".as_slice()),
        ("unknown.xyz", b"?".as_slice()),
    ] {
        node.file(file, bytes);
        node.index(file, "none").refused(1, &[file]);
    }
    node.index("missing.jsonl", "none").refused(1, &["missing.jsonl", "does not exist"]);
    std::fs::create_dir(node.path().join("folder")).unwrap();
    node.index("folder", "none").refused(1, &["folder", "empty"]);
    assert_eq!(
        node.rest("GET", "/collections/none", &().into()).0,
        404,
        "nothing was made for any of them"
    );
}

#[test]
fn one_bad_file_in_a_folder_fails_the_run_and_holds_up_no_other() {
    let node = Node::start();
    std::fs::create_dir(node.path().join("notes")).unwrap();
    node.file("notes/a.md", b"first words\n");
    node.file("notes/b.md", b"caf\xe9\n");
    node.file("notes/c.md", b"last words\n");
    node.index("notes", "notes").refused(1, &["notes/b.md", "UTF-8"]);
    assert_eq!(node.content("notes").len(), 2);

    let aside =
        node.run(&["--json", "index", "notes", "-c", "notes", "--dead-letter", "aside.jsonl"]);
    let summary = aside.json();
    assert_eq!((&summary["unchanged"], &summary["rejected_count"]), (&2.into(), &1.into()));
    let line = std::fs::read_to_string(node.path().join("aside.jsonl")).unwrap();
    assert!(line.contains("notes/b.md") && line.contains("UTF-8"), "{line}");

    node.file("notes/b.md", "café\n".as_bytes());
    node.index("notes", "notes").done();
    let expected = [("a.md/0", "first words"), ("b.md/0", "café"), ("c.md/0", "last words")];
    let expected: BTreeMap<_, _> =
        expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    assert_eq!(node.content("notes"), expected);
}

#[test]
fn rows_that_are_set_aside_leave_the_rest_right() {
    let node = Node::start();
    let good = texts(0..20);
    let bad = good.replacen("{\"id\": \"d7\"", "\"d7\"", 1);
    node.file("rows.jsonl", bad.as_bytes());
    let aside = ["--json", "index", "rows.jsonl", "-c", "rows", "--dead-letter", "aside.jsonl"];
    let summary = node.run(&aside).json();
    assert_eq!((&summary["written"], &summary["rejected_count"]), (&19.into(), &1.into()));
    let line = std::fs::read_to_string(node.path().join("aside.jsonl")).unwrap();
    assert!(line.contains("rows.jsonl: row 8"), "{line}");
    node.file("rows.jsonl", good.as_bytes());
    assert_eq!(node.index("rows.jsonl", "rows").json()["written"], 1);
    assert_eq!(node.content("rows").len(), 20);
}

#[test]
fn vectors_that_do_not_fit_the_collection_change_nothing() {
    let node = Node::start();
    node.file("three.npy", &npy(&[&[1.0, 2.0, 3.0]]));
    node.file("four.npy", &npy(&[&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 4.0]]));
    node.index("three.npy", "v").done();
    let before = node.content("v");
    node.index("four.npy", "v").refused(1, &["`v`", "3 numbers", "4"]);
    let dot = ["index", "three.npy", "-c", "v", "--distance", "dot"];
    node.run(&dot).refused(1, &["`v`", "Cosine", "Dot"]);
    node.file("words.md", b"words\n");
    node.index("words.md", "v").refused(1, &["`v`", "text"]);
    assert_eq!(node.content("v"), before);
}

/// Two gigabytes that take no room on the disk.
fn endless(node: &Node, name: &str, begin: &[u8], end: &[u8]) {
    let mut file = File::create(node.path().join(name)).unwrap();
    file.write_all(begin).unwrap();
    file.set_len(2 * GIB).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(end).unwrap();
}

#[test]
fn a_line_of_two_gigabytes_is_refused_at_once_and_in_little_memory() {
    let node = Node::start();
    let begin = [texts(0..1).as_bytes(), b"{\"id\": 2, \"text\": \""].concat();
    endless(&node, "line.jsonl", &begin, b"\"}\n");
    endless(&node, "text.txt", &b"words ".repeat(1000), b"the end");
    for (file, words) in [
        ("line.jsonl", ["line.jsonl: row 2", "longer than"]),
        ("text.txt", ["text.txt", "longer than"]),
    ] {
        let mut command = qmoor(node.path(), &["index", file, "-c", "endless"]);
        let ended = run_watched(&mut command).refused(1, &words);
        assert!(ended.peak < 200 << 20, "{file}: {} MiB", ended.peak >> 20);
        assert!(ended.took < Duration::from_secs(10), "{file}: {:?}", ended.took);
    }
    node.file("line.jsonl", texts(0..3).as_bytes());
    node.index("line.jsonl", "endless").done();
    assert_eq!(node.content("endless").len(), 3);
}

#[test]
fn what_comes_after_a_line_that_is_too_long_is_read_when_that_is_set_aside() {
    let node = Node::start();
    let mut file = File::create(node.path().join("long.jsonl")).unwrap();
    file.write_all(texts(0..1).as_bytes()).unwrap();
    file.write_all(&vec![b'x'; 70 << 20]).unwrap();
    file.write_all(format!("\n{}", texts(2..3)).as_bytes()).unwrap();
    let aside = ["--json", "index", "long.jsonl", "-c", "long", "--dead-letter", "aside.jsonl"];
    assert_eq!(node.run(&aside).json()["written"], 2);
    let line = std::fs::read_to_string(node.path().join("aside.jsonl")).unwrap();
    assert!(line.contains("long.jsonl: row 2"), "{line}");
    let names: Vec<_> = node.content("long").into_keys().collect();
    assert_eq!(names, ["d0/0", "d2/0"]);
}
