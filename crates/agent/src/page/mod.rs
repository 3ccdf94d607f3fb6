//! The status page at `/qmoor/`: what it shows, and how that becomes HTML. Who may see it is the gateway's business
//! (`gateway::page_door`).
//!
//! It must not disturb anything: what it shows is looked at once a second for all who look, with a deadline for each look,
//! and never at the gate.

mod backups;
mod capacity;
mod checks;
mod draw;
mod kept;
mod node;
mod now;
mod schedules;
pub(crate) mod session;
pub(crate) mod shell;
mod traffic;
mod verdict;
mod view;
mod words;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maud::Markup;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::control::Agent;
use crate::history::History;
use session::Door;
use view::{Looks, View};

/// The style of all pages.
pub(crate) const STYLE: &str = include_str!("page.css");
/// What refreshes the page, where scripts run.
pub(crate) const SCRIPT: &str = include_str!("page.js");

/// How long what was rendered is good enough for whoever looks next.
const FRESH: Duration = Duration::from_secs(1);
/// How many pages may be refreshed at once; one more is told so, and is whole without it.
const STREAMS_MAX: usize = 64;

/// What all who look at the page share.
#[derive(Debug)]
pub(crate) struct Page {
    /// Who is logged in.
    pub(crate) door: Door,
    /// Bounds the streams of events.
    pub(crate) streams: Arc<Semaphore>,
    looks: Looks,
    rendered: Mutex<Option<(Instant, Arc<Vec<Part>>)>>,
    /// One renders for all.
    rendering: tokio::sync::Mutex<()>,
}

/// One part of the page, which is refreshed by itself.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// Its name, and its id in the page.
    pub(crate) id: &'static str,
    /// What it says.
    pub(crate) html: Markup,
    /// Differs when what it says does.
    pub(crate) version: u64,
}

impl Page {
    pub(crate) fn new(config_file: Option<PathBuf>) -> Self {
        Self {
            door: Door::new(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            looks: Looks::new(config_file),
            rendered: Mutex::default(),
            rendering: tokio::sync::Mutex::default(),
        }
    }

    /// All parts in their order, none older than a second.
    pub(crate) async fn parts(&self, agent: &Arc<Agent>, history: &History) -> Arc<Vec<Part>> {
        if let Some(parts) = self.fresh() {
            return parts;
        }
        let _one = self.rendering.lock().await;
        if let Some(parts) = self.fresh() {
            return parts;
        }
        let view = self.looks.view(agent, history).await;
        let parts = Arc::new(parts(&view));
        *self.rendered.lock() = Some((Instant::now(), Arc::clone(&parts)));
        parts
    }

    /// Something was done that whoever did it wants to see.
    pub(crate) fn forget(&self) {
        *self.rendered.lock() = None;
    }

    fn fresh(&self) -> Option<Arc<Vec<Part>>> {
        let rendered = self.rendered.lock();
        let (at, parts) = rendered.as_ref()?;
        (at.elapsed() < FRESH).then(|| Arc::clone(parts))
    }
}

fn parts(view: &View) -> Vec<Part> {
    [
        ("verdict", verdict::part(view)),
        ("now", now::part(view)),
        ("node", node::part(view)),
        ("backups", backups::part(view)),
        ("capacity", capacity::part(view)),
        ("traffic", traffic::part(view)),
        ("checks", checks::part(view)),
    ]
    .into_iter()
    .map(|(id, html)| {
        let mut hasher = DefaultHasher::new();
        html.0.hash(&mut hasher);
        Part { id, html, version: hasher.finish() }
    })
    .collect()
}
