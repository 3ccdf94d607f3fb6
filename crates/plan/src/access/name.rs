//! The parts of a path that a client chooses: names of collections, ids of points and backups.

/// Whether `segment` can only be one collection name, whoever decodes it and however often.
///
/// Percent-encoding is allowed where a name needs it (spaces, other scripts), not for anything that
/// has a meaning in a path.
pub(super) fn is_name(segment: &str) -> bool {
    decoded(segment).is_some()
}

/// The name itself, or none when it could be taken for anything else.
pub(super) fn decoded(segment: &str) -> Option<String> {
    if segment == "." || segment == ".." || segment.is_empty() {
        return None;
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
            let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                return None;
            };
            let byte = u8::try_from(high * 16 + low).ok()?;
            if byte.is_ascii_control() || b"/\\.%;?#".contains(&byte) {
                return None;
            }
            decoded.push(byte);
        } else if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
            decoded.push(byte);
        } else {
            return None;
        }
    }
    String::from_utf8(decoded).ok().filter(|name| !name.chars().any(char::is_control))
}

/// Whether `segment` looks like the id of a point or of a backup.
pub(super) fn is_id(segment: &str) -> bool {
    (1..=64).contains(&segment.len())
        && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
