//! Whole pages: the page itself, the login, the question whether it is meant, and what went wrong.

use form_urlencoded::Serializer;
use maud::{DOCTYPE, Markup, html};

use super::Part;
use super::session::Visitor;
use crate::control::Asked;
use crate::control::wire::Failure;

/// Where the page is.
pub(crate) const HOME: &str = "/qmoor/";
/// Where one logs in.
pub(crate) const LOGIN: &str = "/qmoor/login";

/// Something that can be asked for on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Backup,
    Drill(Option<String>),
    Pin(String),
    Unpin(String),
    Release,
}

impl Ask {
    /// From the fields of an address or a form.
    pub(crate) fn of(fields: &[(String, String)]) -> Option<Self> {
        let field = |name: &str| {
            let found = fields.iter().find(|(field, _)| field == name);
            found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
        };
        match field("what")?.as_str() {
            "backup" => Some(Self::Backup),
            "drill" => Some(Self::Drill(field("backup"))),
            "pin" => Some(Self::Pin(field("backup")?)),
            "unpin" => Some(Self::Unpin(field("backup")?)),
            "release" => Some(Self::Release),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Drill(_) => "drill",
            Self::Pin(_) => "pin",
            Self::Unpin(_) => "unpin",
            Self::Release => "release",
        }
    }

    fn backup(&self) -> Option<&str> {
        match self {
            Self::Backup | Self::Release => None,
            Self::Drill(id) => id.as_deref(),
            Self::Pin(id) | Self::Unpin(id) => Some(id),
        }
    }

    /// Where it is asked whether it is meant.
    pub(super) fn confirm(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("what", self.name());
        if let Some(id) = self.backup() {
            query.append_pair("backup", id);
        }
        format!("/qmoor/confirm?{}", query.finish())
    }

    /// Where one goes once it is done or begun.
    pub(crate) fn done(&self) -> String {
        format!("{HOME}?done={}", self.name())
    }

    /// What the agent is asked for.
    pub(crate) fn asked(self) -> Asked {
        match self {
            Self::Backup => Asked::Backup,
            Self::Drill(id) => Asked::Drill(id),
            Self::Pin(id) => Asked::Pin { id, pinned: true },
            Self::Unpin(id) => Asked::Pin { id, pinned: false },
            Self::Release => Asked::Release,
        }
    }

    /// The question, what it means, and the word on the button.
    fn question(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Backup => (
                "Back up now?",
                "Writes, and for a moment reads, wait at the gateway while the point is made. Nothing is lost, and no request \
                 fails that can wait as long as gateway.hold_budget says.",
                "Back up now",
            ),
            Self::Drill(_) => (
                "Drill now?",
                "The backup is restored into scratch beside the node, opened by an engine and compared with what it must \
                 contain. The node goes on serving; it takes memory and room on the disk meanwhile.",
                "Drill now",
            ),
            Self::Pin(_) => (
                "Pin this backup?",
                "It is kept whatever the rules of retention say, until it is unpinned.",
                "Pin",
            ),
            Self::Unpin(_) => (
                "Unpin this backup?",
                "The rules of retention decide on it again. The next pruning may remove it.",
                "Unpin",
            ),
            Self::Release => (
                "Release the hold?",
                "Requests that wait go on to the engine. Whoever asked for the hold may rely on it.",
                "Release",
            ),
        }
    }
}

/// What is said when one comes back from something that was done.
fn notice(done: &str) -> Option<&'static str> {
    match done {
        "backup" => Some("The backup has begun."),
        "drill" => Some("The drill has begun."),
        "pin" => Some("The backup is pinned."),
        "unpin" => Some("The backup is not pinned any more."),
        "release" => Some("The hold is released."),
        _ => None,
    }
}

fn shell(title: &str, is_live: bool, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/qmoor/page.css";
                @if is_live { script src="/qmoor/page.js" defer {} }
            }
            body { (body) }
        }
    }
}

/// The page.
pub(crate) fn home(name: &str, parts: &[Part], visitor: &Visitor, done: Option<&str>) -> Markup {
    let body = html! {
        a.skip href="#main" { "To the content" }
        header.top {
            h1 { span.brand { "qmoor" } " " span.name { (name) } }
            nav aria-label="Page" {
                span #live role="status" {}
                a href=(HOME) { "Refresh" }
                form method="post" action="/qmoor/logout" {
                    (csrf(visitor))
                    button.plain type="submit" { "Log out" }
                }
            }
        }
        main #main tabindex="-1" {
            @if let Some(notice) = done.and_then(notice) { p.notice role="status" { (notice) } }
            @for part in parts {
                section id=(part.id) aria-live=[(part.id == "verdict").then_some("polite")] { (part.html) }
            }
        }
        footer { p.muted {
            "Logged in with the admin key " code { (visitor.key.id) } ". Times are in UTC."
        } }
    };
    shell(&format!("{name} · qmoor"), true, &body)
}

fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.csrf); }
}

/// The login, with what was wrong before.
pub(crate) fn login(name: &str, wrong: Option<&str>) -> Markup {
    let body = html! {
        main.narrow {
            h1 { span.brand { "qmoor" } " " span.name { (name) } }
            form.card method="post" action=(LOGIN) {
                @if let Some(wrong) = wrong { p.error #wrong role="alert" { (wrong) } }
                // For whoever keeps passwords: it is the same for all nodes.
                input type="text" name="username" value="admin" autocomplete="username" hidden;
                label for="key" { "Admin key" }
                input #key type="password" name="key" required autofocus autocomplete="current-password"
                    spellcheck="false" maxlength="256" aria-describedby=[wrong.map(|_| "wrong")];
                button.button.first type="submit" { "Log in" }
                p.muted { "The key is checked and not kept. Lost it? " code { "qmoor keys rotate admin" } " on the node makes another one." }
            }
        }
    };
    shell("Log in · qmoor", false, &body)
}

/// The question whether it is meant.
pub(crate) fn confirm(ask: &Ask, visitor: &Visitor) -> Markup {
    let (question, meaning, word) = ask.question();
    let body = html! {
        main.narrow {
            h1 { (question) }
            form.card method="post" action="/qmoor/do" {
                @if let Some(id) = ask.backup() { p { "Backup " code { (id) } } }
                p { (meaning) }
                (csrf(visitor))
                input type="hidden" name="what" value=(ask.name());
                @if let Some(id) = ask.backup() { input type="hidden" name="backup" value=(id); }
                p.buttons {
                    button.button.first type="submit" autofocus { (word) }
                    a.button href=(HOME) { "Cancel" }
                }
            }
        }
    };
    shell(&format!("{question} · qmoor"), false, &body)
}

/// What went wrong.
pub(crate) fn failed(failure: &Failure) -> Markup {
    trouble("It was not done", &failure.message, failure.hint.as_deref())
}

/// The same, in words of the gateway's own.
pub(crate) fn trouble(title: &str, what: &str, hint: Option<&str>) -> Markup {
    let body = html! {
        main.narrow {
            h1 { (title) }
            div.card {
                p.error role="alert" { (what) }
                @if let Some(hint) = hint { p { "What to do next: " (hint) } }
                p.buttons { a.button.first href=(HOME) { "Back to the page" } }
            }
        }
    };
    shell(&format!("{title} · qmoor"), false, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_comes_back_from_its_address() {
        for ask in [
            Ask::Backup,
            Ask::Drill(None),
            Ask::Drill(Some("b-1".to_owned())),
            Ask::Pin("b&what=release".to_owned()),
            Ask::Unpin("b-1".to_owned()),
            Ask::Release,
        ] {
            let address = ask.confirm();
            let (_, query) = address.split_once('?').unwrap();
            let fields: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            assert_eq!(Ask::of(&fields), Some(ask.clone()), "{address}");
            assert!(notice(ask.name()).is_some());
        }
        for query in ["", "what=", "what=restore", "what=pin", "what=unpin&backup="] {
            let fields: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            assert_eq!(Ask::of(&fields), None, "{query}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_text_and_never_a_tag() {
        let evil = "<script>alert(1)</script>\"'";
        for page in [login(evil, Some(evil)), trouble(evil, evil, Some(evil))] {
            assert!(!page.0.contains("<script>"), "{}", page.0);
        }
    }
}
