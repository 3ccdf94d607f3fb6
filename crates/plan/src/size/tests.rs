//! The formula follows what it is given, and refuses nonsense.

use super::{Contents, Estimate, Held, Quantization, estimate};

const MILLION: u64 = 1_000_000;
const GIB: u64 = 1 << 30;

fn usual() -> Contents {
    Contents { points: MILLION, dim: 768, ..Contents::default() }
}

fn of(contents: Contents) -> Estimate {
    estimate(contents).unwrap()
}

fn part(lines: &[super::Line], part: &str) -> u64 {
    lines.iter().filter(|line| line.part == part).map(|line| line.bytes).sum()
}

#[test]
fn vectors_are_their_numbers() {
    let estimate = of(usual());
    assert_eq!(part(&estimate.memory, "vectors"), MILLION * 768 * 4);
    assert_eq!(part(&estimate.disk, "vectors"), MILLION * 768 * 4);
    let two = of(Contents { vectors: 2, ..usual() });
    assert_eq!(part(&two.memory, "vectors"), 2 * MILLION * 768 * 4);
}

#[test]
fn a_sum_is_the_sum_of_its_lines_and_each_line_has_a_reason() {
    let estimate = of(Contents { sparse: 100, quantization: Quantization::Scalar, ..usual() });
    for (lines, sum) in
        [(&estimate.memory, estimate.memory_bytes), (&estimate.disk, estimate.disk_bytes)]
    {
        assert_eq!(lines.iter().map(|line| line.bytes).sum::<u64>(), sum);
        assert!(lines.iter().all(|line| !line.why.is_empty() && !line.part.is_empty()));
    }
    assert!(estimate.disk.iter().all(|line| matches!(line.held, Held::Disk | Held::Room)));
    assert!(estimate.memory.iter().all(|line| matches!(line.held, Held::Process | Held::Cache)));
}

#[test]
fn more_of_anything_never_needs_less() {
    let base = of(usual());
    for more in [
        Contents { points: 2 * MILLION, ..usual() },
        Contents { dim: 1536, ..usual() },
        Contents { vectors: 2, ..usual() },
        Contents { m: 32, ..usual() },
        Contents { payload_bytes: 4096, ..usual() },
        Contents { payload_indexes: 4, ..usual() },
        Contents { sparse: 120, ..usual() },
        Contents { quantization: Quantization::Scalar, ..usual() },
    ] {
        let estimate = of(more);
        assert!(estimate.memory_bytes >= base.memory_bytes, "{more:?}");
        assert!(estimate.disk_bytes > base.disk_bytes, "{more:?}");
        assert!(estimate.volume.size_gib >= base.volume.size_gib, "{more:?}");
    }
}

#[test]
fn vectors_on_disk_leave_the_memory_and_a_copy_of_them_takes_a_part_of_it() {
    let all = of(usual()).memory_bytes;
    let with = |quantization| of(Contents { on_disk: true, quantization, ..usual() }).memory_bytes;
    let [none, binary, product, scalar] =
        [Quantization::None, Quantization::Binary, Quantization::Product, Quantization::Scalar]
            .map(with);
    assert!(none < binary && binary < product && product < scalar && scalar < all);
    // The disk has them all the same.
    let disk = of(Contents { on_disk: true, ..usual() }).disk_bytes;
    assert_eq!(disk, of(usual()).disk_bytes);
}

#[test]
fn the_machine_is_the_cheapest_that_has_the_memory() {
    let small = of(Contents { points: 100_000, dim: 256, ..Contents::default() });
    assert_eq!(small.advised, Some("c8g.large"));
    let usual = of(usual());
    assert_eq!(usual.machines.len(), 2);
    for machine in &usual.machines {
        assert!(machine.memory_gib * GIB >= usual.memory_bytes);
    }
    // Much memory for few processors is what an r8g is for.
    let large = of(Contents { points: 10 * MILLION, dim: 1024, ..Contents::default() });
    assert!(large.advised.unwrap().starts_with("r8g."), "{:?}", large.advised);
}

#[test]
fn what_no_machine_holds_is_said_with_what_would_help() {
    let too_much = Contents { points: 2_000 * MILLION, dim: 1536, ..Contents::default() };
    let estimate = of(too_much);
    assert_eq!(estimate.advised, None);
    assert!(estimate.machines.is_empty());
    assert!(estimate.advice[0].contains("--quantization scalar --on-disk"));
}

#[test]
fn the_volume_has_room_and_is_no_faster_than_its_machine() {
    for points in [1, 1000, MILLION, 50 * MILLION, 1000 * MILLION] {
        let estimate = of(Contents { points, ..usual() });
        let volume = estimate.volume;
        assert!(volume.size_gib * GIB * 70 / 100 >= estimate.disk_bytes);
        assert!(volume.size_gib.is_multiple_of(10));
        assert!(volume.iops >= 3000 && volume.iops >= 4 * volume.throughput_mib);
        assert!((125..=2000).contains(&volume.throughput_mib));
        assert!(volume.effective_mib > 0 && volume.effective_mib <= volume.throughput_mib);
    }
}

#[test]
fn a_start_reads_the_copy_of_the_vectors_too() {
    let on_disk = Contents { on_disk: true, points: 50 * MILLION, ..usual() };
    let scalar = Contents { quantization: Quantization::Scalar, ..on_disk };
    assert!(of(scalar).volume.warm_seconds > 2 * of(on_disk).volume.warm_seconds);
}

#[test]
fn nonsense_is_refused_by_its_name() {
    let refused = |contents| estimate(contents).unwrap_err().what;
    assert_eq!(refused(Contents { points: 0, ..usual() }), "--points");
    assert_eq!(refused(Contents { dim: 0, ..usual() }), "--dim");
    assert_eq!(refused(Contents { dim: 65_537, ..usual() }), "--dim");
    assert_eq!(refused(Contents { vectors: 0, ..usual() }), "--vectors");
    assert_eq!(refused(Contents { m: 10_000, ..usual() }), "--m");
    assert_eq!(refused(Contents { payload_bytes: u64::MAX, ..usual() }), "--payload-bytes");
    assert_eq!(refused(Contents { payload_indexes: 1000, ..usual() }), "--payload-indexes");
    assert_eq!(refused(Contents { sparse: u64::MAX, ..usual() }), "--sparse");
}

#[test]
fn the_largest_of_everything_still_adds_up() {
    let most = Contents {
        points: 10_000_000_000,
        dim: 65_536,
        vectors: 64,
        m: 512,
        payload_bytes: 16 << 20,
        payload_indexes: 256,
        sparse: 65_536,
        quantization: Quantization::Scalar,
        on_disk: false,
    };
    assert!(of(most).disk_bytes > of(most).data_bytes);
}

#[test]
fn what_is_unwise_is_said() {
    let advice = |contents| of(contents).advice.join("\n");
    assert_eq!(advice(usual()), "");
    assert!(advice(Contents { on_disk: true, ..usual() }).contains("--quantization"));
    assert!(advice(Contents { quantization: Quantization::Binary, ..usual() }).contains("1024"));
    assert!(advice(Contents { m: 0, ..usual() }).contains("graph"));
}
