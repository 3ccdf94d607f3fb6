//! What is accepted, what is refused, and in which words.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::tests_aws::{ON_AWS, on_aws};
use super::{
    Config, Form, Key, Kind, LogFormat, LogLevel, normal, reference, reference_markdown, template,
};

pub(super) fn parse(text: &str) -> Result<Config, super::ConfigError> {
    Config::parse(text, Path::new("/etc/qmoor/qmoor.toml"))
}

pub(super) fn complaint(text: &str) -> String {
    parse(text).expect_err("refused").to_string()
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let config = parse("").unwrap();
    assert_eq!(config.node.dir, PathBuf::from("/etc/qmoor/./qmoor-data"));
    assert_eq!(config.node.data, PathBuf::from("/etc/qmoor/./qmoor-data/data"));
    assert_eq!(config.gateway.http_port, 6333);
    assert_eq!(config.gateway.grpc_port, 6334);
    assert!(config.gateway.listen.is_loopback());
    assert_eq!(config.gateway.hold_budget, Duration::from_secs(4));
    assert_eq!(config.backup.max_pause, Duration::from_secs(30));
    assert_eq!(config.log.level, LogLevel::Info);
}

#[test]
fn the_template_means_the_defaults_with_its_keys_commented_and_uncommented() {
    let template = template();
    assert_eq!(parse(&template).unwrap(), parse("").unwrap());

    let set: String =
        template.lines().map(|line| format!("{}\n", uncommented(line))).collect::<String>();
    let from_file = parse(&set).unwrap();
    let defaults = parse("").unwrap();
    assert_eq!(normal(&from_file.node.data), normal(&defaults.node.data));
    assert_eq!(normal(&from_file.store.path), normal(&defaults.store.path));
    assert_eq!(from_file.gateway, defaults.gateway);
    let keys = set.lines().filter(|line| line.contains(" = ")).count();
    assert_eq!(keys, reference().len());
}

/// A commented-out key has no space after its `#`, an explanation has.
fn uncommented(line: &str) -> &str {
    line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line)
}

#[test]
fn the_defaults_for_a_folder_lie_inside_it() {
    let config = Config::for_dir(Path::new("/srv/node"));
    assert_eq!(config.node.data, PathBuf::from("/srv/node/data"));
    assert_eq!(config.node.state, PathBuf::from("/srv/node/state"));
    assert_eq!(config.store.path, PathBuf::from("/srv/node/store"));
    assert_eq!(config, {
        let text = "node.dir = \"node\"";
        Config::parse(text, Path::new("/srv/qmoor.toml")).unwrap()
    });
}

#[test]
fn the_config_has_the_keys_of_the_reference_and_no_others() {
    let config = serde_json::to_value(parse(&on_aws(&[])).unwrap()).unwrap();
    let mut found = BTreeSet::new();
    for (table, keys) in config.as_object().unwrap() {
        for name in keys.as_object().unwrap().keys() {
            found.insert(format!("{table}.{name}"));
        }
    }
    let listed: BTreeSet<String> = reference().iter().map(|key| key.path.to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn every_key_is_taken_from_the_file() {
    for key in reference() {
        for value in other_values(key) {
            // Some values are possible only beside others.
            let before = match (key.path, value.as_str()) {
                (path, _) if path.starts_with("aws.") => on_aws(&[(path, "")]),
                ("store.kind", "\"clone\"") => "volume.kind = \"image\"\n".to_owned(),
                ("store.lock" | "store.copy_region", _) => {
                    "volume.kind = \"ebs\"\nvolume.id = \"vol-01234567\"\nstore.kind = \"ebs\"\n"
                        .to_owned()
                }
                ("store.kind", "\"ebs\"") => {
                    "volume.kind = \"ebs\"\nvolume.id = \"vol-01234567\"\n".to_owned()
                }
                ("volume.kind", "\"ebs\"") => "volume.id = \"vol-01234567\"\n".to_owned(),
                ("gateway.enabled", _) => "engine.kind = \"docker\"\n".to_owned(),
                (_, _) => String::new(),
            };
            let mut text = format!("{before}{} = {value}", key.path);
            let mut unset = before;
            if let Some((_, value)) =
                ON_AWS.iter().find(|(path, _)| path.starts_with("aws.") && *path == key.path)
            {
                unset.push_str(&format!("{} = {value}", key.path));
            }
            match key.path {
                // Each of the two needs the other one.
                "gateway.tls_cert" => text.push_str(&format!("\ngateway.tls_key = {value}")),
                "gateway.tls_key" => text.push_str(&format!("\ngateway.tls_cert = {value}")),
                "aws.region" => text = text.replace("eu-central-1a", "us-gov-west-1b"),
                "aws.volume_iops" => text.push_str("\naws.volume_size = \"64TiB\""),
                "aws.volume_throughput" => text.push_str("\naws.volume_iops = 8000"),
                _ => {}
            }
            let config = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let unset = parse(&unset).unwrap_or_else(|error| panic!("{unset}: {error}"));
            assert_ne!(config, unset, "{text} changes nothing");
            let written = config.to_toml();
            let read = Config::parse(&written, Path::new("/etc/qmoor/qmoor.toml"));
            assert_eq!(read.as_ref(), Ok(&config), "{text}\nwas written as\n{written}");
        }
    }
}

/// Values that `kind` admits besides the default.
fn other_values(key: &Key) -> Vec<String> {
    let values = match &key.kind {
        Kind::Text(_) if key.path == "aws.region" => vec!["\"us-gov-west-1\"".to_owned()],
        Kind::Text(Form::Zone) => vec!["\"eu-central-1c\"".to_owned()],
        Kind::Text(Form::Ipv4) => vec!["\"10.0.2.16\"".to_owned()],
        Kind::Text(Form::InstanceType) => vec!["\"m7i.large\"".to_owned()],
        Kind::Text(Form::Download) => vec!["\"s3://builds/q/1/qmoor\"".to_owned()],
        Kind::Text(Form::Id(prefix)) => {
            vec![format!("\"{prefix}-89abcdef\""), format!("\"{prefix}-0123456789abcdef9\"")]
        }
        Kind::Text(form) => vec![format!("{:?}", form.example().replace("0", "1"))],
        Kind::Texts(_) => vec!["[\"sg-89abcdef\", \"sg-0123456789abcdef9\"]".to_owned()],
        Kind::Size(..) if key.path.starts_with("aws.") => {
            vec!["\"9GiB\"".to_owned(), "\"1TiB\"".to_owned()]
        }
        Kind::Name => vec!["\"other\"".to_owned()],
        Kind::Path | Kind::OptionalPath => vec!["\"./other\"".to_owned()],
        Kind::Address => vec!["\"10.0.2.15\"".to_owned(), "\"::1\"".to_owned()],
        Kind::Image => vec!["\"other:v1.2.3\"".to_owned()],
        Kind::User => vec!["\"1000\"".to_owned(), "\"1000:2000\"".to_owned()],
        Kind::Cron => vec!["\"0 3 * * *\"".to_owned(), "\"*/5 * * * * *\"".to_owned()],
        Kind::Command => vec!["[\"/bin/tell\", \"a b\", \"\"]".to_owned()],
        Kind::Choices(_) => vec!["[]".to_owned(), "[\"success\"]".to_owned()],
        Kind::Switch => vec!["false".to_owned()],
        Kind::Choice(words) => words.iter().map(|word| format!("\"{word}\"")).collect(),
        Kind::Number(min, max) => vec![min.to_string(), max.to_string()],
        Kind::Size(min, max) => [min, max].map(|bytes| format!("\"{bytes}B\"")).into(),
        Kind::Duration(min, max) => [min, max].map(|d| format!("\"{}ms\"", d.as_millis())).into(),
    };
    values.into_iter().filter(|value| value != key.default).collect()
}

#[test]
fn values_out_of_range_are_refused() {
    for key in reference() {
        let values = match &key.kind {
            Kind::Name => vec!["\"\"".to_owned(), "\"a b\"".to_owned(), "7".to_owned()],
            Kind::Path => vec!["\"\"".to_owned(), "true".to_owned(), "\"\\u0000\"".to_owned()],
            Kind::OptionalPath => vec!["true".to_owned(), "\"\\u0000\"".to_owned()],
            Kind::Address => vec!["\"localhost\"".to_owned(), "\"1.2.3\"".to_owned()],
            Kind::Image => {
                vec!["\"q:latest\"".to_owned(), "\"q\"".to_owned(), "\"q:dev\"".to_owned()]
            }
            Kind::User => vec!["\"root\"".to_owned(), "\"1:2:3\"".to_owned(), "7".to_owned()],
            Kind::Text(_) => ["7", "[]", "\"a b\"", "\"$(id)\"", "\"'\"", "\"-\"", "\"é\""]
                .map(str::to_owned)
                .into(),
            Kind::Texts(_) => {
                vec!["\"sg-01234567\"".to_owned(), "[\"\"]".to_owned(), "[\"sg-1\"]".to_owned()]
            }
            Kind::Cron => {
                vec!["\"0 3 * *\"".to_owned(), "\"0 3 30 2 *\"".to_owned(), "7".to_owned()]
            }
            Kind::Command => ["[\"tell\"]", "[\"\"]", "\"/bin/tell\"", "[1]", "[\"/a\\u0000\"]"]
                .map(str::to_owned)
                .into(),
            Kind::Choices(_) => {
                vec!["[\"other\"]".to_owned(), "\"failure\"".to_owned(), "[1]".to_owned()]
            }
            Kind::Switch => vec!["\"true\"".to_owned(), "1".to_owned()],
            Kind::Choice(_) => vec!["\"other\"".to_owned(), "\"\"".to_owned()],
            Kind::Number(min, max) => {
                let mut values = vec![(max + 1).to_string(), "-1".to_owned(), "1.5".to_owned()];
                values.extend(min.checked_sub(1).map(|value| value.to_string()));
                values
            }
            Kind::Size(min, max) => vec![
                "4".to_owned(),
                "\"\"".to_owned(),
                "\"GiB\"".to_owned(),
                "\"-1GiB\"".to_owned(),
                "\"1.5GiB\"".to_owned(),
                "\"1GB\"".to_owned(),
                "\"99999999999TiB\"".to_owned(),
                format!("\"{}B\"", min - 1),
                format!("\"{}B\"", max + 1),
            ],
            Kind::Duration(min, max) => {
                let mut values = vec![
                    "4".to_owned(),
                    "\"-4s\"".to_owned(),
                    "\"soon\"".to_owned(),
                    format!("\"{}ms\"", max.as_millis() + 1),
                ];
                values.extend((!min.is_zero()).then(|| "\"0s\"".to_owned()));
                values
            }
        };
        for value in values {
            let text = format!("\n{} = {value}", key.path);
            let error = parse(&text).expect_err(&text);
            assert_eq!(error.problems.len(), 1, "{error}");
            assert_eq!(error.problems[0].key, key.path);
            assert_eq!(error.problems[0].line, Some(2));
        }
    }
}

#[test]
fn durations_may_be_written_as_people_write_them() {
    for (text, ms) in
        [("250ms", 250), ("4s", 4000), ("1m", 60_000), ("0.5s", 500), ("1s 5ms", 1005)]
    {
        let config = parse(&format!("gateway.hold_budget = \"{text}\"")).unwrap();
        assert_eq!(config.gateway.hold_budget, Duration::from_millis(ms), "{text}");
    }
}

#[test]
fn sizes_may_be_written_in_any_unit() {
    for (text, mib) in [("1GiB", 1024), ("512MiB", 512), ("2 TiB", 2 << 20), ("1048576KiB", 1024)] {
        let config = parse(&format!("volume.size = \"{text}\"")).unwrap();
        assert_eq!(config.volume.size, mib << 20, "{text}");
    }
    insta::assert_snapshot!(complaint("volume.size = \"1GB\""), @r#"/etc/qmoor/qmoor.toml:1: volume.size: must be a size in quotes, like "2GiB", from 512MiB to 16TiB, not "1GB""#);
}

#[test]
fn the_data_lies_inside_a_volume_that_is_an_image() {
    let config = parse("node.dir = \"/n\"\nvolume.kind = \"image\"").unwrap();
    assert_eq!(config.node.data, PathBuf::from("/n/volume/data"));
    assert_eq!(config.volume.image, PathBuf::from("/n/volume.img"));
    let config = parse("[volume]\nkind = \"image\"\nmount = \"/mnt/q\"").unwrap();
    assert_eq!(config.node.data, PathBuf::from("/mnt/q/data"));
    let image = "node.dir = \"/n\"\nvolume.kind = \"image\"\n";
    let text = format!("{image}node.data = \"/n/volume/a/b\"\nstore.kind = \"clone\"");
    assert_eq!(parse(&text).unwrap().node.data, PathBuf::from("/n/volume/a/b"));
    for outside in ["/n/data", "/n/volume", "/n/volume/../data"] {
        let complaint = complaint(&format!("{image}node.data = \"{outside}\""));
        assert!(complaint.contains("is not inside `volume.mount`"), "{complaint}");
    }
    insta::assert_snapshot!(complaint(&format!("{image}store.path = \"/n/volume/s\"")), @"/etc/qmoor/qmoor.toml:3: store.path: `/n/volume/s` is inside `volume.mount` (`/n/volume`) (hint: choose folders that lie outside each other)");
    insta::assert_snapshot!(complaint(&format!("{image}node.state = \"/n/volume/state\"")), @"/etc/qmoor/qmoor.toml:3: node.state: `/n/volume/state` is inside `volume.mount` (`/n/volume`) (hint: choose folders that lie outside each other)");
    insta::assert_snapshot!(complaint(&format!("{image}volume.image = \"/n/store/v.img\"")), @"/etc/qmoor/qmoor.toml:3: volume.image: `/n/store/v.img` is inside `store.path` (`/n/store`) (hint: choose folders that lie outside each other)");
    insta::assert_snapshot!(complaint(&format!("{image}volume.image = \"/n/volume/v.img\"")), @"/etc/qmoor/qmoor.toml:3: volume.image: `/n/volume/v.img` is inside `volume.mount` (`/n/volume`) (hint: choose folders that lie outside each other)");
    insta::assert_snapshot!(complaint("[store]\nkind = \"clone\""), @r#"/etc/qmoor/qmoor.toml:2: store.kind: is "clone", and `volume.kind` is "directory" (hint: only an image can be cloned: set `volume.kind` to "image")"#);
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let text = "[node]\ndir = \"a\"\nstate = \"/run/b\"\n[store]\npath = \"../c\"\n";
    let config = parse(text).unwrap();
    assert_eq!(config.node.data, PathBuf::from("/etc/qmoor/a/data"));
    assert_eq!(config.node.state, PathBuf::from("/run/b"));
    assert_eq!(normal(&config.store.path), PathBuf::from("/etc/c"));
    let here = Config::parse("", Path::new("qmoor.toml")).unwrap();
    assert_eq!(here.node.dir, PathBuf::from("./qmoor-data"));
}

#[test]
fn words_for_formats_are_taken() {
    let config = parse("log = { format = \"json\", level = \"debug\" }").unwrap();
    assert_eq!((config.log.format, config.log.level), (LogFormat::Json, LogLevel::Debug));
}

#[test]
fn a_misspelt_key_is_answered_with_the_nearest_right_one() {
    insta::assert_snapshot!(complaint("[gateway]\nhttp_prot = 1"), @"/etc/qmoor/qmoor.toml:2: gateway.http_prot: unknown key (hint: did you mean `gateway.http_port`?)");
    insta::assert_snapshot!(complaint("[gatway]\nhttp_port = 1"), @"/etc/qmoor/qmoor.toml:1: gatway: unknown table or key (hint: did you mean `gateway`?)");
    insta::assert_snapshot!(complaint("hold_budget = \"1s\""), @"/etc/qmoor/qmoor.toml:1: hold_budget: unknown table or key (hint: did you mean `gateway.hold_budget`?)");
    insta::assert_snapshot!(complaint("gateway.max_pause = \"1s\""), @"/etc/qmoor/qmoor.toml:1: gateway.max_pause: unknown key (hint: did you mean `backup.max_pause`?)");
    insta::assert_snapshot!(complaint("[gateway.tls]\ncert = \"x\""), @"/etc/qmoor/qmoor.toml:1: gateway.tls: unknown key (hint: did you mean `gateway.tls_cert`?)");
    insta::assert_snapshot!(complaint("zzz.yyy = 1"), @"/etc/qmoor/qmoor.toml:1: zzz: unknown table or key");
}

#[test]
fn a_wrong_type_is_answered_with_the_right_one() {
    insta::assert_snapshot!(complaint("gateway = 5"), @"/etc/qmoor/qmoor.toml:1: gateway: must be a table, not 5");
    insta::assert_snapshot!(complaint("[gateway]\nhttp_port = \"6333\""), @r#"/etc/qmoor/qmoor.toml:2: gateway.http_port: must be a whole number from 0 to 65535, not "6333""#);
    insta::assert_snapshot!(complaint("gateway.hold_budget = 4"), @r#"/etc/qmoor/qmoor.toml:1: gateway.hold_budget: must be a duration in quotes, like "4s", from 1ms to 1m, not 4"#);
    insta::assert_snapshot!(complaint("engine.kind = \"podman\""), @r#"/etc/qmoor/qmoor.toml:1: engine.kind: must be one of "embedded", "docker", not "podman""#);
    insta::assert_snapshot!(complaint("engine.image = \"qdrant/qdrant:latest\""), @"/etc/qmoor/qmoor.toml:1: engine.image: must name a version, like qdrant/qdrant:v1.19.0: `latest` is another engine each time");
    insta::assert_snapshot!(complaint("engine.user = \"root\""), @r#"/etc/qmoor/qmoor.toml:1: engine.user: must be a user in quotes, like "1000:1000", or empty, not "root""#);
    insta::assert_snapshot!(complaint("gateway.enabled = \"no\""), @r#"/etc/qmoor/qmoor.toml:1: gateway.enabled: must be true or false, not "no""#);
    insta::assert_snapshot!(complaint("log.level = \"loud\""), @r#"/etc/qmoor/qmoor.toml:1: log.level: must be one of "error", "warn", "info", "debug", "trace", not "loud""#);
    insta::assert_snapshot!(complaint("node.data = [1]"), @"/etc/qmoor/qmoor.toml:1: node.data: must be a path in quotes, not empty, not an array");
}

#[test]
fn a_schedule_that_cannot_be_is_refused_with_the_reason() {
    insta::assert_snapshot!(complaint("[schedule]\nbackup = \"0 3 * *\""), @r#"/etc/qmoor/qmoor.toml:2: schedule.backup: "0 3 * *" is no time of cron: it has not five fields, nor six (hint: minute, hour, day of the month, month, day of the week, in UTC, like "0 3 * * *")"#);
    insta::assert_snapshot!(complaint("schedule.drill = \"0 3 30 2 *\""), @r#"/etc/qmoor/qmoor.toml:1: schedule.drill: "0 3 30 2 *" is no time of cron: no day is ever like that (hint: minute, hour, day of the month, month, day of the week, in UTC, like "0 3 * * *")"#);
    insta::assert_snapshot!(complaint("schedule.backup = 3"), @r#"/etc/qmoor/qmoor.toml:1: schedule.backup: must be a text like "0 3 * * *", or "" for none, not 3"#);
    let config = parse("[schedule]\nbackup = \"@daily\"\njitter = \"0s\"").unwrap();
    assert_eq!(config.schedule.backup.unwrap().as_str(), "@daily");
    assert_eq!((config.schedule.jitter, config.schedule.drill), (Duration::ZERO, None));
}

#[test]
fn a_webhook_is_a_secret_that_no_message_repeats() {
    for text in [
        "notify.webhook = \"https://u:s3cret@h/\"",
        "notify.webhook = \"https://h/s3cret s3cret\"",
        "notify = { webhook = \"https://h/s3cret\", webhook_file = \"/w\" }",
    ] {
        let complaint = complaint(text);
        assert!(!complaint.contains("s3cret"), "{complaint}");
    }
    let config = parse("notify.webhook = \"https://h/s3cret\"").unwrap();
    assert!(config.notify.is_set() && !parse("").unwrap().notify.is_set());
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn everything_wrong_is_said_at_once_in_the_order_of_the_file() {
    insta::assert_snapshot!(complaint("[log]\nlevel = 1\n[gateway]\nport = 1\nlisten = \"x\""), @r#"
    /etc/qmoor/qmoor.toml:2: log.level: must be one of "error", "warn", "info", "debug", "trace", not 1
    /etc/qmoor/qmoor.toml:4: gateway.port: unknown key (hint: did you mean `gateway.http_port`?)
    /etc/qmoor/qmoor.toml:5: gateway.listen: must be an IP address in quotes, like "127.0.0.1", not "x"
    "#);
}

#[test]
fn text_that_is_no_toml_is_refused_with_its_line() {
    insta::assert_snapshot!(complaint("[node]\nname = \"a\nb\""), @r#"/etc/qmoor/qmoor.toml:2: not valid TOML: invalid basic string, expected `"`"#);
    insta::assert_snapshot!(complaint("[node]\nname = \"a\"\nname = \"b\""), @"/etc/qmoor/qmoor.toml:3: not valid TOML: duplicate key");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    insta::assert_snapshot!(complaint("[gateway]\nhttp_port = 7000\ngrpc_port = 7000"), @"/etc/qmoor/qmoor.toml:3: gateway.grpc_port: is 7000, and so is `gateway.http_port` (hint: give them different ports; each serves REST and gRPC)");
    insta::assert_snapshot!(complaint("gateway.enabled = false"), @r#"/etc/qmoor/qmoor.toml:1: gateway.enabled: is false, and the embedded engine listens on loopback only (hint: set `engine.kind` to "docker", or leave the gateway on)"#);
    insta::assert_snapshot!(complaint("[retention]\nlast = 0\ndaily = 0\nweekly = 0\nmonthly = 0\nmin_verified = 0"), @"/etc/qmoor/qmoor.toml:2: retention.last: no rule of `[retention]` keeps anything (hint: set `last` to 1 or more)");
    insta::assert_snapshot!(complaint("node.data = \"/v\"\nstore.path = \"/v/./store\""), @"/etc/qmoor/qmoor.toml:2: store.path: `/v/store` is inside `node.data` (`/v`) (hint: choose folders that lie outside each other)");
    insta::assert_snapshot!(complaint("node.data = \"/v/store/x\"\nstore.path = \"/v/store\""), @"/etc/qmoor/qmoor.toml:1: node.data: `/v/store/x` is inside `store.path` (`/v/store`) (hint: choose folders that lie outside each other)");
    insta::assert_snapshot!(complaint("node.dir = \"/n\"\nnode.data = \"/n\""), @r#"
    /etc/qmoor/qmoor.toml:2: node.state: `/n/state` is inside `node.data` (`/n`) (hint: choose folders that lie outside each other)
    /etc/qmoor/qmoor.toml:2: store.path: `/n/store` is inside `node.data` (`/n`) (hint: choose folders that lie outside each other)
    "#);
    insta::assert_snapshot!(complaint("node.data = \"/v/a/../b\"\nstore.path = \"/v/b\""), @"/etc/qmoor/qmoor.toml:2: store.path: `/v/b` is the same as `node.data` (`/v/b`) (hint: choose folders that lie outside each other)");
    insta::assert_snapshot!(complaint("[gateway]\ntls_cert = \"a.pem\""), @"/etc/qmoor/qmoor.toml:2: gateway.tls_key: is not set, and `gateway.tls_cert` is (hint: set both for TLS, or none)");
    assert!(parse("gateway = { http_port = 0, grpc_port = 0 }").is_ok(), "any two free ports");
    assert!(parse("node.data = \"/v/data\"\nstore.path = \"/v/data2\"").is_ok(), "neighbours");
}

/// `UPDATE_DOCS=1` writes the page instead.
#[test]
fn the_page_about_the_configuration_is_the_reference() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    let wanted = reference_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    let advice =
        "docs/config.md is not what the list of keys says; run the test with UPDATE_DOCS=1";
    assert!(found == wanted, "{advice}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _either = parse(&text);
    }

    #[test]
    fn no_document_of_known_names_makes_the_reader_panic(
        lines in prop::collection::vec((0..reference().len(), 0_usize..12), 0..8)
    ) {
        let values = [
            "1", "-1", "\"\"", "\"4s\"", "true", "1e400", "0x1F", "[]", "{}", "1979-05-27",
            "99999999999999999999", "{ a.b = 1 }",
        ];
        let text: String = lines
            .iter()
            .map(|(key, value)| {
                let key = reference().get(*key).map_or("node", |key| key.path);
                format!("{key} = {}\n", values[*value])
            })
            .collect();
        if let Err(error) = parse(&text) {
            prop_assert!(!error.problems.is_empty());
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn numbers_in_range_are_read_as_written(http in 1_u16.., last in 1_u32..100_000) {
        prop_assume!(http != 6334);
        let config = parse(&format!("gateway.http_port = {http}\nretention.last = {last}")).unwrap();
        prop_assert_eq!((config.gateway.http_port, config.retention.last), (http, last));
    }
}
