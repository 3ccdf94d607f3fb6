//! What is asked of a run.

use std::path::PathBuf;
use std::time::Duration;

use qmoor_plan::backup::Mode;
use toml::{Table, Value};

/// Kills of a run that nobody asked for more of.
const KILLS: u32 = 30;
/// After this such a run ends with fewer.
const TIME: Duration = Duration::from_secs(150);
/// Fewer than these mean nothing.
const KILLS_MIN: u32 = 10;

/// The node of the soak. Few backups are kept, so that each one prunes another.
const SETTINGS: &str = r#"
[node]
dir = "n"
[gateway]
http_port = 0
grpc_port = 0
hold_budget = "60s"
[engine]
start_timeout = "60s"
stop_timeout = "60s"
[backup]
gate_timeout = "50ms"
max_pause = "10m"
[retention]
last = 2
daily = 0
weekly = 0
monthly = 0
min_verified = 1
[log]
format = "json"
"#;

/// What is asked for.
pub(crate) struct Plan {
    pub(crate) kills: u32,
    pub(crate) kills_min: u32,
    pub(crate) time: Option<Duration>,
    pub(crate) seed: u64,
    pub(crate) settings: Table,
    /// How the points of the backups are made.
    pub(crate) mode: Mode,
    pub(crate) above: PathBuf,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<u64> {
    variable(name)
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

impl Plan {
    pub(crate) fn from_environment() -> Self {
        let asked = number("QMOOR_SOAK_KILLS").map(|kills| u32::try_from(kills).unwrap());
        let mut settings: Table = SETTINGS.parse().unwrap();
        if let Some(file) = variable("QMOOR_SOAK_CONFIG") {
            let text =
                std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
            merge(&mut settings, text.parse().unwrap_or_else(|error| panic!("{file}: {error}")));
        }
        let minutes = number("QMOOR_SOAK_MINUTES").map(Duration::from_mins);
        let above = variable("QMOOR_SOAK_DIR").map(PathBuf::from);
        Self {
            kills: asked.unwrap_or(KILLS),
            kills_min: asked.filter(|_| minutes.is_none()).unwrap_or(KILLS_MIN),
            time: minutes.or_else(|| asked.is_none().then_some(TIME)),
            seed: number("QMOOR_SOAK_SEED").unwrap_or_else(rand::random),
            settings,
            mode: match variable("QMOOR_SOAK_MODE").as_deref() {
                None | Some("stop") => Mode::Stop,
                Some("freeze") => Mode::Freeze,
                Some(other) => panic!("QMOOR_SOAK_MODE is stop or freeze, not {other}"),
            },
            above: above.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR"))),
        }
    }
}

/// Puts one table over another, key by key.
fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

#[test]
fn settings_go_over_settings_one_by_one() {
    let mut settings: Table = "[a]\nx = 1\ny = 2\n[b]\nz = 3\n".parse().unwrap();
    merge(&mut settings, "top = 0\n[a]\ny = 4\n[c]\nw = 5\n".parse().unwrap());
    let expected: Table = "top = 0\n[a]\nx = 1\ny = 4\n[b]\nz = 3\n[c]\nw = 5\n".parse().unwrap();
    assert_eq!(settings, expected);
}
