//! The states of a stack, and what is told of a failure.

use super::super::stack::{
    Event, STACK, State, first_cause, is_over, plain_reason, state, went_well, what_to_do, why_not,
};

fn event(name: &str, kind: &str, status: &str, reason: Option<&str>) -> Event {
    Event {
        name: name.to_owned(),
        kind: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
    }
}

#[test]
fn each_state_admits_what_aws_admits() {
    for status in [None, Some("REVIEW_IN_PROGRESS"), Some("DELETE_COMPLETE")] {
        assert_eq!(state(status), State::Absent, "{status:?}");
    }
    for status in
        ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"]
    {
        assert_eq!(state(Some(status)), State::Ready);
        assert_eq!(why_not("s", status, "r"), None);
        assert!(is_over(status));
    }
    for status in [
        "CREATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
        "DELETE_IN_PROGRESS",
    ] {
        assert_eq!(state(Some(status)), State::Busy);
        assert!(!is_over(status) && !went_well(status));
    }
    assert!(went_well("UPDATE_COMPLETE") && !went_well("UPDATE_ROLLBACK_COMPLETE"));
}

#[test]
fn a_state_that_admits_nothing_says_what_to_do() {
    let told = |status| why_not("qmoor-docs", status, "eu-central-1").unwrap();
    let (what, hint) = told("ROLLBACK_COMPLETE");
    assert!(what.contains("`qmoor-docs`") && what.contains("only be deleted"), "{what}");
    assert!(hint.contains("qmoor down"), "{hint}");
    let (_, hint) = told("UPDATE_ROLLBACK_FAILED");
    assert!(
        hint.contains("aws cloudformation continue-update-rollback --stack-name qmoor-docs --region eu-central-1"),
        "{hint}"
    );
    let (what, hint) = told("UPDATE_IN_PROGRESS");
    assert!(what.contains("somebody is changing"), "{what}");
    assert!(hint.contains("wait"), "{hint}");
    let (_, hint) = told("DELETE_FAILED");
    assert!(hint.contains("goes on deleting"), "{hint}");
}

#[test]
fn the_first_cause_is_neither_what_was_cancelled_nor_the_stack() {
    let events = [
        event("node", STACK, "CREATE_IN_PROGRESS", Some("User Initiated")),
        event("Topic", "AWS::SNS::Topic", "CREATE_FAILED", Some("Resource creation cancelled")),
        event("Machine", "AWS::EC2::Instance", "CREATE_FAILED", Some("no capacity")),
        event("Role", "AWS::IAM::Role", "CREATE_FAILED", Some("Resource creation cancelled")),
        event("node", STACK, "ROLLBACK_IN_PROGRESS", Some("The following resource(s) failed")),
        event("Group", "AWS::EC2::SecurityGroup", "DELETE_FAILED", Some("dependent")),
        event("node", STACK, "ROLLBACK_FAILED", None),
    ];
    assert_eq!(first_cause(&events).unwrap().name, "Machine");
    let alone = [event("node", STACK, "CREATE_FAILED", Some("the template"))];
    assert_eq!(first_cause(&alone).unwrap().name, "node", "better than nothing");
    assert_eq!(first_cause(&events[..1]), None);
}

#[test]
fn a_reason_is_told_without_what_is_for_its_makers() {
    let told = "Resource handler returned message: \"You have requested more vCPU capacity than your current vCPU \
                limit of 8 allows (Service: Ec2, Status Code: 400, Request ID: 1-2) (SDK Attempt Count: 1)\" \
                (RequestToken: 3-4, HandlerErrorCode: GeneralServiceException)";
    let plain = plain_reason(told);
    assert_eq!(
        plain,
        "You have requested more vCPU capacity than your current vCPU limit of 8 allows"
    );
    assert!(what_to_do(plain).unwrap().contains("Service Quotas"));
    let bare =
        "Resource handler returned message: \"gone\" (RequestToken: 3, HandlerErrorCode: NotFound)";
    assert_eq!(plain_reason(bare), "gone");
    assert_eq!(plain_reason("Resource creation cancelled"), "Resource creation cancelled");
    assert_eq!(what_to_do("something new"), None);
}
