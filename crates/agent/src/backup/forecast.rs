//! How long the next pause will be, from the last ones.

use std::time::Duration;

use qmoor_plan::backup::{Mode, State};

/// How many past pauses are looked at.
const LAST: usize = 5;
/// With fewer points than this a pause is the time that an engine takes to stop and start, however few there are: a
/// node that was backed up with one point in it must not be taken for one that grew a thousandfold.
const FEW: u64 = 100_000;

/// The median of the last pauses of this mode, each scaled by how many points there are now; nothing before the
/// first backup. A node that grew tenfold takes longer to stop and to start, one that shrank is not promised less.
pub(crate) fn forecast(state: &State, mode: Mode, points: u64) -> Option<Duration> {
    let mut last: Vec<_> = state.completed.values().filter(|backup| backup.mode == mode).collect();
    last.sort_by_key(|backup| std::cmp::Reverse(backup.at));
    let scaled = |pause_ms: f64, then: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a forecast")]
        let growth = (points as f64 / then.max(FEW) as f64).max(1.0);
        pause_ms * growth
    };
    let mut pauses: Vec<f64> =
        last.iter().take(LAST).map(|backup| scaled(backup.pause_ms, backup.points)).collect();
    pauses.sort_by(f64::total_cmp);
    let median = pauses.get(pauses.len() / 2)?;
    Duration::try_from_secs_f64(median / 1000.0).ok()
}

#[cfg(test)]
mod tests {
    use qmoor_plan::backup::Completed;

    use super::*;

    fn after(pauses: &[(f64, u64)]) -> State {
        let mut state = State::default();
        for (number, (pause_ms, points)) in (0_i64..).zip(pauses) {
            let at = jiff::Timestamp::from_second(number).unwrap();
            let (pause_ms, points, mode) = (*pause_ms, *points, Mode::Stop);
            let completed = Completed { at, pause_ms, bytes_added: 0, points, mode, grade: None };
            state.completed.insert(number.to_string(), completed);
        }
        state
    }

    #[test]
    fn it_is_the_median_of_the_last_five_of_the_same_mode() {
        let state =
            after(&[(9000.0, 10), (100.0, 10), (300.0, 10), (200.0, 10), (400.0, 10), (250.0, 10)]);
        assert_eq!(forecast(&state, Mode::Stop, 10), Some(Duration::from_millis(250)));
        assert_eq!(forecast(&state, Mode::Freeze, 10), None);
        assert_eq!(forecast(&State::default(), Mode::Stop, 10), None);
    }

    #[test]
    fn a_node_that_grew_is_expected_to_take_longer_and_one_that_shrank_no_less() {
        let state = after(&[(100.0, 1_000_000)]);
        assert_eq!(forecast(&state, Mode::Stop, 5_000_000), Some(Duration::from_millis(500)));
        assert_eq!(forecast(&state, Mode::Stop, 10), Some(Duration::from_millis(100)));
    }

    #[test]
    fn a_first_backup_of_one_point_does_not_forbid_the_second_one() {
        let state = after(&[(1100.0, 1)]);
        assert_eq!(forecast(&state, Mode::Stop, 600), Some(Duration::from_millis(1100)));
        assert_eq!(
            forecast(&after(&[(100.0, 0)]), Mode::Stop, 9),
            Some(Duration::from_millis(100))
        );
    }
}
