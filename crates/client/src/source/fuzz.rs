//! Files of any bytes, and good files with damage in them: an error or an answer, never a panic.

use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow_array::types::Float32Type;
use arrow_array::{FixedSizeListArray, RecordBatch, StringArray};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// Reads a source to its end, over bad rows too.
fn read(path: &Path) -> Result<usize, SourceError> {
    let mut source = open(path, &SourceOptions::default())?;
    source.shape()?;
    let mut items = 0;
    loop {
        match source.next() {
            Ok(None) => return Ok(items),
            Ok(Some(_)) | Err(SourceError::Row { .. }) => items += 1,
            Err(other) => return Err(other),
        }
    }
}

fn parquet() -> Vec<u8> {
    let rows = (0..300_u16).map(|row| Some(vec![Some(f32::from(row)), Some(0.5)]));
    let vectors = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 2);
    let text = StringArray::from_iter_values((0..300).map(|row| format!("text {row}")));
    let batch = RecordBatch::try_from_iter(vec![
        ("text", Arc::new(text) as Arc<dyn arrow_array::Array>),
        ("vector", Arc::new(vectors)),
    ]);
    let batch = batch.unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn npy() -> Vec<u8> {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2), }\n";
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &[0; 32]].concat()
}

fn fvecs() -> Vec<u8> {
    [[2, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64]; 4].concat()
}

const JSONL: &[u8] = b"{\"id\": 1, \"text\": \"one\", \"vector\": [1, 2.5e-3]}\n{\"doc\": \"d\", \
\"chunk\": 2, \"text\": \"\\u00fc two\", \"k\": {\"a\": [null, true]}}\n";

/// Bytes put over others, and a length it is cut to.
type Damage = (Vec<(prop::sample::Index, u8)>, Option<prop::sample::Index>);

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    (bytes, prop::option::weighted(0.2, any::<prop::sample::Index>()))
}

fn damaged(mut bytes: Vec<u8>, (over, cut): &Damage) -> Vec<u8> {
    for (at, byte) in over {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_under_any_name_are_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let folder = TempDir::new().unwrap();
        for name in ["a.txt", "a.md", "a.jsonl", "a.npy", "a.fvecs", "a.parquet"] {
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            if let Err(error) = read(&path) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(damage in damage()) {
        let folder = TempDir::new().unwrap();
        for (name, bytes) in [
            ("a.parquet", parquet()),
            ("a.npy", npy()),
            ("a.fvecs", fvecs()),
            ("a.jsonl", JSONL.to_vec()),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, damaged(bytes, &damage)).unwrap();
            if let Err(error) = read(&path) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
