//! The file of readings of the volume.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use qmoor_plan::history::{GAP, Reading, Series};

use crate::durable::write_durable;

/// What is longer than this is no file of ours, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How soon it is looked again at the earliest.
const SOON: Duration = Duration::from_secs(1);

/// The readings, and the file they are in.
#[derive(Debug, Default)]
pub(super) struct Kept {
    series: Series,
    file: PathBuf,
    /// How many lines the file has.
    lines: usize,
    /// Whether it must be written anew before anything is added: a last line is torn, say.
    untidy: bool,
    /// Whether it has been said that it cannot be written.
    said: bool,
}

impl Kept {
    /// What the file has; nothing when there is none or it cannot be read.
    pub(super) async fn read(file: PathBuf) -> Self {
        let reading = tokio::task::spawn_blocking(move || Self::read_now(file));
        reading.await.unwrap_or_default()
    }

    fn read_now(file: PathBuf) -> Self {
        let text = match contents(&file) {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(%error, "the history of the volume cannot be read, and begins anew");
                String::new()
            }
        };
        let (series, untidy) = Series::parse(&text, Timestamp::now());
        Self { series, lines: text.lines().count(), file, untidy, said: false }
    }

    /// All readings, the oldest first.
    pub(super) fn readings(&self) -> Vec<Reading> {
        self.series.readings()
    }

    /// How long until the next look is due.
    pub(super) fn until_next(&self, now: Timestamp, gap: Duration) -> Duration {
        let Some(last) = self.series.last() else { return gap };
        let passed = Duration::try_from(now.duration_since(last.at)).unwrap_or_default();
        // The last one may not have been taken: then a whole gap, not a rush.
        if passed >= gap { gap } else { (gap - passed).max(SOON) }
    }

    /// Looks at the volume, and keeps what it sees. A disk that hangs is waited for, by nobody else.
    pub(super) async fn look(mut self, data: PathBuf) -> Self {
        let looking = tokio::task::spawn_blocking(move || {
            if let Some(reading) = self.due(&data) {
                self.keep(reading);
            }
            self
        });
        looking.await.unwrap_or_default()
    }

    /// A reading, if it is time for one.
    fn due(&self, data: &Path) -> Option<Reading> {
        let reading = read_volume(data).ok()?;
        // After a restart the last one may be young.
        (self.until_next(reading.at, GAP) >= GAP).then_some(reading)
    }

    fn keep(&mut self, reading: Reading) {
        if !self.series.push(reading, Timestamp::now()) {
            return;
        }
        let kept = match self.untidy || self.lines >= Series::lines_max() {
            true => self.rewrite(),
            false => self.append(&reading),
        };
        match kept {
            Ok(()) => self.said = false,
            Err(error) => {
                // What a full disk left of the line is cleaned up with the next one that fits.
                self.untidy = true;
                if !std::mem::replace(&mut self.said, true) {
                    let file = self.file.display();
                    tracing::warn!(%error, %file, "the history of the volume is not being written (hint: is the disk full?)");
                }
            }
        }
    }

    fn append(&mut self, reading: &Reading) -> std::io::Result<()> {
        let line = reading.line().unwrap_or_default();
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(&self.file)?;
        file.write_all(line.as_bytes())?;
        self.lines += 1;
        Ok(())
    }

    fn rewrite(&mut self) -> std::io::Result<()> {
        write_durable(&self.file, self.series.text().as_bytes(), 0o600)?;
        self.lines = self.series.readings().len();
        self.untidy = false;
        Ok(())
    }
}

/// The file system that holds `data`, at this moment. Blocks.
pub(crate) fn read_volume(data: &Path) -> std::io::Result<Reading> {
    let found = rustix::fs::statvfs(data)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Reading {
        at: Timestamp::now(),
        size: bytes(found.f_blocks),
        used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
        free: bytes(found.f_bavail),
    })
}

fn contents(file: &Path) -> std::io::Result<String> {
    match fs_err::metadata(file) {
        Ok(found) if found.len() > FILE_BYTES_MAX => return Ok("too long\n".to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    }
    // A tail that a power cut has left may be no text at all.
    Ok(String::from_utf8_lossy(&fs_err::read(file)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(seconds: i64) -> Timestamp {
        Timestamp::now() - jiff::SignedDuration::from_secs(seconds)
    }

    fn reading(at: Timestamp) -> Reading {
        Reading { at, size: 10, used: 4, free: 6 }
    }

    #[tokio::test]
    async fn a_look_is_kept_and_found_again_and_a_young_one_is_not_doubled() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history");
        let kept = Kept::read(file.clone()).await.look(dir.path().to_owned()).await;
        assert_eq!(kept.readings().len(), 1);
        let again = Kept::read(file).await.look(dir.path().to_owned()).await;
        assert_eq!(again.readings(), kept.readings());
        let found = again.readings()[0];
        assert!(found.size >= found.used + found.free && found.size > 0, "{found:?}");
    }

    #[tokio::test]
    async fn a_torn_end_is_tidied_up_with_the_next_reading() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history");
        let whole: String =
            [reading(ago(9000)), reading(ago(6000))].iter().filter_map(Reading::line).collect();
        fs_err::write(&file, [whole.as_bytes(), &b"{\"at\":\"20\xff\xff"[..]].concat()).unwrap();
        let kept = Kept::read(file.clone()).await.look(dir.path().to_owned()).await;
        assert_eq!(kept.readings().len(), 3);
        let text = fs_err::read_to_string(&file).unwrap();
        assert!(text.starts_with(&whole) && text.lines().count() == 3, "{text}");
    }

    #[test]
    fn what_cannot_be_written_is_dropped_from_the_disk_and_kept_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::read_now(dir.path().join("no folder").join("history"));
        kept.keep(reading(ago(100)));
        kept.keep(reading(ago(50)));
        assert_eq!((kept.readings().len(), kept.said, kept.untidy), (2, true, true));
        fs_err::create_dir(dir.path().join("no folder")).unwrap();
        kept.keep(reading(ago(10)));
        assert_eq!((kept.said, kept.untidy), (false, false));
        assert_eq!(Kept::read_now(kept.file.clone()).readings(), kept.readings());
    }

    #[test]
    fn a_file_that_grew_too_long_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("history");
        let line = reading(ago(90 * 24 * 3600)).line().unwrap();
        fs_err::write(&file, line.repeat(Series::lines_max() + 1)).unwrap();
        let mut kept = Kept::read_now(file.clone());
        kept.keep(reading(ago(1)));
        assert_eq!(fs_err::read_to_string(&file).unwrap().lines().count(), 1);
    }
}
