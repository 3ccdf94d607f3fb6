//! The repository's password. Without this file the backups cannot be read: keep a copy elsewhere.

use std::path::Path;

use rand::Rng;

use crate::durable;
use crate::store::{StoreError, io_error};

/// Reads the password, if there is one.
pub(super) fn read(path: &Path) -> Result<Option<String>, StoreError> {
    match fs_err::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim_end_matches('\n').to_owned())),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(io_error("reading the store's password")(err)),
    }
}

/// Makes a password of 256 random bits and writes it down, readable by its owner only.
pub(super) fn create(path: &Path) -> Result<String, StoreError> {
    use std::fmt::Write as _;
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    let password = bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    });
    durable::write_durable(path, format!("{password}\n").as_bytes(), 0o600)
        .map_err(io_error("writing the store's password"))?;
    Ok(password)
}
