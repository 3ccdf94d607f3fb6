//! The bytes of sources, good and bad.

/// JSON Lines of rows that are named by number: `{"id": n, "text": "word-n"}`.
pub(crate) fn texts(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{{\"id\": \"d{n}\", \"text\": \"word{n} and more\"}}\n")).collect()
}

/// `.fvecs`: the length before each vector.
pub(crate) fn fvecs(rows: &[&[f32]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        bytes.extend(i32::try_from(row.len()).unwrap().to_le_bytes());
        bytes.extend(row.iter().flat_map(|number| number.to_le_bytes()));
    }
    bytes
}

/// `.npy`, version 1.0, of single precision.
pub(crate) fn npy(rows: &[&[f32]]) -> Vec<u8> {
    let columns = rows.first().map_or(0, |row| row.len());
    let shape = format!("({}, {columns})", rows.len());
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    while !(header.len() + 11).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(rows.iter().flat_map(|row| row.iter()).flat_map(|number| number.to_le_bytes()));
    bytes
}

/// So many vectors that nothing can be pressed out of them.
pub(crate) fn noise(rows: usize, columns: usize) -> Vec<u8> {
    let numbers: Vec<f32> = (0..rows * columns).map(|_| rand::random::<f32>() + 0.1).collect();
    let rows: Vec<&[f32]> = numbers.chunks(columns).collect();
    npy(&rows)
}
