//! The services of the JSON protocol, and STS.

use qmoor_aws::Aws;
use qmoor_aws::events::Event;
use qmoor_aws::secrets::SecretText;
use qmoor_aws::ssm::NewCommand;
use serde_json::json;

use crate::start::Emulator;

#[tokio::test]
async fn identity_secrets_parameters_commands_and_events() {
    let Some(emulator) = Emulator::start() else { return };
    let aws = emulator.aws().await;
    let identity = aws.sts().get_caller_identity().await.unwrap();
    assert_eq!((identity.account.as_str(), identity.partition()), ("123456789012", "aws"));
    secrets(&aws).await;
    parameters(&aws).await;
    commands(&aws).await;
    let quota = aws.quotas().get("ec2", "L-1216C47A").await.unwrap();
    assert!(quota.value > 0.0 && quota.quota_name.contains("Standard"), "{quota:?}");
    let event = Event {
        bus: "default",
        source: "ray",
        detail_type: "BatchIndexed",
        detail: json!({ "batch_id": "b1" }),
    };
    assert!(!aws.events().put(&event).await.unwrap().is_empty());
    let run = "arn:aws:states:eu-west-1:123456789012:execution:machine:run";
    let error = aws.states().describe_execution(run).await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
}

/// A secret is made by the stack.
async fn secrets(aws: &Aws) {
    let secrets = aws.secrets();
    let error = secrets.get("search", "AWSCURRENT").await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    let id = crate::stack::secret(aws).await;
    let first = secrets.get(&id, "AWSCURRENT").await.unwrap();
    assert_eq!(first.version_stages, ["AWSCURRENT"]);
    let token = "11111111-2222-4333-8444-555555555555";
    let text = SecretText::new("{\"key\": \"new\"}".to_owned());
    let version = secrets.put(&id, &text, token, &["AWSPENDING"]).await.unwrap();
    assert_eq!(version, token);
    let pending = secrets.get(&id, "AWSPENDING").await.unwrap();
    assert_eq!(pending.text.unwrap().reveal(), text.reveal());

    let from = first.version_id.as_str();
    secrets.move_stage(&id, "AWSCURRENT", Some(&version), Some(from)).await.unwrap();
    let info = secrets.describe(&id).await.unwrap();
    assert_eq!(info.version_at("AWSCURRENT"), Some(token));
    assert_eq!(info.version_at("AWSPREVIOUS"), Some(from));
    let now = secrets.get(&id, "AWSCURRENT").await.unwrap();
    assert_eq!(now.text.unwrap().reveal(), text.reveal());
}

async fn parameters(aws: &Aws) {
    let parameters = aws.parameters();
    assert!(parameters.get("/qmoor/none").await.unwrap_err().is_not_found());
    let value = SecretText::new("s3cr3t".to_owned());
    assert_eq!(parameters.put_secure("/qmoor/k", &value, None).await.unwrap(), 1);
    assert_eq!(parameters.put_secure("/qmoor/k", &value, None).await.unwrap(), 2);
    let got = parameters.get("/qmoor/k").await.unwrap();
    assert_eq!((got.kind.as_str(), got.value.reveal()), ("SecureString", "s3cr3t"));
    let names = ["/qmoor/k", "/qmoor/none", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let found = parameters.get_many(&names).await.unwrap();
    assert_eq!(found.len(), 1);
}

async fn commands(aws: &Aws) {
    let ssm = aws.ssm();
    let instance = crate::stack::instance(aws).await;
    let known = ssm.describe_instance_information(&[&instance]).await.unwrap();
    assert_eq!(known[0].ping_status, "Online");
    let new = NewCommand {
        document: "AWS-RunShellScript",
        instance: &instance,
        parameters: [("commands".to_owned(), vec!["echo moored".to_owned()])].into(),
        comment: "a test",
        delivery_timeout_s: 30,
    };
    let command = ssm.send_command(&new).await.unwrap();
    let ended = crate::stack::until(
        "the command ends",
        async || ssm.get_command_invocation(&command, &instance).await,
        |seen| match seen {
            Ok(seen) => seen.is_over(),
            // Right after it was sent it is not known yet.
            Err(error) => !error.is_not_found(),
        },
    )
    .await;
    let invocation = ended.unwrap();
    assert_eq!((invocation.status.as_str(), invocation.response_code), ("Success", 0));
    assert_eq!(invocation.stdout, "moored\n");
    let error = ssm.get_command_invocation(&command, "i-00000000000000000").await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    ssm.cancel_command(&command).await.unwrap();
}
