//! A cron expression, in UTC.

use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::{Serialize, Serializer};

/// How many moments are looked at for the longest time between two.
const MOMENTS: usize = 100;

/// Moments in time: five fields, or six with the second first. There is always another one.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    moments: croner::Cron,
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronError(String);

impl std::error::Error for CronError {}

impl std::fmt::Display for CronError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it is none, or never comes true, such as one for 30 February.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        let parser =
            CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let moments = parser.parse(text).map_err(|error| CronError(why(&error)))?;
        let cron = Self { text: text.trim().to_owned(), moments };
        match cron.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(CronError("no day is ever like that".to_owned())),
        }
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first moment after `moment`. None only where calendars end.
    #[must_use]
    pub fn after(&self, moment: Timestamp) -> Option<Timestamp> {
        instant(self.moments.find_next_occurrence(&civil(moment), false).ok()?)
    }

    /// The last moment that is not after `moment`.
    #[must_use]
    pub fn until(&self, moment: Timestamp) -> Option<Timestamp> {
        instant(self.moments.find_previous_occurrence(&civil(moment), true).ok()?)
    }

    /// The last moment before `moment`.
    #[must_use]
    pub fn before(&self, moment: Timestamp) -> Option<Timestamp> {
        instant(self.moments.find_previous_occurrence(&civil(moment), false).ok()?)
    }

    /// The longest time between two of the next hundred moments.
    #[must_use]
    pub fn interval(&self, from: Timestamp) -> Duration {
        let mut last = self.after(from);
        let mut longest = Duration::ZERO;
        for _ in 0..MOMENTS {
            let next = last.and_then(|last| self.after(last));
            let (Some(before), Some(after)) = (last, next) else { break };
            longest = longest.max(between(before, after));
            last = next;
        }
        longest
    }
}

/// What the library says, without its names for things.
fn why(error: &croner::errors::CronError) -> String {
    use croner::errors::CronError;
    match error {
        CronError::EmptyPattern => "it is empty".to_owned(),
        CronError::TimeSearchLimitExceeded | CronError::InvalidDate | CronError::InvalidTime => {
            "no day is ever like that".to_owned()
        }
        CronError::InvalidPattern(_) => "it has not five fields, nor six".to_owned(),
        CronError::IllegalCharacters(why) | CronError::ComponentError(why) => {
            let mut letters =
                why.trim_end_matches('.').replace("CronPattern", "it").chars().collect::<Vec<_>>();
            if let Some(first) = letters.first_mut() {
                *first = first.to_ascii_lowercase();
            }
            letters.into_iter().collect()
        }
    }
}

/// The time from one moment to a later one; none to an earlier one.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

fn civil(moment: Timestamp) -> DateTime {
    Offset::UTC.to_datetime(moment)
}

fn instant(moment: DateTime) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(moment).ok()
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl std::fmt::Display for Cron {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
