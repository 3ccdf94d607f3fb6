//! How a node stands, in one line: well, worth a look, or not well, with the reasons.

use crate::doctor::Verdict;

/// Fewer days than this until the volume is full are not well.
const DAYS_UNWELL: f64 = 3.0;
/// Fewer than this are worth a look.
const DAYS_LOOK: f64 = 14.0;
/// What `doctor` says of these is old news: it is known of this very moment.
const KNOWN_NOW: [&str; 2] = ["agent-up", "engine-up"];

/// The check that says the same of a node without a backup.
const BACKUP_AGE: &str = "backup-age";

/// How good it is; the worst is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing to do.
    Well,
    /// It works, and somebody should look at it.
    Look,
    /// Something that must be is not.
    Unwell,
}

/// What is known of the node.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Whether the engine answers.
    pub engine_up: bool,
    /// What it is stopped for, if it is meant to be.
    pub stopped_for: Option<String>,
    /// Why it does not run, if it should.
    pub engine_trouble: Option<String>,
    /// Whether an operator holds requests.
    pub held_by_hand: bool,
    /// Whether there is a complete backup; none if that is not known.
    pub has_backup: Option<bool>,
    /// Why the last attempt failed, if no backup ended well after it.
    pub last_failed: Option<String>,
    /// Whether the newest drill went well, if there was one.
    pub drill_ok: Option<bool>,
    /// Days until the volume is full, if that is in sight.
    pub days_to_full: Option<f64>,
    /// How many of the schedules have lately missed a run.
    pub missed: u64,
    /// What `doctor` found: the check, its verdict, what was seen.
    pub findings: Vec<(String, Verdict, String)>,
}

/// The line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The worst of all reasons.
    pub level: Level,
    /// Each with its own level, the worst first.
    pub reasons: Vec<(Level, String)>,
}

/// Puts together what is known.
#[must_use]
pub fn standing(known: &Known) -> Standing {
    let mut reasons = Vec::new();
    let mut say = |level, what: String| reasons.push((level, what));
    if !known.engine_up && known.stopped_for.is_none() {
        let why = known.engine_trouble.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        say(Level::Unwell, format!("the engine is down{why}"));
    }
    if let Some(why) = &known.last_failed {
        say(Level::Unwell, format!("the last backup failed: {why}"));
    }
    if known.drill_ok == Some(false) {
        say(Level::Unwell, "the newest drill found what it should not".to_owned());
    }
    let said_by_doctor =
        known.findings.iter().any(|(id, verdict, _)| id == BACKUP_AGE && *verdict > Verdict::Pass);
    if known.has_backup == Some(false) && !said_by_doctor {
        say(Level::Look, "there is no complete backup yet".to_owned());
    }
    if known.held_by_hand {
        say(Level::Look, "an operator holds requests".to_owned());
    }
    if let Some(days) = known.days_to_full.filter(|days| *days < DAYS_LOOK) {
        let level = if days < DAYS_UNWELL { Level::Unwell } else { Level::Look };
        say(level, format!("the volume is full in {days:.0} days at the present rate"));
    }
    if known.missed > 0 {
        say(Level::Look, "a scheduled run was missed in the last day".to_owned());
    }
    let of_doctor = known.findings.iter().filter(|(id, ..)| !KNOWN_NOW.contains(&id.as_str()));
    for (id, verdict, seen) in of_doctor {
        match verdict {
            Verdict::Fail => say(Level::Unwell, format!("{id}: {seen}")),
            Verdict::Warn => say(Level::Look, format!("{id}: {seen}")),
            Verdict::Pass | Verdict::NotApplicable => {}
        }
    }
    reasons.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    let level = reasons.first().map_or(Level::Well, |(level, _)| *level);
    Standing { level, reasons }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Known {
        Known { engine_up: true, has_backup: Some(true), drill_ok: Some(true), ..Known::default() }
    }

    #[test]
    fn nothing_to_say_is_well() {
        assert_eq!(standing(&well()), Standing { level: Level::Well, reasons: Vec::new() });
        let unknown = Known { has_backup: None, drill_ok: None, ..well() };
        assert_eq!(standing(&unknown).level, Level::Well);
        let far = Known { days_to_full: Some(90.0), ..well() };
        assert_eq!(standing(&far).level, Level::Well);
    }

    #[test]
    fn an_engine_that_is_stopped_on_purpose_is_no_trouble() {
        let down = Known { engine_up: false, ..well() };
        assert_eq!(standing(&down).level, Level::Unwell);
        let stopped = Known { stopped_for: Some("a backup".to_owned()), ..down };
        assert_eq!(standing(&stopped).level, Level::Well);
    }

    #[test]
    fn each_reason_has_its_level() {
        let some = |text: &str| Some(text.to_owned());
        for (known, level) in [
            (Known { last_failed: some("drain: late"), ..well() }, Level::Unwell),
            (Known { drill_ok: Some(false), ..well() }, Level::Unwell),
            (Known { days_to_full: Some(2.0), ..well() }, Level::Unwell),
            (Known { days_to_full: Some(9.0), ..well() }, Level::Look),
            (Known { has_backup: Some(false), ..well() }, Level::Look),
            (Known { held_by_hand: true, ..well() }, Level::Look),
            (Known { missed: 1, ..well() }, Level::Look),
        ] {
            let seen = standing(&known);
            assert_eq!((seen.level, seen.reasons.len()), (level, 1), "{known:?}");
        }
    }

    #[test]
    fn the_worst_comes_first_and_the_checks_count_but_for_what_is_known_now() {
        let finding =
            |id: &str, verdict| (id.to_owned(), verdict, "as it was a minute ago".to_owned());
        let none = Known { has_backup: Some(false), ..well() };
        let said = vec![finding("backup-age", Verdict::Fail)];
        assert_eq!(standing(&Known { findings: said, ..none }).reasons.len(), 1, "said once");
        let findings = vec![
            finding("engine-up", Verdict::Fail),
            finding("clock", Verdict::Warn),
            finding("backup-age", Verdict::Fail),
            finding("tls", Verdict::Pass),
        ];
        let seen = standing(&Known { findings, ..well() });
        assert_eq!(seen.level, Level::Unwell);
        let texts: Vec<&str> = seen.reasons.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["backup-age: as it was a minute ago", "clock: as it was a minute ago"]);
    }
}
