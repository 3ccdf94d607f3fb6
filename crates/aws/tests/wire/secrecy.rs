//! What must not be shown is not shown, not even in the most talkative log.

use std::io;
use std::sync::{Arc, Mutex};

use qmoor_aws::secrets::SecretText;
use tracing_subscriber::fmt::MakeWriter;

use crate::server::{SECRET_KEY, Server, ok};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_is_in_debug_output_or_in_the_log_at_its_most_talkative() {
    let answer =
        r#"{"ARN":"arn:1","VersionId":"v1","SecretString":"came-back","VersionStages":[]}"#;
    let parameter =
        r#"{"Parameter":{"Name":"n","Type":"SecureString","Value":"came-too","Version":1}}"#;
    let server = Server::start(vec![ok(r#"{"VersionId":"v1"}"#), ok(answer), ok(parameter)]).await;
    let aws = server.client().await;

    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let on = tracing::subscriber::set_default(subscriber);
    let sent = SecretText::new("sent-out".to_owned());
    aws.secrets().put("search", &sent, "token", &["AWSCURRENT"]).await.unwrap();
    let got = aws.secrets().get("search", "AWSCURRENT").await.unwrap();
    let set = aws.parameters().get("n").await.unwrap();
    drop(on);

    assert_eq!(server.asked()[0].body.matches("sent-out").count(), 1);
    assert_eq!(got.text.as_ref().unwrap().reveal(), "came-back");
    assert_eq!(set.value.reveal(), "came-too");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("transmitting request"), "the log is at trace: {log}");
    let shown = format!("{log}{sent:?}{got:?}{set:?}{aws:?}{:?}", aws.secrets());
    for secret in ["sent-out", "came-back", "came-too", SECRET_KEY] {
        assert!(!shown.contains(secret), "{secret} is in: {shown}");
    }
}
