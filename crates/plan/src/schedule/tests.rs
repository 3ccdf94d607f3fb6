//! What is decided when, on clocks of every kind.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::decide::begins;
use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

fn cron(text: &str) -> Cron {
    Cron::parse(text).unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);

fn rules(cron: &Cron) -> Rules<'_> {
    Rules { cron, work: Work::Backup, node: "n", jitter: Duration::ZERO, catch_up: 24 * HOUR }
}

fn ledger(cron: &Cron, handled: &str) -> Ledger {
    Ledger::new(cron, at(handled))
}

fn run(due: &str, missed: u64) -> Decision {
    Decision::Run { due: at(due), missed }
}

fn pass(due: &str, missed: u64) -> Decision {
    Decision::Pass { due: at(due), missed }
}

#[test]
fn nothing_runs_before_its_time_and_each_runs_at_it() {
    let nightly = cron("0 3 * * *");
    let ledger = ledger(&nightly, "10T12:00:00");
    let cases = [
        ("10T12:00:00", Decision::Wait { at: at("11T03:00:00") }),
        ("11T02:59:59.999", Decision::Wait { at: at("11T03:00:00") }),
        ("11T03:00:00", run("11T03:00:00", 0)),
        ("11T03:00:30", run("11T03:00:00", 0)),
    ];
    for (now, expected) in cases {
        assert_eq!(decide(&rules(&nightly), &ledger, at(now)), expected, "{now}");
    }
}

#[test]
fn what_was_missed_is_counted_and_the_last_one_made_up_for_unless_it_is_too_late() {
    let nightly = cron("0 3 * * *");
    let ledger = ledger(&nightly, "10T03:00:00");
    let cases = [
        // A night that the node was down for.
        ("11T09:00:00", 24, run("11T03:00:00", 0)),
        ("11T09:00:00", 6, run("11T03:00:00", 0)),
        ("11T09:00:00", 5, pass("11T03:00:00", 1)),
        ("11T03:00:59", 0, run("11T03:00:00", 0)),
        ("11T03:01:01", 0, pass("11T03:00:00", 1)),
        // A clock that jumped by days, or a node that was down as long.
        ("15T09:00:00", 24, run("15T03:00:00", 4)),
        ("15T09:00:00", 0, pass("15T03:00:00", 5)),
    ];
    for (now, catch_up, expected) in cases {
        let rules = Rules { catch_up: catch_up * HOUR, ..rules(&nightly) };
        assert_eq!(decide(&rules, &ledger, at(now)), expected, "{now}, {catch_up} h");
    }
}

#[test]
fn a_clock_that_jumps_back_runs_nothing_again() {
    let hourly = cron("0 * * * *");
    let mut ledger = ledger(&hourly, "10T00:30:00");
    ledger.begin(at("10T12:00:00"), 0, at("10T12:00:01"));
    ledger.end();
    for now in ["10T12:00:01", "10T11:00:00", "09T13:00:00"] {
        assert!(!ledger.settle(at(now)), "{now}");
        let waits = Decision::Wait { at: at("10T13:00:00") };
        assert_eq!(decide(&rules(&hourly), &ledger, at(now)), waits, "{now}");
    }
}

#[test]
fn a_clock_that_was_far_ahead_does_not_stop_the_schedule_until_that_time_comes() {
    let hourly = cron("0 * * * *");
    let mut ledger = Ledger::new(&hourly, "2031-01-01T00:00:00Z".parse().unwrap());
    assert!(ledger.settle(at("10T12:30:00")));
    assert_eq!(decide(&rules(&hourly), &ledger, at("10T13:00:00")), run("10T13:00:00", 0));
}

#[test]
fn a_run_that_the_agents_end_cut_off_is_begun_once_more() {
    let nightly = cron("0 3 * * *");
    let mut ledger = ledger(&nightly, "10T12:00:00");
    ledger.begin(at("11T03:00:00"), 0, at("11T03:00:00"));
    let decide = |ledger: &Ledger, now| decide(&rules(&nightly), ledger, at(now));
    assert_eq!(decide(&ledger, "11T03:00:10"), run("11T03:00:00", 0));
    assert_eq!(decide(&ledger, "12T03:00:00"), run("12T03:00:00", 1), "a younger one is there");
    assert_eq!(decide(&ledger, "12T02:59:00"), run("11T03:00:00", 0), "it is not too late");
    ledger.begin(at("11T03:00:00"), 0, at("11T03:00:10"));
    assert_eq!(decide(&ledger, "11T03:00:20"), pass("11T03:00:00", 1), "no third time");
    ledger.pass(at("11T03:00:00"), 1, at("11T03:00:20"));
    assert_eq!((ledger.missed, ledger.last_missed), (1, Some(at("11T03:00:20"))));
    assert_eq!(decide(&ledger, "11T03:00:30"), Decision::Wait { at: at("12T03:00:00") });
}

#[test]
fn another_schedule_begins_anew_and_keeps_the_count() {
    let nightly = cron("0 3 * * *");
    let mut old = ledger(&nightly, "10T12:00:00");
    old.pass(at("11T03:00:00"), 1, at("11T09:00:00"));
    assert_eq!(Ledger::of(Some(old.clone()), &nightly, at("20T00:00:00")), old);
    let hourly = cron("0 * * * *");
    let new = Ledger::of(Some(old), &hourly, at("20T00:30:00"));
    assert_eq!((new.handled, new.missed), (at("20T00:30:00"), 1));
    assert_eq!(Ledger::of(None, &hourly, at("20T00:30:00")).missed, 0);
}

#[test]
fn the_jitter_follows_from_node_work_and_time_and_ends_before_the_next_run() {
    let hourly = cron("0 * * * *");
    let rules = Rules { jitter: 2 * HOUR, ..rules(&hourly) };
    let dues = || (0..100).map(|hour| at("01T00:00:00") + SignedDuration::from_hours(hour));
    let later = |rules: &Rules<'_>| -> Vec<Duration> {
        dues().map(|due| begins(rules, due).duration_since(due).try_into().unwrap()).collect()
    };
    let here = later(&rules);
    assert_eq!(here, later(&rules));
    assert_ne!(here, later(&Rules { node: "m", ..rules }));
    assert_ne!(here, later(&Rules { work: Work::Drill, ..rules }));
    assert!(here.iter().all(|later| *later < HOUR), "{here:?}");
    // All over the hour, and none is the same.
    assert!(
        here.iter().any(|later| *later < HOUR / 10)
            && here.iter().any(|later| *later > HOUR / 10 * 9)
    );
    assert!(later(&Rules { jitter: Duration::ZERO, ..rules }).iter().all(Duration::is_zero));
}

#[test]
fn what_is_no_schedule_is_refused_with_the_reason() {
    let cases = [
        ("", "it is empty"),
        ("0 3 * *", "it has not five fields, nor six"),
        ("0 0 3 * * * 2030", "it has not five fields, nor six"),
        ("every night", "it has not five fields, nor six"),
        ("61 * * * *", "number out of bounds"),
        ("0 3 * * 8", "number out of bounds"),
        ("5-1 * * * *", "range out of bounds"),
        ("*/0 * * * *", "step cannot be zero"),
        ("0 3 30 2 *", "no day is ever like that"),
        ("0 3 31 4,6,9,11 *", "no day is ever like that"),
    ];
    for (text, why) in cases {
        assert_eq!(Cron::parse(text).expect_err(text).to_string(), why, "{text}");
    }
    assert!(Cron::parse("a b c d e").unwrap_err().to_string().contains("illegal character 'A'"));
}

#[test]
fn an_interval_is_the_longest_time_between_two_runs() {
    let cases =
        [("0 3 * * *", 24), ("0 3 * * MON-FRI", 72), ("0 0 1 * *", 31 * 24), ("@hourly", 1)];
    for (text, hours) in cases {
        assert_eq!(cron(text).interval(at("10T12:00:00")), hours * HOUR, "{text}");
    }
}

/// What can happen to an agent between two looks at the clock.
#[derive(Debug, Clone)]
enum Turn {
    /// Time goes by, or the clock jumps forwards.
    Later(u32),
    /// The clock jumps back.
    Earlier(u32),
    /// The agent is killed during the next run.
    Killed,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        6 => (0_u32..200).prop_map(Turn::Later),
        3 => (200_u32..400_000).prop_map(Turn::Later),
        2 => (1_u32..80_000).prop_map(Turn::Earlier),
        1 => Just(Turn::Killed),
    ];
    prop::collection::vec(turn, 1..120)
}

proptest! {
    #[test]
    fn every_run_is_made_once_or_counted_as_missed_whatever_the_clock_does(
        turns in turns(),
        text in prop::sample::select(vec!["0 3 * * *", "*/7 * * * *", "0 */5 * * MON", "30 * * * * *", "0 0 L * *"]),
        jitter in 0_u64..4000,
        catch_up in 0_u64..100_000,
    ) {
        let cron = cron(text);
        let rules = Rules {
            jitter: Duration::from_secs(jitter),
            catch_up: Duration::from_secs(catch_up),
            ..rules(&cron)
        };
        let start = at("01T00:00:00");
        let (mut now, mut killed, mut was_killed) = (start, false, false);
        let mut ledger = Ledger::new(&cron, start);
        let mut made: BTreeMap<Timestamp, u32> = BTreeMap::new();
        for turn in turns {
            match turn {
                Turn::Later(seconds) => now += SignedDuration::from_secs(seconds.into()),
                // Never by more than a day behind the furthest that was seen.
                Turn::Earlier(seconds) => {
                    let back = now - SignedDuration::from_secs(seconds.into());
                    now = back.max(ledger.handled - SignedDuration::from_hours(24)).min(now);
                }
                Turn::Killed => (killed, was_killed) = (true, true),
            }
            prop_assert!(!ledger.settle(now));
            let before = ledger.handled;
            let cut_off = ledger.unfinished.map(|run| run.due);
            match decide(&rules, &ledger, now) {
                Decision::Wait { at } => {
                    prop_assert!(at > now, "{at} at {now}");
                    prop_assert_eq!(Some(at), rules.next(&ledger));
                }
                Decision::Run { due, missed } => {
                    prop_assert!(begins(&rules, due) <= now || cut_off == Some(due), "{due} at {now}");
                    if let Some(other) = cut_off.filter(|other| *other != due) {
                        made.remove(&other);
                    }
                    ledger.begin(due, missed, now);
                    *made.entry(due).or_default() += 1;
                    if !std::mem::take(&mut killed) {
                        ledger.end();
                    }
                }
                Decision::Pass { due, missed } => {
                    prop_assert!(missed > 0 && (due <= now || cut_off == Some(due)));
                    if let Some(other) = cut_off {
                        made.remove(&other);
                    }
                    ledger.pass(due, missed, now);
                }
            }
            prop_assert!(ledger.handled >= before);
        }
        let dues = std::iter::successors(cron.after(start), |due| cron.after(*due))
            .take_while(|due| *due <= ledger.handled)
            .count() as u64;
        prop_assert_eq!(made.len() as u64 + ledger.missed, dues);
        prop_assert!(made.values().all(|times| *times <= 2));
        prop_assert!(made.values().all(|times| *times == 1) || was_killed);
    }
}
