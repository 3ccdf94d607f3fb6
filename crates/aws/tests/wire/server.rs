//! A server that answers as it was told, one connection a request, and notes what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qmoor_aws::{Aws, Retries, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done with one request.
#[derive(Clone)]
pub(crate) enum Act {
    /// It is answered: status, further headers, body.
    Answer(u16, &'static str, String),
    /// It is read whole, and the connection is closed.
    CutAfter,
    /// It is read whole, and nothing is said.
    Silent,
}

/// An answer with status 200.
pub(crate) fn ok(body: &str) -> Act {
    Act::Answer(200, "", body.to_owned())
}

/// An error as EC2 writes it.
pub(crate) fn ec2_error(status: u16, code: &str) -> Act {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
         <Message>what is wrong &amp; why</Message></Error></Errors><RequestID>req-1</RequestID></Response>"
    );
    Act::Answer(status, "", body)
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// A field of the form that was sent.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.body.as_bytes())
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned())
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Does one of `acts` after the other; to a request past the last it answers 418.
    pub(crate) async fn start(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        let mut acts = VecDeque::from(acts);
        let task = tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(request) = read(&mut stream).await else { continue };
                notes.lock().unwrap().push(request);
                match acts.pop_front().unwrap_or(Act::Answer(418, "", String::new())) {
                    Act::Answer(status, headers, body) => {
                        let length = body.len();
                        let answer = format!(
                            "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                        );
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                    Act::CutAfter => drop(stream),
                    Act::Silent => kept.push(stream),
                }
            }
        });
        Self { url, asked, task }
    }

    /// The client of it, with three attempts and next to no waits between them.
    pub(crate) async fn client(&self) -> Aws {
        client(&self.url).await
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) async fn client(url: &str) -> Aws {
    let aws = Aws::at(url, "eu-west-1", "AKIDEXAMPLE", SECRET_KEY).await.unwrap();
    let second = Duration::from_secs(1);
    aws.with_retries(Retries { attempts: 3, first_wait: Duration::from_millis(1) })
        .with_timeouts(Timeouts { attempt: second, call: second * 10 })
}

pub(crate) const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let asked = Asked { head, body: String::new() };
            let length: usize = asked.header("content-length").unwrap().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
                return Some(Asked { body, ..asked });
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return None;
        }
    }
}
