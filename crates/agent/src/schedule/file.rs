//! What has become of a schedule's runs, in the state directory.

use std::io;
use std::path::Path;

use qmoor_plan::schedule::Ledger;

use crate::durable::write_durable;

/// What was written last; nothing before the first time.
pub(super) fn read(path: &Path) -> io::Result<Option<Ledger>> {
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let read = serde_json::from_slice(&bytes);
    read.map(Some).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
    })
}

/// On the disk when this returns.
pub(super) fn write(path: &Path, ledger: &Ledger) -> io::Result<()> {
    write_durable(path, &serde_json::to_vec(ledger)?, 0o600)
}

#[cfg(test)]
mod tests {
    use qmoor_plan::schedule::Cron;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("schedule-backup.json");
        assert_eq!(read(&path).unwrap(), None);
        let cron = Cron::parse("0 3 * * *").unwrap();
        let mut ledger = Ledger::new(&cron, "2026-11-28T12:00:00Z".parse().unwrap());
        let due = "2026-11-29T03:00:00Z".parse().unwrap();
        ledger.begin(due, 2, due);
        write(&path, &ledger).unwrap();
        assert_eq!(read(&path).unwrap(), Some(ledger));
        fs_err::write(&path, "{\"cron\"").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("schedule-backup.json"));
    }
}
