//! The door of the status page: who may see it, who may press its buttons, and how it is sent.
//!
//! A session of the page opens the page and nothing else; a key opens everything but the page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION, ORIGIN, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use jiff::Timestamp;
use maud::Markup;
use qmoor_plan::access::{Access, Need, Role, Sender, TokenHash, is_own_form};
use qmoor_plan::audit::Outcome;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::Gateway;
use super::access_line::AccessLine;
use super::answer::{Body, Refusal, empty, page};
use super::caller::Peer;
use crate::control::reply_status;
use crate::control::wire::{Failure, FailureKind};
use crate::page::session::Visitor;
use crate::page::shell::{self, Ask, HOME, LOGIN};
use crate::page::{SCRIPT, STYLE};

/// The longest form, in bytes, and how long it may take.
const FORM_BYTES_MAX: usize = 4 * 1024;
const FORM_TIME_MAX: Duration = Duration::from_secs(10);
/// How long is waited until something asked for has begun; it goes on without us.
const BEGIN_TIME_MAX: Duration = Duration::from_secs(15);
/// How often it is looked whether a part has changed.
const TICK: Duration = Duration::from_secs(1);
/// After so many ticks without news something is sent all the same, so that a browser that is gone is noticed.
const QUIET_MAX: u32 = 15;

/// Nothing is loaded from elsewhere, nothing inline is run, and nobody frames it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the page answers this, and nobody else may.
pub(super) fn is_of_page(access: &Access) -> bool {
    access.need == Need::Session || access.operation.starts_with("page.")
}

impl Gateway {
    /// Answers what is asked of the page.
    pub(super) async fn page(
        self: &Arc<Self>,
        access: &Access,
        request: Request<Incoming>,
        peer: &Peer,
        line: &mut AccessLine,
    ) -> Response<Body> {
        let answer = match access.operation {
            "page.door" => to(HOME),
            "page.style" => asset(STYLE, "text/css; charset=utf-8"),
            "page.script" => asset(SCRIPT, "text/javascript; charset=utf-8"),
            "page.login" => html(StatusCode::OK, self.login_page(None)),
            "page.log_in" => self.log_in(request, peer, line).await,
            operation => self.of_session(operation, request, peer, line).await,
        };
        let answer = dressed(answer);
        line.status(answer.status());
        answer
    }

    fn login_page(&self, wrong: Option<&str>) -> Markup {
        shell::login(&self.agent.config.node.name, wrong)
    }

    /// What takes a session.
    async fn of_session(
        self: &Arc<Self>,
        operation: &str,
        request: Request<Incoming>,
        peer: &Peer,
        line: &mut AccessLine,
    ) -> Response<Body> {
        let is_use = operation != "page.events";
        let visitor = self.page.door.visitor(request.headers(), &self.agent.keys, is_use);
        let Some(visitor) = visitor else {
            return match operation {
                "page.home" | "page.confirm" => to(LOGIN),
                _ => {
                    let over = "You are not logged in any more. Nothing was done.";
                    html(StatusCode::UNAUTHORIZED, self.login_page(Some(over)))
                }
            };
        };
        peer.proves(&self.agent.keys);
        line.caller(Arc::clone(&visitor.key));
        let query = fields(request.uri().query().unwrap_or_default().as_bytes());
        match operation {
            "page.home" => {
                let parts = self.page.parts(&self.agent, &self.history).await;
                let done = query.iter().find(|(name, _)| name == "done");
                let done = done.map(|(_, value)| value.as_str());
                let name = &self.agent.config.node.name;
                html(StatusCode::OK, shell::home(name, &parts, &visitor, done))
            }
            "page.events" => self.events(visitor.token),
            "page.confirm" => match Ask::of(&query) {
                Some(ask) => html(StatusCode::OK, shell::confirm(&ask, &visitor)),
                None => nothing_such(),
            },
            "page.do" | "page.log_out" => self.form(operation, request, visitor, peer).await,
            _ => nothing_such(),
        }
    }

    /// A form that changes something.
    async fn form(
        &self,
        operation: &str,
        request: Request<Incoming>,
        visitor: Visitor,
        peer: &Peer,
    ) -> Response<Body> {
        let is_own = is_own_form(&sender(&request));
        let fields = match form(request).await {
            Ok(fields) => fields,
            Err(answer) => return answer,
        };
        let csrf = fields.iter().find(|(name, _)| name == "csrf");
        if !is_own || !csrf.is_some_and(|(_, csrf)| visitor.gave(csrf)) {
            return not_ours();
        }
        if operation == "page.log_out" {
            let mut answer = to(LOGIN);
            if let Some(cookie) = self.page.door.end(&visitor, self.tls.is_some()) {
                answer.headers_mut().insert(SET_COOKIE, cookie);
            }
            return answer;
        }
        let Some(ask) = Ask::of(&fields) else { return nothing_such() };
        let done = ask.done();
        match self.act(&visitor, peer, ask).await {
            Ok(()) => {
                self.page.forget();
                to(&done)
            }
            Err(failure) => html(reply_status(failure.kind), shell::failed(&failure)),
        }
    }

    /// The one way from a button to what it does.
    async fn act(&self, visitor: &Visitor, peer: &Peer, ask: Ask) -> Result<(), Failure> {
        let actor = visitor.key.actor(peer.address);
        let acted = timeout(BEGIN_TIME_MAX, Box::pin(self.agent.act(actor, ask.asked()))).await;
        acted.unwrap_or_else(|_| {
            Err(Failure::new(
                FailureKind::Busy,
                format!("it has not begun within {BEGIN_TIME_MAX:?}, and may do so later (hint: the page shows it when it does)"),
            ))
        })
    }

    /// Checks a key, as everywhere, and begins a session for it.
    async fn log_in(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
        line: &mut AccessLine,
    ) -> Response<Body> {
        if !is_own_form(&sender(&request)) {
            return not_ours();
        }
        let fields = match form(request).await {
            Ok(fields) => fields,
            Err(answer) => return answer,
        };
        let given = fields.iter().find(|(name, _)| name == "key");
        let given = given.map(|(_, key)| key.trim()).unwrap_or_default();
        let Some(key) = self.agent.keys.check(given, Timestamp::now()) else {
            return self.wrong_key(peer, line);
        };
        line.caller(Arc::clone(&key));
        if key.role != Role::Admin {
            let why = format!("the {} key does not open the page", key.role);
            self.note_forbidden(&key, peer, line.operation(), &why);
            let what = format!("This is the {} key. The page needs the admin key.", key.role);
            return html(StatusCode::FORBIDDEN, self.login_page(Some(&what)));
        }
        peer.proves(&self.agent.keys);
        let actor = key.actor(peer.address);
        self.agent.context.audit().note(actor, line.operation(), Value::Null, Outcome::Done, "");
        let mut answer = to(HOME);
        if let Some(cookie) = self.page.door.begin(&key, self.tls.is_some()) {
            answer.headers_mut().insert(SET_COOKIE, cookie);
        }
        answer
    }

    fn wrong_key(&self, peer: &Peer, line: &mut AccessLine) -> Response<Body> {
        let refusal = self.note_wrong(Refusal::Unauthorized("Invalid API key"), peer, line);
        let (status, what) = match refusal {
            Refusal::Stopped => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many wrong keys came from your address. Wait a moment, or give the right one.",
            ),
            _ => (StatusCode::UNAUTHORIZED, "This is no key of this node."),
        };
        html(status, self.login_page(Some(what)))
    }

    /// The parts of the page, whenever they change, until the session or the gateway ends.
    fn events(self: &Arc<Self>, token: TokenHash) -> Response<Body> {
        let Ok(place) = Arc::clone(&self.page.streams).try_acquire_owned() else {
            let what = "too many pages are open that refresh themselves\n";
            let mut answer = page(what.to_owned());
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            return answer;
        };
        let events = Events::new(Arc::clone(self), token, place);
        let frames = futures::stream::unfold(events, async |mut events| {
            let bytes = events.next().await?;
            Some((Ok(Frame::data(bytes)), events))
        });
        let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
        let kind = HeaderValue::from_static("text/event-stream");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
    }
}

/// One page that refreshes itself. Nothing is looked at for a browser that does not read.
struct Events {
    gateway: Arc<Gateway>,
    token: TokenHash,
    sent: BTreeMap<&'static str, u64>,
    ahead: VecDeque<Bytes>,
    tick: Interval,
    quiet: u32,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Events {
    fn new(gateway: Arc<Gateway>, token: TokenHash, place: OwnedSemaphorePermit) -> Self {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (sent, ahead) = (BTreeMap::new(), VecDeque::new());
        Self { gateway, token, sent, ahead, tick, quiet: 0, over: false, _place: place }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ahead.pop_front() {
                self.quiet = 0;
                return Some(bytes);
            }
            if self.over {
                return None;
            }
            let gateway = Arc::clone(&self.gateway);
            tokio::select! {
                () = gateway.stop.cancelled() => return None,
                _ = self.tick.tick() => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let Gateway { agent, page, history, .. } = self.gateway.as_ref();
        if page.door.known(self.token, &agent.keys, false).is_none() {
            self.over = true;
            self.ahead.push_back(Bytes::from_static(b"event: end\ndata: {}\n\n"));
            return;
        }
        for part in page.parts(agent, history).await.iter() {
            if self.sent.insert(part.id, part.version) != Some(part.version) {
                let data = serde_json::json!({ "id": part.id, "html": part.html.0 });
                self.ahead.push_back(Bytes::from(format!("event: part\ndata: {data}\n\n")));
            }
        }
        self.quiet += 1;
        if self.quiet >= QUIET_MAX {
            self.ahead.push_back(Bytes::from_static(b":\n\n"));
        }
    }
}

/// What a browser says of where the request comes from.
fn sender(request: &Request<Incoming>) -> Sender<'_> {
    let header = |name: HeaderName| {
        // What is no text is no origin of ours.
        request.headers().get(name).map(|value| value.to_str().unwrap_or("?"))
    };
    let host = request.uri().authority().map(http::uri::Authority::as_str);
    Sender { host: host.or_else(|| header(HOST)), origin: header(ORIGIN), site: header(FETCH_SITE) }
}

fn fields(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// The fields of a form, or the answer to one that is none.
async fn form(request: Request<Incoming>) -> Result<Vec<(String, String)>, Response<Body>> {
    let refused = |status, what| html(status, shell::trouble("It was not understood", what, None));
    let read = Limited::new(request.into_body(), FORM_BYTES_MAX).collect();
    match timeout(FORM_TIME_MAX, read).await {
        Ok(Ok(body)) => Ok(fields(&body.to_bytes())),
        Ok(Err(_)) => Err(refused(StatusCode::BAD_REQUEST, "The form is too long, or broke off.")),
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, "The form stopped coming.")),
    }
}

fn not_ours() -> Response<Body> {
    let what = "This form does not come from the page, or from an older login. Nothing was done.";
    html(StatusCode::FORBIDDEN, shell::trouble("It was not done", what, None))
}

fn nothing_such() -> Response<Body> {
    html(
        StatusCode::NOT_FOUND,
        shell::trouble("There is nothing here", "No such thing can be asked for.", None),
    )
}

fn html(status: StatusCode, markup: Markup) -> Response<Body> {
    let mut answer = page(markup.into_string());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HTML);
    answer
}

fn asset(text: &'static str, kind: &'static str) -> Response<Body> {
    let mut answer = page(text.to_owned());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// Sends the browser on, with a question that changes nothing.
fn to(place: &str) -> Response<Body> {
    let mut answer = Response::new(empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static(HOME));
    answer.headers_mut().insert(LOCATION, place);
    answer
}

/// With the headers that all of the page has.
fn dressed(mut answer: Response<Body>) -> Response<Body> {
    let headers: &mut HeaderMap = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // With no referrer at all browsers say `Origin: null` of our own forms.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    answer
}
