//! From numbers to what an SVG path says. Drawn into a field of 1000 by 100 that is stretched; what must not be is placed by
//! percent.

use std::fmt::Write;

/// The width and height of the field that lines are drawn in.
pub(super) const WIDTH: f64 = 1000.0;
pub(super) const HEIGHT: f64 = 100.0;

/// A line through points whose parts of the width and height are given, broken where there is none.
pub(super) fn line(points: impl IntoIterator<Item = (f64, Option<f64>)>) -> String {
    let mut path = String::new();
    let mut pen = 'M';
    for (x, y) in points {
        match y {
            Some(y) => {
                let (x, y) = (x * WIDTH, HEIGHT - y.clamp(0.0, 1.0) * HEIGHT);
                // Writing to a string cannot fail.
                let _written = write!(path, "{pen}{x:.1} {y:.1}");
                // A lone point is seen thanks to round ends.
                if pen == 'M' {
                    path.push_str("h0");
                }
                pen = 'L';
            }
            None => pen = 'M',
        }
    }
    path
}

/// The area below a line without breaks.
pub(super) fn area(points: &[(f64, f64)]) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let top = line(points.iter().map(|(x, y)| (*x, Some(*y))));
    format!("{top}L{:.1} {HEIGHT}L{:.1} {HEIGHT}Z", last.0 * WIDTH, first.0 * WIDTH)
}

/// Stretches of neighbours that are so, as parts of the width: where they begin and how wide they are.
pub(super) fn stretches(count: usize, is_so: impl Fn(usize) -> bool) -> Vec<(f64, f64)> {
    let mut found = Vec::new();
    let mut begun = None;
    let all = count.max(1) as f64;
    for place in 0..=count {
        let so = place < count && is_so(place);
        match (begun, so) {
            (None, true) => begun = Some(place),
            (Some(from), false) => {
                found.push((from as f64 / all, (place - from) as f64 / all));
                begun = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    found
}

/// As a percentage.
pub(super) fn percent(part: f64) -> String {
    format!("{:.2}%", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_there_is_nothing() {
        let points = [(0.0, Some(0.0)), (0.5, Some(1.0)), (0.6, None), (1.0, Some(0.5))];
        assert_eq!(line(points), "M0.0 100.0h0L500.0 0.0M1000.0 50.0h0");
        assert_eq!(line([]), "");
        assert_eq!(area(&[(0.0, 0.5), (1.0, 0.5)]), "M0.0 50.0h0L1000.0 50.0L1000.0 100L0.0 100Z");
    }

    #[test]
    fn neighbours_are_one_stretch() {
        let so = [true, true, false, true];
        assert_eq!(stretches(4, |place| so[place]), [(0.0, 0.5), (0.75, 0.25)]);
        assert!(stretches(0, |_| true).is_empty());
    }
}
