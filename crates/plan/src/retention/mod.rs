//! Which snapshots are kept, and why.
//!
//! A pure function of the policy and of what there is. Two things hold whatever the policy says:
//! a backup in progress is never removed, and neither is the last good one.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::config::Retention;

/// A snapshot to decide on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The moment it shows.
    pub at: Timestamp,
    /// Id of the backup.
    pub id: String,
    /// Whether the operator has pinned it.
    pub pinned: bool,
    /// Whether a verify or a drill has proved it.
    pub verified: bool,
    /// Whether its manifest is there.
    pub complete: bool,
    /// Whether it is being made now.
    pub in_progress: bool,
}

/// What to do with one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Id of the backup.
    pub id: String,
    /// Whether it stays.
    pub keep: bool,
    /// Why, in words; never empty.
    pub reasons: Vec<String>,
}

/// Decides on every candidate, the newest first. The order of `candidates` is of no matter.
#[must_use]
pub fn plan(policy: &Retention, candidates: &[Candidate]) -> Vec<Decision> {
    let mut newest_first: Vec<&Candidate> = candidates.iter().collect();
    newest_first.sort_by_key(|candidate| Reverse(*candidate));
    let mut kept = Kept::new(policy, &newest_first);
    newest_first.iter().map(|candidate| kept.decide(candidate)).collect()
}

/// The walk from the newest to the oldest: what each rule still wants.
struct Kept<'p> {
    policy: &'p Retention,
    newest_complete: Option<String>,
    newest_good: Option<String>,
    complete: u32,
    verified: u32,
    periods: [Period; 4],
}

/// A rule that keeps the newest of each of so many periods.
struct Period {
    name: &'static str,
    label: fn(Timestamp) -> String,
    wanted: u32,
    seen: BTreeSet<String>,
}

impl Period {
    /// The label of the period of `at`, if this is its newest and the rule still wants periods.
    fn keeps(&mut self, at: Timestamp) -> Option<String> {
        let label = (self.label)(at);
        let wants_more = self.seen.len() < usize::try_from(self.wanted).unwrap_or(usize::MAX);
        (wants_more && self.seen.insert(label.clone())).then(|| format!("{} {label}", self.name))
    }
}

impl<'p> Kept<'p> {
    fn new(policy: &'p Retention, newest_first: &[&Candidate]) -> Self {
        let newest = |fits: fn(&Candidate) -> bool| {
            newest_first.iter().find(|candidate| fits(candidate)).map(|found| found.id.clone())
        };
        let period = |name, label, wanted| Period { name, label, wanted, seen: BTreeSet::new() };
        Self {
            policy,
            newest_complete: newest(|c| c.complete && !c.in_progress),
            newest_good: newest(|c| c.complete && !c.in_progress && c.verified),
            complete: 0,
            verified: 0,
            periods: [
                period("hourly", hour as fn(Timestamp) -> String, policy.hourly),
                period("daily", day, policy.daily),
                period("weekly", week, policy.weekly),
                period("monthly", month, policy.monthly),
            ],
        }
    }

    /// Must be called from the newest to the oldest.
    fn decide(&mut self, candidate: &Candidate) -> Decision {
        let mut reasons = Vec::new();
        if candidate.in_progress {
            reasons.push("in progress".to_owned());
        }
        if candidate.pinned {
            reasons.push("pinned".to_owned());
        }
        if candidate.complete && !candidate.in_progress {
            self.rules(candidate, &mut reasons);
        } else if !candidate.in_progress && self.complete == 0 {
            reasons.push("incomplete, and no newer one is complete".to_owned());
        }
        let keep = !reasons.is_empty();
        if !keep {
            reasons.push(match &self.newest_complete {
                Some(newer) if !candidate.complete => format!("incomplete, and {newer} is newer"),
                Some(_) | None => "no rule keeps it".to_owned(),
            });
        }
        Decision { id: candidate.id.clone(), keep, reasons }
    }

    fn rules(&mut self, candidate: &Candidate, reasons: &mut Vec<String>) {
        self.complete = self.complete.saturating_add(1);
        if self.complete <= self.policy.last {
            reasons.push(one_of(self.policy.last, "newest"));
        }
        for period in &mut self.periods {
            reasons.extend(period.keeps(candidate.at));
        }
        if candidate.verified {
            self.verified = self.verified.saturating_add(1);
            if self.verified <= self.policy.min_verified {
                reasons.push(one_of(self.policy.min_verified, "newest verified"));
            }
        }
        if reasons.is_empty() && self.newest_complete.as_ref() == Some(&candidate.id) {
            reasons.push("the newest complete one".to_owned());
        }
        if reasons.is_empty() && self.newest_good.as_ref() == Some(&candidate.id) {
            reasons.push("the last good one".to_owned());
        }
    }
}

fn one_of(count: u32, which: &str) -> String {
    if count == 1 { format!("the {which}") } else { format!("one of the {count} {which}") }
}

fn hour(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:00").to_string()
}

fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

fn week(at: Timestamp) -> String {
    let week = at.to_zoned(TimeZone::UTC).date().iso_week_date();
    format!("{}-W{:02}", week.year(), week.week())
}

fn month(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m").to_string()
}

#[cfg(test)]
mod tests;
