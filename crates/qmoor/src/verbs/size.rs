//! `qmoor size`: memory, machine and volume for so many points, before there is a node.

use std::fmt::Write as _;

use qmoor_plan::size::{self, Contents, Estimate, Line};

use crate::cli::{self, SizeQuantization};
use crate::error::CliError;
use crate::output::{Output, bytes, table};

/// Shows what the points come to.
pub(crate) fn run(args: &cli::Size, out: Output) -> Result<(), CliError> {
    let estimate = size::estimate(contents(args)).map_err(|error| {
        CliError::usage(format!("`{}` must be {}", error.what, error.must))
            .hint("`qmoor size --help` says what each number means")
    })?;
    out.result(&estimate, text(&estimate))
}

fn contents(args: &cli::Size) -> Contents {
    Contents {
        points: args.points,
        dim: args.dim,
        vectors: args.vectors,
        m: args.m,
        payload_bytes: args.payload_bytes,
        payload_indexes: args.payload_indexes,
        sparse: args.sparse,
        quantization: match args.quantization {
            SizeQuantization::None => size::Quantization::None,
            SizeQuantization::Scalar => size::Quantization::Scalar,
            SizeQuantization::Binary => size::Quantization::Binary,
            SizeQuantization::Product => size::Quantization::Product,
        },
        on_disk: args.on_disk,
    }
}

fn text(estimate: &Estimate) -> String {
    let mut text = String::new();
    for (title, lines, sum) in [
        ("MEMORY", &estimate.memory, estimate.memory_bytes),
        ("DISK", &estimate.disk, estimate.disk_bytes),
    ] {
        let mut rows: Vec<Vec<String>> = lines.iter().map(row).collect();
        rows.push(vec!["all".to_owned(), bytes(sum), String::new(), String::new()]);
        text.push_str(&table(&[title, "BYTES", "HELD", "WHY"], &rows));
        text.push_str("\n\n");
    }
    let rows: Vec<Vec<String>> = estimate
        .machines
        .iter()
        .map(|machine| {
            let why = if estimate.advised == Some(machine.name) {
                "advised: costs least of those with the memory"
            } else {
                "the smallest of its family with the memory"
            };
            vec![
                machine.name.to_owned(),
                machine.vcpus.to_string(),
                format!("{} GiB", machine.memory_gib),
                why.to_owned(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push_str(&table(&["MACHINE", "CPUS", "MEMORY", "WHY"], &rows));
        text.push_str("\n\n");
    }
    let volume = &estimate.volume;
    // Writing to a string does not fail.
    let _ignored = write!(
        text,
        "volume: {} GiB gp3, {} IOPS, {} MiB/s: the disk above with 30 % left free\n\
         at {} MiB/s: {} to fill the memory after a start, {} to read all of the data once",
        volume.size_gib,
        volume.iops,
        volume.throughput_mib,
        volume.effective_mib,
        duration(volume.warm_seconds),
        duration(volume.read_seconds),
    );
    for advice in &estimate.advice {
        let _ignored = write!(text, "\nnote: {advice}");
    }
    text
}

fn row(line: &Line) -> Vec<String> {
    vec![line.part.to_owned(), bytes(line.bytes), line.held.as_str().to_owned(), line.why.clone()]
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} m", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}
