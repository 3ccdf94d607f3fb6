//! What the audit log says: who did what from where, and how it ended.
//!
//! A thing that is done has two records of one id: one from before it is done, one from after. A thing without the second
//! was cut short, or is going on.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::Role;

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `key 3f2a9c`, `uid 0`, `nobody`, or the part of the agent that acts by itself.
    pub who: String,
    /// The role of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// An address, `process 123` of this host, or `agent`.
    pub from: String,
}

impl Actor {
    /// The holder of a key, at the gateway.
    #[must_use]
    pub fn key(id: &str, role: Role, from: IpAddr) -> Self {
        Self { who: format!("key {id}"), role: Some(role), from: from.to_string() }
    }

    /// Someone at the gateway without a right key.
    #[must_use]
    pub fn nobody(from: IpAddr) -> Self {
        Self { who: "nobody".to_owned(), role: None, from: from.to_string() }
    }

    /// A user of this host, who may open the control socket or the node's files.
    #[must_use]
    pub fn user(uid: u32, process: Option<u32>) -> Self {
        let from = process.map_or_else(|| "this host".to_owned(), |pid| format!("process {pid}"));
        Self { who: format!("uid {uid}"), role: None, from }
    }

    /// The agent by itself: `part` says which part of it.
    #[must_use]
    pub fn agent(part: &str) -> Self {
        Self { who: part.to_owned(), role: None, from: "agent".to_owned() }
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is about to be done.
    Begun,
    /// It was done.
    Done,
    /// It was tried, or refused for another reason than who asked.
    Failed,
    /// Whoever asked may not.
    Denied,
}

impl Outcome {
    /// Its word, as in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Denied => "denied",
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was written.
    pub at: Timestamp,
    /// What it belongs to.
    pub id: String,
    /// Who.
    #[serde(flatten)]
    pub actor: Actor,
    /// What is done, in the words of the command line where there is one: `keys rotate`.
    pub action: String,
    /// With what: the request, without secrets.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub what: Value,
    /// How it went.
    pub result: Outcome,
    /// Why it failed or was denied.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Records of this kind that were left out before this one, because there were too many of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// One thing that was done or refused: its records together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The last record, with the time of the first.
    #[serde(flatten)]
    pub record: Record,
    /// When its end was written; none while it is going on, and for ever if it was cut short.
    pub ended: Option<Timestamp>,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// How many, the newest of them.
    #[serde(default)]
    pub last: Option<usize>,
    /// Only those that began at this time or later.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Only actions that begin with this.
    #[serde(default)]
    pub action: Option<String>,
    /// Only what was denied.
    #[serde(default)]
    pub denied: bool,
}

/// How many entries one answer has at most.
pub const ENTRIES_MAX: usize = 1000;
/// How many it has when that is not said.
pub const ENTRIES: usize = 50;

/// The entries that are wanted, the oldest first, of lines in the order in which they were written. Lines that are no
/// records (torn by a power cut) are passed over.
pub fn entries<'a>(lines: impl IntoIterator<Item = &'a str>, wanted: &Wanted) -> Vec<Entry> {
    let mut reader = Reader::new(wanted.clone());
    for line in lines {
        reader.line(line);
    }
    reader.entries()
}

/// Puts entries together line by line, and holds no more of them than are wanted.
#[derive(Debug)]
pub struct Reader {
    wanted: Wanted,
    most: usize,
    kept: VecDeque<Entry>,
    /// What has no end yet, by its id: its number, counted from the first that ever was kept; none if it is not wanted.
    open: HashMap<String, Option<usize>>,
    passed: usize,
}

impl Reader {
    /// Begins.
    #[must_use]
    pub fn new(wanted: Wanted) -> Self {
        let most = wanted.last.unwrap_or(ENTRIES).min(ENTRIES_MAX);
        Self { wanted, most, kept: VecDeque::new(), open: HashMap::new(), passed: 0 }
    }

    /// Takes the next line of the log.
    pub fn line(&mut self, line: &str) {
        let Ok(record) = serde_json::from_str::<Record>(line) else { return };
        if record.result != Outcome::Begun
            && let Some(number) = self.open.remove(&record.id)
        {
            let place = number.and_then(|number| number.checked_sub(self.passed));
            if let Some(entry) = place.and_then(|place| self.kept.get_mut(place)) {
                let begun = entry.record.at;
                entry.ended = Some(record.at);
                entry.record = Record { at: begun, ..record };
            }
            return;
        }
        let is_wanted = self.is_wanted(&record) && self.most > 0;
        if is_wanted && self.kept.len() == self.most && self.kept.pop_front().is_some() {
            self.passed += 1;
        }
        // An end whose beginning the disk did not take is an entry by itself.
        let ended = (record.result != Outcome::Begun).then_some(record.at);
        if ended.is_none() {
            let number = is_wanted.then_some(self.passed + self.kept.len());
            self.open.insert(record.id.clone(), number);
        }
        if !is_wanted {
            return;
        }
        self.kept.push_back(Entry { record, ended });
    }

    fn is_wanted(&self, record: &Record) -> bool {
        let Wanted { since, action, denied, last: _ } = &self.wanted;
        since.is_none_or(|since| record.at >= since)
            && action.as_ref().is_none_or(|action| record.action.starts_with(action.as_str()))
            && (!denied || record.result == Outcome::Denied)
    }

    /// The entries, the oldest first.
    #[must_use]
    pub fn entries(self) -> Vec<Entry> {
        self.kept.into()
    }
}

/// The names of the settings that are not what they were, in their order.
#[must_use]
pub fn changed(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let mut names: Vec<String> = before
        .keys()
        .chain(now.keys())
        .filter(|name| before.get(*name) != now.get(*name))
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(second: i64, id: &str, action: &str, result: Outcome) -> Record {
        Record {
            at: Timestamp::from_second(second).unwrap(),
            id: id.to_owned(),
            actor: Actor::key("3f2a", Role::Admin, IpAddr::from([10, 0, 0, 7])),
            action: action.to_owned(),
            what: Value::Null,
            result,
            message: String::new(),
            unseen: 0,
        }
    }

    fn lines(records: &[Record]) -> Vec<String> {
        records.iter().map(|record| serde_json::to_string(record).unwrap()).collect()
    }

    fn read(records: &[Record], wanted: &Wanted) -> Vec<(String, Outcome, Option<i64>)> {
        let lines = lines(records);
        entries(lines.iter().map(String::as_str), wanted)
            .into_iter()
            .map(|entry| {
                (entry.record.id, entry.record.result, entry.ended.map(Timestamp::as_second))
            })
            .collect()
    }

    #[test]
    fn a_line_says_who_what_and_how_and_nothing_that_is_empty() {
        let line = lines(&[record(5, "a", "pin", Outcome::Done)]).remove(0);
        assert_eq!(
            line,
            r#"{"at":"1970-01-01T00:00:05Z","id":"a","who":"key 3f2a","role":"admin","from":"10.0.0.7","action":"pin","result":"done"}"#
        );
    }

    #[test]
    fn begin_and_end_are_one_entry_and_what_was_cut_short_stays_begun() {
        use Outcome::{Begun, Denied, Done, Failed};
        let records = [
            record(1, "a", "backup", Begun),
            record(2, "b", "keys rotate", Begun),
            record(3, "b", "keys rotate", Failed),
            record(4, "c", "points.upsert", Denied),
            record(9, "a", "backup", Done),
            record(10, "d", "restore", Begun),
        ];
        assert_eq!(
            read(&records, &Wanted::default()),
            [
                ("a".to_owned(), Done, Some(9)),
                ("b".to_owned(), Failed, Some(3)),
                ("c".to_owned(), Denied, Some(4)),
                ("d".to_owned(), Begun, None),
            ]
        );
        let first = entries(lines(&records).iter().map(String::as_str), &Wanted::default());
        assert_eq!(first[0].record.at, Timestamp::from_second(1).unwrap());
    }

    #[test]
    fn the_newest_are_given_and_an_end_whose_beginning_is_gone_is_no_entry() {
        use Outcome::{Begun, Done};
        let records = [
            record(1, "a", "backup", Begun),
            record(2, "b", "pin", Begun),
            record(3, "c", "pin", Begun),
            record(4, "a", "backup", Done),
            record(5, "c", "pin", Done),
            record(6, "b", "pin", Done),
        ];
        let two = Wanted { last: Some(2), ..Wanted::default() };
        assert_eq!(
            read(&records, &two),
            [("b".to_owned(), Done, Some(6)), ("c".to_owned(), Done, Some(5))]
        );
        assert_eq!(read(&records, &Wanted { last: Some(0), ..Wanted::default() }), []);
    }

    #[test]
    fn filters_look_at_time_action_and_denial() {
        use Outcome::{Begun, Denied, Done};
        let records = [
            record(1, "a", "keys rotate", Begun),
            record(2, "a", "keys rotate", Done),
            record(3, "b", "points.upsert", Denied),
            record(4, "c", "keys revoke", Begun),
        ];
        let ids = |wanted| -> Vec<String> {
            read(&records, &wanted).into_iter().map(|(id, _, _)| id).collect()
        };
        let keys = Some("keys".to_owned());
        assert_eq!(ids(Wanted { action: keys, ..Wanted::default() }), ["a", "c"]);
        assert_eq!(ids(Wanted { denied: true, ..Wanted::default() }), ["b"]);
        let since = Timestamp::from_second(3).ok();
        assert_eq!(ids(Wanted { since, ..Wanted::default() }), ["b", "c"]);
        let since = Timestamp::from_second(2).ok();
        assert_eq!(ids(Wanted { since, ..Wanted::default() }), ["b", "c"], "an end alone");
    }

    #[test]
    fn an_end_whose_beginning_the_disk_did_not_take_is_an_entry() {
        assert_eq!(
            read(&[record(4, "a", "backup", Outcome::Done)], &Wanted::default()),
            [("a".to_owned(), Outcome::Done, Some(4))]
        );
    }

    #[test]
    fn torn_lines_are_passed_over() {
        let whole = lines(&[record(1, "a", "pin", Outcome::Done)]).remove(0);
        let torn = &whole[..20];
        assert_eq!(entries([torn, whole.as_str(), "", "{}"], &Wanted::default()).len(), 1);
    }

    #[test]
    fn settings_that_came_went_or_differ_have_changed() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let before = map(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let now = map(&[("b", "2"), ("c", "4"), ("d", "5")]);
        assert_eq!(changed(&before, &now), ["a", "c", "d"]);
        assert!(changed(&now, &now).is_empty());
    }
}
