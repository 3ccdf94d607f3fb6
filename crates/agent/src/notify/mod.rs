//! Tells the operator's own systems what has happened: a webhook, a command, or both.
//!
//! Whoever has something to tell never waits: it goes into a queue that drops its oldest when it is full. One task
//! sends, each message to both at once, with a bound on every wait.

mod command;
mod webhook;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use qmoor_plan::config;
use qmoor_plan::notify::{By, Event, Message};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use webhook::Poster;

/// How many messages may wait.
const WAITING_MAX: usize = 64;
/// A trial is answered within this, whatever `notify.timeout` says.
const TRIAL_MAX: Duration = Duration::from_secs(20);

/// What is told, and what has become of it.
#[derive(Debug)]
pub struct Notifier {
    node: String,
    config: config::Notify,
    waiting: Mutex<VecDeque<Message>>,
    wake: Notify,
    is_ending: AtomicBool,
    sender: Mutex<Option<JoinHandle<()>>>,
    poster: Poster,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    webhook_sent: AtomicU64,
    webhook_failed: AtomicU64,
    command_sent: AtomicU64,
    command_failed: AtomicU64,
    dropped: AtomicU64,
}

/// What has become of all messages since the agent started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// Taken by the webhook.
    pub webhook_sent: u64,
    /// Given up, after all tries.
    pub webhook_failed: u64,
    /// For which the command ended with exit code 0.
    pub command_sent: u64,
    /// For which it did not.
    pub command_failed: u64,
    /// Dropped because too many waited.
    pub dropped: u64,
}

/// What came of a trial. Part of the `--json` contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The webhook, if there is one.
    pub webhook: Option<Tried>,
    /// The command, if there is one.
    pub command: Option<Tried>,
}

/// What came of a trial of one of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The host of the webhook, or the program.
    pub to: String,
    /// Whether it took the message.
    pub ok: bool,
    /// What came back, or what went wrong.
    pub answer: String,
    /// How long that took.
    pub ms: f64,
}

impl Notifier {
    /// Nothing is sent before [`Notifier::start`].
    #[must_use]
    pub fn new(node: &str, config: &config::Notify) -> Arc<Self> {
        Arc::new(Self {
            node: node.to_owned(),
            config: config.clone(),
            waiting: Mutex::default(),
            wake: Notify::new(),
            is_ending: AtomicBool::new(false),
            sender: Mutex::default(),
            poster: Poster::default(),
            counts: Counts::default(),
        })
    }

    /// Begins to send.
    pub fn start(self: &Arc<Self>) {
        if self.config.is_set() {
            let notifier = Arc::clone(self);
            *self.sender.lock() = Some(tokio::spawn(async move { notifier.send_all().await }));
        }
    }

    /// Has this told, if it is among what is to be told. Never waits.
    pub fn tell(&self, event: Event, by: Option<By>, id: Option<String>, message: String) {
        if !self.config.is_set() || !event.is_told(&self.config.on) {
            return;
        }
        let message = self.message(event, by, id, message);
        let mut waiting = self.waiting.lock();
        if waiting.len() >= WAITING_MAX {
            let oldest = waiting.pop_front();
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                event = ?oldest.map(|oldest| oldest.event),
                "notify: a message was dropped, because {WAITING_MAX} wait already"
            );
        }
        waiting.push_back(message);
        drop(waiting);
        self.wake.notify_one();
    }

    /// Sends what is still waiting, for as long as this; then gives it up.
    pub async fn end(&self, within: Duration) {
        self.is_ending.store(true, Ordering::Relaxed);
        self.wake.notify_one();
        let sender = self.sender.lock().take();
        let Some(mut sender) = sender else { return };
        if tokio::time::timeout(within, &mut sender).await.is_err() {
            sender.abort();
            let unsent = self.waiting.lock().len().saturating_add(1);
            tracing::warn!(unsent, "notify: messages were not sent before the end");
        }
    }

    /// Sends a message now, once, and says what came back.
    pub async fn try_out(&self) -> Trial {
        let text = format!("This is a test of the notifications of node {}.", self.node);
        let body = body(&self.message(Event::Test, Some(By::Hand), None, text));
        let timeout = self.config.timeout.min(TRIAL_MAX);
        let webhook = async {
            let begun = Instant::now();
            let (to, answer) = match webhook::of(&self.config).await? {
                Ok(webhook) => {
                    let posted = self.poster.post(&webhook, body.clone(), timeout).await;
                    (webhook.host().to_owned(), posted.map_err(|refusal| refusal.to_string()))
                }
                Err(why) => ("the webhook".to_owned(), Err(why)),
            };
            Some(Tried::of(to, answer, begun))
        };
        let command = async {
            let begun = Instant::now();
            let program = self.config.command.first()?.clone();
            let answer = command::run(&self.config.command, &body, timeout).await;
            Some(Tried::of(program, answer, begun))
        };
        let (webhook, command) = tokio::join!(webhook, command);
        Trial { webhook, command }
    }

    /// What has become of all messages.
    #[must_use]
    pub fn told(&self) -> Told {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Told {
            webhook_sent: of(&self.counts.webhook_sent),
            webhook_failed: of(&self.counts.webhook_failed),
            command_sent: of(&self.counts.command_sent),
            command_failed: of(&self.counts.command_failed),
            dropped: of(&self.counts.dropped),
        }
    }

    fn message(
        &self,
        event: Event,
        by: Option<By>,
        id: Option<String>,
        message: String,
    ) -> Message {
        Message {
            node: self.node.clone(),
            event,
            ok: event.is_well(),
            at: Timestamp::now(),
            by,
            id,
            message,
            qmoor: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    async fn send_all(&self) {
        loop {
            let next = self.waiting.lock().pop_front();
            match next {
                Some(message) => self.send(&message).await,
                None if self.is_ending.load(Ordering::Relaxed) => return,
                None => self.wake.notified().await,
            }
        }
    }

    async fn send(&self, message: &Message) {
        let (event, body) = (message.event, body(message));
        let webhook = async {
            let sent = match webhook::of(&self.config).await {
                None => return,
                Some(Ok(webhook)) => {
                    let sent = self.poster.insist(&webhook, &body, self.config.timeout).await;
                    sent.map_err(|refusal| format!("{}: {}", webhook.host(), refusal.outline()))
                }
                Some(Err(why)) => Err(why),
            };
            if let Err(why) = &sent {
                tracing::warn!(?event, why, "notify: the webhook did not take a message");
            }
            count(&self.counts.webhook_sent, &self.counts.webhook_failed, sent.is_ok());
        };
        let command = async {
            if self.config.command.is_empty() {
                return;
            }
            let sent = command::run(&self.config.command, &body, self.config.timeout).await;
            if let Err(why) = &sent {
                tracing::warn!(?event, why, "notify: the command did not take a message");
            }
            count(&self.counts.command_sent, &self.counts.command_failed, sent.is_ok());
        };
        let ((), ()) = tokio::join!(webhook, command);
    }
}

impl Tried {
    fn of(to: String, answer: Result<String, String>, begun: Instant) -> Self {
        let ms = begun.elapsed().as_secs_f64() * 1000.0;
        let (ok, answer) = match answer {
            Ok(answer) => (true, answer),
            Err(why) => (false, why),
        };
        Self { to, ok, answer, ms }
    }
}

fn body(message: &Message) -> Bytes {
    // A message is made of texts and times, which are always JSON.
    Bytes::from(serde_json::to_vec(message).unwrap_or_default())
}

fn count(sent: &AtomicU64, failed: &AtomicU64, ok: bool) {
    let count = if ok { sent } else { failed };
    count.fetch_add(1, Ordering::Relaxed);
}

/// The beginning of what another program says, on one line.
fn outline(said: &[u8]) -> String {
    const LETTERS: usize = 200;
    let text = String::from_utf8_lossy(said);
    let line: String =
        text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LETTERS).collect();
    line
}

#[cfg(test)]
mod tests;
