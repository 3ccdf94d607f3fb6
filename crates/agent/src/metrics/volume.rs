//! The file system that holds the data.

use std::path::PathBuf;
use std::time::Duration;

use qmoor_plan::history::Forecast;
use qmoor_plan::metrics;
use rustix::fs::StatVfs;

use super::MetricsError;
use super::bounded::Bounded;
use super::page::{Page, count};

/// Its size and what is free of it.
pub(super) struct Volume(StatVfs);

/// Looks at the file system below `data`. None if there is none, or it does not answer in time.
pub(super) async fn look(looks: &Bounded, data: PathBuf, wait: Duration) -> Option<Volume> {
    looks.look(wait, move || rustix::fs::statvfs(&data)).await?.ok().map(Volume)
}

/// Where it goes, once that is known.
pub(super) fn growth(page: &Page, forecast: Option<Forecast>) -> Result<(), MetricsError> {
    let Some(forecast) = forecast else { return Ok(()) };
    page.set(&metrics::VOLUME_GROWTH, forecast.growth)?;
    let Some(days) = forecast.days_to_full else { return Ok(()) };
    page.set(&metrics::VOLUME_DAYS, days)
}

impl Volume {
    pub(super) fn show(&self, page: &Page) -> Result<(), MetricsError> {
        let Self(found) = self;
        let bytes = |blocks| count(blocks) * count(found.f_frsize);
        page.set(&metrics::VOLUME_SIZE, bytes(found.f_blocks))?;
        // What is kept for root is of no use to an engine that is not.
        page.set(&metrics::VOLUME_FREE, bytes(found.f_bavail))?;
        page.set(&metrics::VOLUME_INODES, count(found.f_files))?;
        page.set(&metrics::VOLUME_INODES_FREE, count(found.f_favail))
    }
}
