//! Answers as AWS writes them, and what is made of them.

use qmoor_aws::ec2::{SnapshotFilter, SnapshotState};
use qmoor_aws::{AwsError, Tags};

use crate::server::{Act, Server, ec2_error, ok};

fn snapshots(ids: &[&str], token: &str) -> String {
    let items: String = ids
        .iter()
        .map(|id| {
            format!(
                "<item><snapshotId>{id}</snapshotId><volumeId>vol-1</volumeId><status>completed</status>\
                 <startTime>2026-01-02T03:04:05.678Z</startTime><progress>100%</progress><ownerId>1</ownerId>\
                 <volumeSize>200</volumeSize><description/><encrypted>true</encrypted><brandNew><a>1</a></brandNew>\
                 <tagSet><item><key>qmoor:batch</key><value>b &lt;1&gt;</value></item><item><key>empty</key><value/></item></tagSet></item>"
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeSnapshotsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
         <requestId>r</requestId><snapshotSet>{items}</snapshotSet>{token}</DescribeSnapshotsResponse>"
    )
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page() {
    let server = Server::start(vec![
        ok(&snapshots(&["snap-1", "snap-2"], "<nextToken>more/+=</nextToken>")),
        ok(&snapshots(&["snap-3"], "<nextToken/>")),
    ])
    .await;
    let filter = SnapshotFilter {
        volume: Some("vol-1".to_owned()),
        tags: Tags::from([("qmoor:batch".to_owned(), "b1".to_owned())]),
        ..Default::default()
    };
    let found = server.client().await.ec2().describe_snapshots(&filter).await.unwrap();
    let ids: Vec<_> = found.iter().map(|snapshot| snapshot.id.as_str()).collect();
    assert_eq!(ids, ["snap-1", "snap-2", "snap-3"]);
    assert_eq!(found[0].state, SnapshotState::Completed);
    assert_eq!(found[0].started.unwrap().to_string(), "2026-01-02T03:04:05.678Z");
    assert_eq!((found[0].size_gib, found[0].encrypted), (200, true));
    assert_eq!(found[0].description, "");
    assert_eq!(found[0].tags["qmoor:batch"], "b <1>");
    assert_eq!(found[0].tags["empty"], "");

    let asked = server.asked();
    assert_eq!(asked[0].field("Action").as_deref(), Some("DescribeSnapshots"));
    assert_eq!(asked[0].field("Owner.1").as_deref(), Some("self"));
    assert_eq!(asked[0].field("Filter.1.Name").as_deref(), Some("volume-id"));
    assert_eq!(asked[0].field("Filter.2.Name").as_deref(), Some("tag:qmoor:batch"));
    assert_eq!(asked[0].field("Filter.2.Value.1").as_deref(), Some("b1"));
    assert_eq!(asked[0].field("NextToken"), None);
    assert_eq!(asked[1].field("NextToken").as_deref(), Some("more/+="));
}

#[tokio::test]
async fn an_empty_list_and_an_unknown_state_are_read() {
    let unknown = snapshots(&["snap-1"], "").replace("completed", "petrified");
    let empty = "<DescribeSnapshotsResponse><snapshotSet/></DescribeSnapshotsResponse>";
    let server = Server::start(vec![ok(empty), ok(&unknown)]).await;
    let ec2 = server.client().await.ec2();
    assert!(ec2.describe_snapshots(&SnapshotFilter::default()).await.unwrap().is_empty());
    let found = ec2.describe_snapshots(&SnapshotFilter::default()).await.unwrap();
    assert_eq!(found[0].state, SnapshotState::Unknown);
}

#[tokio::test]
async fn an_error_says_code_words_request_and_what_to_do() {
    let server = Server::start(vec![ec2_error(403, "UnauthorizedOperation")]).await;
    let error = server.client().await.ec2().delete_snapshot("snap-1").await.unwrap_err();
    assert!(error.is_denied());
    assert_eq!(
        error.to_string(),
        "ec2:DeleteSnapshot: UnauthorizedOperation: what is wrong & why (request req-1) \
         (hint: these credentials need the permission ec2:DeleteSnapshot)"
    );
}

#[tokio::test]
async fn errors_of_cloudformation_and_of_json_services_are_read() {
    let gone = "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type>\
         <Code>ValidationError</Code><Message>Stack with id x does not exist</Message></Error>\
         <RequestId>req-2</RequestId></ErrorResponse>";
    let header = Act::Answer(
        400,
        "x-amzn-errortype: InvocationDoesNotExist:http://internal/\r\nx-amzn-requestid: req-3\r\n",
        "{}".to_owned(),
    );
    let body = Act::Answer(
        400,
        "",
        r#"{"__type":"com.amazonaws.ssm#ParameterNotFound","Message":"no such one"}"#.to_owned(),
    );
    let server = Server::start(vec![Act::Answer(400, "", gone.to_owned()), header, body]).await;
    let aws = server.client().await;
    assert!(aws.cloudformation().stack("x").await.unwrap().is_none());

    let error = aws.ssm().get_command_invocation("c", "i-1").await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    assert!(matches!(&error, AwsError::Service { request_id: Some(id), .. } if id == "req-3"));
    let error = aws.parameters().get("p").await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    assert_eq!(error.to_string(), "ssm:GetParameter: ParameterNotFound: no such one");
}

#[tokio::test]
async fn a_page_of_somebody_else_is_told_and_not_believed() {
    let server = Server::start(vec![
        Act::Answer(407, "", "<html><body>Proxy   login\nneeded</body>".to_owned()),
        ok("<html><head></html>"),
        ok("not even\nXML"),
    ])
    .await;
    let ec2 = server.client().await.ec2();
    let error = ec2.delete_snapshot("snap-1").await.unwrap_err();
    assert_eq!(error.code(), Some("HTTP 407"));
    assert!(error.to_string().contains("Proxy login needed"), "{error}");
    for _ in 0..2 {
        let error = ec2.create_snapshot("vol-1", "", &Tags::new()).await.unwrap_err();
        assert!(matches!(error, AwsError::Malformed { .. }), "{error:?}");
        assert!(error.may_have_happened());
        assert!(error.to_string().contains(&server.url), "{error}");
    }
}

#[tokio::test]
async fn an_event_that_is_refused_in_a_good_answer_is_an_error() {
    let refused = r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"later"}]}"#;
    let server = Server::start(vec![ok(refused)]).await;
    let event = qmoor_aws::events::Event {
        bus: "default",
        source: "s",
        detail_type: "BatchIndexed",
        detail: serde_json::json!({ "batch_id": "b1" }),
    };
    let error = server.client().await.events().put(&event).await.unwrap_err();
    assert_eq!(error.code(), Some("InternalFailure"));
}

#[tokio::test]
async fn a_change_set_is_read_over_its_pages() {
    let page = |name: &str, replaces: &str, token: &str| {
        format!(
            "<DescribeChangeSetResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeChangeSetResult>\
             <ChangeSetId>arn:c</ChangeSetId><StackId>arn:s</StackId><Status>CREATE_COMPLETE</Status>\
             <ExecutionStatus>AVAILABLE</ExecutionStatus><Changes><member><Type>Resource</Type><ResourceChange>\
             <Action>Modify</Action><LogicalResourceId>{name}</LogicalResourceId><ResourceType>AWS::EC2::Volume</ResourceType>\
             <Replacement>{replaces}</Replacement><PolicyAction>ReplaceAndSnapshot</PolicyAction><Scope><member>Properties</member></Scope>\
             <Details><member><Target><Attribute>Properties</Attribute><Name>AvailabilityZone</Name>\
             <RequiresRecreation>Always</RequiresRecreation><BeforeValue>a</BeforeValue><AfterValue>b</AfterValue></Target>\
             <ChangeSource>DirectModification</ChangeSource></member></Details></ResourceChange></member></Changes>{token}\
             </DescribeChangeSetResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DescribeChangeSetResponse>"
        )
    };
    let server = Server::start(vec![
        ok(&page("Volume", "True", "<NextToken>2</NextToken>")),
        ok(&page("Instance", "Conditional", "")),
    ])
    .await;
    let set = server.client().await.cloudformation().describe_change_set("arn:c").await.unwrap();
    let names: Vec<_> = set.changes.iter().map(|change| change.logical_id.as_str()).collect();
    assert_eq!(names, ["Volume", "Instance"]);
    let first = &set.changes[0];
    assert_eq!(first.replacement.as_deref(), Some("True"));
    assert_eq!(first.details[0].name(), "AvailabilityZone");
    assert_eq!((first.details[0].before(), first.details[0].after()), (Some("a"), Some("b")));
    assert!(!set.is_empty());
}
