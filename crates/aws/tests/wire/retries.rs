//! What is asked again, and what is not.

use qmoor_aws::{AwsError, Tags};

use crate::server::{Act, Server, client, ec2_error, ok};

const VOLUME: &str = "<CreateVolumeResponse><volumeId>vol-1</volumeId><status>creating</status></CreateVolumeResponse>";
const SNAPSHOT: &str = "<CreateSnapshotResponse><snapshotId>snap-1</snapshotId><volumeId>vol-1</volumeId>\
     <status>pending</status></CreateSnapshotResponse>";

async fn snapshot(acts: Vec<Act>) -> (Result<String, AwsError>, usize) {
    let server = Server::start(acts).await;
    let ec2 = server.client().await.ec2();
    let made = ec2.create_snapshot("vol-1", "", &Tags::new()).await;
    (made.map(|snapshot| snapshot.id), server.asked().len())
}

#[tokio::test]
async fn throttling_is_waited_out_even_for_what_must_not_be_done_twice() {
    let throttled = || ec2_error(503, "RequestLimitExceeded");
    let (made, asked) = snapshot(vec![throttled(), throttled(), ok(SNAPSHOT)]).await;
    assert_eq!((made.unwrap().as_str(), asked), ("snap-1", 3));
}

#[tokio::test]
async fn throttling_to_the_last_attempt_is_an_error_that_says_so() {
    let throttled = || ec2_error(503, "RequestLimitExceeded");
    let (made, asked) = snapshot(vec![throttled(), throttled(), throttled()]).await;
    let error = made.unwrap_err();
    assert_eq!(asked, 3);
    assert!(error.is_throttling() && !error.may_have_happened(), "{error:?}");
    assert!(error.to_string().contains("try again in a minute"), "{error}");
}

#[tokio::test]
async fn a_snapshot_that_may_have_been_made_is_not_asked_for_again() {
    let (made, asked) = snapshot(vec![Act::CutAfter, ok(SNAPSHOT)]).await;
    let error = made.unwrap_err();
    assert_eq!(asked, 1);
    assert!(error.may_have_happened(), "{error:?}");
    assert!(matches!(error, AwsError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("it may have been done all the same"), "{error}");

    let (made, asked) = snapshot(vec![ec2_error(500, "InternalError"), ok(SNAPSHOT)]).await;
    let error = made.unwrap_err();
    assert_eq!((asked, error.code()), (1, Some("InternalError")));
    assert!(error.may_have_happened(), "{error:?}");
}

#[tokio::test]
async fn no_answer_in_time_is_a_timeout_that_may_have_been_done() {
    let (made, asked) = snapshot(vec![Act::Silent, ok(SNAPSHOT)]).await;
    let error = made.unwrap_err();
    assert_eq!(asked, 1);
    assert!(matches!(error, AwsError::Timeout { .. }), "{error:?}");
    assert!(error.may_have_happened());
}

#[tokio::test]
async fn a_refusal_is_neither_repeated_nor_in_doubt() {
    let (made, asked) = snapshot(vec![ec2_error(400, "InvalidVolume.NotFound")]).await;
    let error = made.unwrap_err();
    assert_eq!(asked, 1);
    assert!(error.is_not_found() && !error.may_have_happened(), "{error:?}");
}

#[tokio::test]
async fn what_has_a_token_is_asked_again_with_the_same_token() {
    let acts = vec![Act::CutAfter, ec2_error(500, "InternalError"), ok(VOLUME)];
    let server = Server::start(acts).await;
    let new = qmoor_aws::ec2::NewVolume {
        zone: "eu-west-1a".to_owned(),
        volume_type: "gp3".to_owned(),
        client_token: "token-1".to_owned(),
        ..Default::default()
    };
    let volume = server.client().await.ec2().create_volume(&new).await.unwrap();
    assert_eq!(volume.id, "vol-1");
    let tokens: Vec<_> = server.asked().iter().map(|asked| asked.field("ClientToken")).collect();
    assert_eq!(tokens, vec![Some("token-1".to_owned()); 3]);
}

#[tokio::test]
async fn a_doubt_of_an_earlier_attempt_is_not_forgotten() {
    let server = Server::start(vec![Act::CutAfter, ec2_error(400, "VolumeInUse")]).await;
    let attached = server.client().await.ec2().attach_volume("vol-1", "i-1", "/dev/sdf").await;
    let error = attached.unwrap_err();
    assert_eq!(error.code(), Some("VolumeInUse"));
    assert!(error.may_have_happened(), "the first attempt may have attached it: {error:?}");
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_done() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let made = client(&url).await.ec2().create_snapshot("vol-1", "", &Tags::new()).await;
    let error = made.unwrap_err();
    assert!(matches!(error, AwsError::Connect { .. }), "{error:?}");
    assert!(!error.may_have_happened());
    assert!(error.to_string().contains(&url), "{error}");
}
