//! The signature, worked out once more from what arrived.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>.

use qmoor_aws::Tags;
use qmoor_aws::ec2::CopySnapshot;
use sha2::{Digest, Sha256};

use crate::server::{Asked, SECRET_KEY, Server, ok};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut block = [0u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([pad(0x36), text.as_bytes().to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

/// `scope` is `20150830/us-east-1/iam/aws4_request`, `time` is `20150830T123600Z`.
fn signature(secret: &str, time: &str, scope: &str, canonical: &str) -> String {
    let hashed = hex(&Sha256::digest(canonical));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashed}");
    let first = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(first, |key, part| hmac(&key, part));
    hex(&hmac(&key, &to_sign))
}

#[test]
fn the_calculation_here_gives_what_aws_documents() {
    // From the documentation's example of a signed request to IAM.
    let canonical = "GET\n/\nAction=ListUsers&Version=2010-05-08\n\
        content-type:application/x-www-form-urlencoded; charset=utf-8\nhost:iam.amazonaws.com\n\
        x-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\n\
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let scope = "20150830/us-east-1/iam/aws4_request";
    assert_eq!(
        signature(SECRET_KEY, "20150830T123600Z", scope, canonical),
        "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
}

fn part<'a>(authorization: &'a str, name: &str) -> &'a str {
    let begin = authorization.find(name).unwrap() + name.len() + 1;
    authorization[begin..].split(',').next().unwrap()
}

fn assert_signed(asked: &Asked, service: &str) {
    let authorization = asked.header("authorization").unwrap();
    let time = asked.header("x-amz-date").unwrap();
    let scope = format!("{}/eu-west-1/{service}/aws4_request", &time[..8]);
    assert_eq!(part(authorization, "Credential"), format!("AKIDEXAMPLE/{scope}"));
    let names = part(authorization, "SignedHeaders");
    assert!(names.split(';').any(|name| name == "host"), "{names}");
    let headers: String =
        names.split(';').map(|name| format!("{name}:{}\n", asked.header(name).unwrap())).collect();
    let body = hex(&Sha256::digest(&asked.body));
    let canonical = format!("POST\n/\n\n{headers}\n{names}\n{body}");
    assert_eq!(part(authorization, "Signature"), signature(SECRET_KEY, time, &scope, &canonical));
}

#[tokio::test]
async fn a_form_and_a_json_request_are_signed_with_their_bodies() {
    let server = Server::start(vec![ok(""), ok(r#"{"VersionId":"v"}"#)]).await;
    let aws = server.client().await;
    let tags = Tags::from([("name".to_owned(), "a b&c=ü".to_owned())]);
    aws.ec2().create_tags(&["vol-1"], &tags).await.unwrap();
    let text = qmoor_aws::secrets::SecretText::new("grün".to_owned());
    aws.secrets().put("search", &text, "token", &["AWSCURRENT"]).await.unwrap();
    let asked = server.asked();
    assert_signed(&asked[0], "ec2");
    assert_eq!(asked[0].field("Tag.1.Value").as_deref(), Some("a b&c=ü"));
    assert_signed(&asked[1], "secretsmanager");
    assert_eq!(asked[1].header("x-amz-target"), Some("secretsmanager.PutSecretValue"));
    assert_eq!(asked[1].header("content-type"), Some("application/x-amz-json-1.1"));
}

#[tokio::test]
async fn a_copy_from_another_region_brings_a_signature_for_that_region() {
    let copied = "<CopySnapshotResponse><snapshotId>snap-2</snapshotId></CopySnapshotResponse>";
    let server = Server::start(vec![ok(copied)]).await;
    let copy = CopySnapshot { source: "snap-1", source_region: "us-east-1", ..Default::default() };
    let id = server.client().await.ec2().copy_snapshot(&copy).await.unwrap();
    assert_eq!(id, "snap-2");

    let presigned = server.asked()[0].field("PresignedUrl").unwrap();
    let (host, query) = presigned.split_once("/?").unwrap();
    let (unsigned, given) = query.split_once("&X-Amz-Signature=").unwrap();
    let mut pairs: Vec<&str> = unsigned.split('&').collect();
    pairs.sort_unstable();
    assert!(pairs.contains(&"DestinationRegion=eu-west-1"), "{pairs:?}");
    assert!(pairs.contains(&"SourceSnapshotId=snap-1"), "{pairs:?}");
    let time = pairs.iter().find_map(|pair| pair.strip_prefix("X-Amz-Date=")).unwrap();
    let scope = format!("{}/us-east-1/ec2/aws4_request", &time[..8]);
    let empty = hex(&Sha256::digest(""));
    let host = host.strip_prefix("http://").unwrap();
    let canonical = format!("GET\n/\n{}\nhost:{host}\n\nhost\n{empty}", pairs.join("&"));
    assert_eq!(given, signature(SECRET_KEY, time, &scope, &canonical));
}
