//! What is told, and what is never shown.

use super::*;

const ALL: [Event; 8] = [
    Event::BackupSucceeded,
    Event::BackupFailed,
    Event::DrillSucceeded,
    Event::DrillFailed,
    Event::RunMissed,
    Event::EngineRestarted,
    Event::EngineDown,
    Event::Test,
];

#[test]
fn each_event_but_the_test_is_told_on_one_occasion() {
    for event in ALL {
        let on = Occasion::ALL.into_iter().filter(|occasion| event.is_told(&[*occasion])).count();
        assert_eq!(on, if event == Event::Test { 4 } else { 1 }, "{event:?}");
        assert_eq!(event.is_told(&[]), event == Event::Test, "{event:?}");
    }
    assert!(Event::ended(Work::Drill, false).is_told(&[Occasion::Failure]));
    assert!(!Event::ended(Work::Drill, true).is_told(&[Occasion::Failure]));
}

#[test]
fn nothing_but_the_host_of_a_webhook_is_shown() {
    let secret = "https://hooks.example.com:8443/services/T0/s3cret?key=s3cret";
    let webhook = Webhook::parse(secret).unwrap();
    assert_eq!(webhook.expose(), secret);
    assert_eq!(webhook.host(), "hooks.example.com:8443");
    assert!(webhook.is_encrypted());
    let shown = format!("{webhook:?} {}", serde_json::to_string(&webhook).unwrap());
    assert!(!shown.contains("s3cret") && !shown.contains("services"), "{shown}");
    let query = Webhook::parse("http://[::1]:80?s3cret").unwrap();
    assert_eq!(query.host(), "[::1]:80");
}

#[test]
fn what_is_no_address_is_refused_without_being_repeated() {
    let bad = [
        "",
        "x",
        "ftp://h/",
        "https://",
        "https:///s3cret",
        "https://u:s3cret@h/",
        "http://h/s3 cret",
        "http://h/\ns3cret",
        "http://-h/",
        "HTTPS://h/",
        "http://h/#s3cret",
        "http://h/\"",
    ];
    for text in bad {
        let error = Webhook::parse(text).expect_err(text).to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
    assert!(Webhook::parse(&format!("http://h/{}", "a".repeat(2048))).is_err());
}

#[test]
fn a_refusal_is_not_tried_again_and_a_fault_is() {
    let repeated: Vec<u16> = (100..=600).filter(|status| is_to_be_repeated(*status)).collect();
    assert_eq!(repeated.len(), 103);
    assert!([408, 425, 429, 500, 503, 599].iter().all(|status| repeated.contains(status)));
    assert!(![200, 301, 400, 401, 404, 410].iter().any(|status| repeated.contains(status)));
}

#[test]
fn a_message_is_this_json() {
    let message = Message {
        node: "docs".to_owned(),
        event: Event::BackupFailed,
        ok: Event::BackupFailed.is_well(),
        at: "2026-11-28T03:00:00Z".parse().unwrap(),
        by: Some(By::Schedule),
        id: None,
        message: "the engine is not running".to_owned(),
        qmoor: "0.1.0".to_owned(),
    };
    let json = serde_json::to_string(&message).unwrap();
    insta::assert_snapshot!(json, @r#"{"node":"docs","event":"backup_failed","ok":false,"at":"2026-11-28T03:00:00Z","by":"schedule","id":null,"message":"the engine is not running","qmoor":"0.1.0"}"#);
    assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
}
