//! Each rule by an example, and the laws by properties.

use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;

use super::{Candidate, Decision, plan};
use crate::config::Retention;

const NONE: Retention =
    Retention { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, min_verified: 0 };

/// A complete one, whose id is its time.
fn at(time: &str) -> Candidate {
    Candidate {
        at: format!("{time}:00Z").parse().unwrap(),
        id: time.to_owned(),
        pinned: false,
        verified: false,
        complete: true,
        in_progress: false,
    }
}

fn shown(policy: &Retention, candidates: &[Candidate]) -> String {
    let line = |d: &Decision| {
        format!("{} {} ({})", if d.keep { "keep" } else { "drop" }, d.id, d.reasons.join("; "))
    };
    plan(policy, candidates).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_newest_of_each_period_is_kept_and_the_reasons_say_which() {
    let policy = Retention { last: 1, hourly: 2, daily: 2, weekly: 2, monthly: 2, min_verified: 0 };
    let times = [
        "2026-10-02T08:00",
        "2026-10-30T08:00",
        "2026-11-12T23:59",
        "2026-11-18T08:00",
        "2026-11-19T08:00",
        "2026-11-20T08:10",
        "2026-11-20T09:10",
        "2026-11-20T09:40",
    ];
    insta::assert_snapshot!(shown(&policy, &times.map(at)), @r#"
    keep 2026-11-20T09:40 (the newest; hourly 2026-11-20 09:00; daily 2026-11-20; weekly 2026-W47; monthly 2026-11)
    drop 2026-11-20T09:10 (no rule keeps it)
    keep 2026-11-20T08:10 (hourly 2026-11-20 08:00)
    keep 2026-11-19T08:00 (daily 2026-11-19)
    drop 2026-11-18T08:00 (no rule keeps it)
    keep 2026-11-12T23:59 (weekly 2026-W46)
    keep 2026-10-30T08:00 (monthly 2026-10)
    drop 2026-10-02T08:00 (no rule keeps it)
    "#);
}

#[test]
fn weeks_are_those_of_iso_across_new_year() {
    let policy = Retention { weekly: 3, ..NONE };
    let times = ["2026-12-28T00:00", "2026-12-27T23:59", "2027-01-03T23:59", "2027-01-04T00:00"];
    insta::assert_snapshot!(shown(&policy, &times.map(at)), @r#"
    keep 2027-01-04T00:00 (weekly 2027-W01)
    keep 2027-01-03T23:59 (weekly 2026-W53)
    drop 2026-12-28T00:00 (no rule keeps it)
    keep 2026-12-27T23:59 (weekly 2026-W52)
    "#);
}

#[test]
fn a_pinned_one_is_kept_whatever_the_rules_say() {
    let policy = Retention { last: 1, ..NONE };
    let pinned = Candidate { pinned: true, ..at("2026-01-01T00:00") };
    let incomplete = Candidate { pinned: true, complete: false, ..at("2026-01-02T00:00") };
    let candidates = [pinned, incomplete, at("2026-02-01T00:00"), at("2026-03-01T00:00")];
    insta::assert_snapshot!(shown(&policy, &candidates), @r#"
    keep 2026-03-01T00:00 (the newest)
    drop 2026-02-01T00:00 (no rule keeps it)
    keep 2026-01-02T00:00 (pinned)
    keep 2026-01-01T00:00 (pinned)
    "#);
}

#[test]
fn the_last_good_one_and_the_newest_verified_are_kept() {
    let verified = |time| Candidate { verified: true, ..at(time) };
    let candidates = [
        verified("2026-01-01T00:00"),
        verified("2026-01-02T00:00"),
        verified("2026-01-03T00:00"),
        at("2026-01-04T00:00"),
        at("2026-01-05T00:00"),
    ];
    insta::assert_snapshot!(shown(&NONE, &candidates), @r#"
    keep 2026-01-05T00:00 (the newest complete one)
    drop 2026-01-04T00:00 (no rule keeps it)
    keep 2026-01-03T00:00 (the last good one)
    drop 2026-01-02T00:00 (no rule keeps it)
    drop 2026-01-01T00:00 (no rule keeps it)
    "#);
    insta::assert_snapshot!(shown(&Retention { min_verified: 2, ..NONE }, &candidates), @r#"
    keep 2026-01-05T00:00 (the newest complete one)
    drop 2026-01-04T00:00 (no rule keeps it)
    keep 2026-01-03T00:00 (one of the 2 newest verified)
    keep 2026-01-02T00:00 (one of the 2 newest verified)
    drop 2026-01-01T00:00 (no rule keeps it)
    "#);
}

#[test]
fn an_incomplete_one_goes_once_a_newer_one_is_complete_unless_it_is_in_progress() {
    let policy = Retention { last: 5, ..NONE };
    let incomplete = |time| Candidate { complete: false, ..at(time) };
    let candidates = [
        incomplete("2026-01-01T00:00"),
        Candidate { in_progress: true, ..incomplete("2026-01-02T00:00") },
        at("2026-01-03T00:00"),
        incomplete("2026-01-04T00:00"),
        Candidate { in_progress: true, ..incomplete("2026-01-05T00:00") },
    ];
    insta::assert_snapshot!(shown(&policy, &candidates), @r#"
    keep 2026-01-05T00:00 (in progress)
    keep 2026-01-04T00:00 (incomplete, and no newer one is complete)
    keep 2026-01-03T00:00 (one of the 5 newest)
    keep 2026-01-02T00:00 (in progress)
    drop 2026-01-01T00:00 (incomplete, and 2026-01-03T00:00 is newer)
    "#);
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let flags = (prop::bool::weighted(0.1), any::<bool>(), prop::bool::weighted(0.8));
    let one = (0_i64..200_000, flags, prop::bool::weighted(0.05));
    prop::collection::vec(one, 0..40).prop_map(|rows| {
        let start: Timestamp = "2026-06-01T00:00:00Z".parse().unwrap();
        let candidate = |(i, (minutes, (pinned, verified, complete), in_progress))| Candidate {
            at: start.checked_add(ToSpan::minutes(minutes)).unwrap(),
            id: format!("b{i}"),
            pinned,
            verified,
            complete,
            in_progress,
        };
        rows.into_iter().enumerate().map(candidate).collect()
    })
}

fn policy() -> impl Strategy<Value = Retention> {
    let n = || 0_u32..6;
    (n(), n(), n(), n(), n(), n()).prop_map(
        |(last, hourly, daily, weekly, monthly, min_verified)| Retention {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            min_verified,
        },
    )
}

fn kept(policy: &Retention, candidates: &[Candidate]) -> BTreeSet<String> {
    plan(policy, candidates).into_iter().filter(|d| d.keep).map(|d| d.id).collect()
}

fn newest(candidates: &[Candidate], fits: impl Fn(&Candidate) -> bool) -> Vec<&Candidate> {
    let mut fitting: Vec<&Candidate> =
        candidates.iter().filter(|c| c.complete && !c.in_progress && fits(c)).collect();
    fitting.sort();
    fitting.reverse();
    fitting
}

proptest! {
    #[test]
    fn every_candidate_is_decided_once_with_a_reason(p in policy(), all in candidates()) {
        let decisions = plan(&p, &all);
        let ids: BTreeSet<&String> = decisions.iter().map(|d| &d.id).collect();
        prop_assert_eq!(ids.len(), all.len());
        prop_assert_eq!(decisions.len(), all.len());
        prop_assert!(decisions.iter().all(|d| !d.reasons.is_empty()));
    }

    #[test]
    fn the_order_of_the_candidates_is_of_no_matter(
        (p, all, mixed) in (policy(), candidates())
            .prop_flat_map(|(p, all)| (Just(p), Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        prop_assert_eq!(plan(&p, &all), plan(&p, &mixed));
    }

    #[test]
    fn a_larger_policy_keeps_at_least_as_much(p in policy(), more in policy(), all in candidates()) {
        let larger = Retention {
            last: p.last + more.last,
            hourly: p.hourly + more.hourly,
            daily: p.daily + more.daily,
            weekly: p.weekly + more.weekly,
            monthly: p.monthly + more.monthly,
            min_verified: p.min_verified + more.min_verified,
        };
        prop_assert!(kept(&p, &all).is_subset(&kept(&larger, &all)));
    }

    #[test]
    fn what_must_never_go_stays(p in policy(), all in candidates()) {
        let kept = kept(&p, &all);
        for c in all.iter().filter(|c| c.pinned || c.in_progress) {
            prop_assert!(kept.contains(&c.id), "{:?}", c);
        }
        for c in newest(&all, |_| true).into_iter().take(1.max(p.last as usize)) {
            prop_assert!(kept.contains(&c.id), "{:?}", c);
        }
        for c in newest(&all, |c| c.verified).into_iter().take(1.max(p.min_verified as usize)) {
            prop_assert!(kept.contains(&c.id), "{:?}", c);
        }
    }

    #[test]
    fn planning_again_after_pruning_removes_nothing_more(p in policy(), all in candidates()) {
        let before = kept(&p, &all);
        let left: Vec<Candidate> =
            all.into_iter().filter(|c| before.contains(&c.id)).collect();
        prop_assert_eq!(kept(&p, &left), before);
    }
}
