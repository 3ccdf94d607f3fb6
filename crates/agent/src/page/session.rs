//! Who is logged in: a cookie with a random token, of which only the hash is kept.

use std::sync::Arc;
use std::time::Instant;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use parking_lot::Mutex;
use qmoor_plan::access::{Role, Sessions, TokenHash};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::keys::{KeyInfo, Keyring, Secret};

/// The sessions of one gateway.
#[derive(Debug)]
pub(crate) struct Door {
    begun: Instant,
    sessions: Mutex<Sessions>,
    /// The name of the cookie. Cookies do not know ports: two nodes behind one name must not take each other's.
    name: String,
}

/// Whoever asks, logged in.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// The key of the login.
    pub(crate) key: Arc<KeyInfo>,
    /// What must come back with each form.
    pub(crate) csrf: String,
    /// Names the session.
    pub(crate) token: TokenHash,
}

impl Visitor {
    /// Whether a form has brought back what it was given.
    pub(crate) fn gave(&self, csrf: &str) -> bool {
        self.csrf.as_bytes().ct_eq(csrf.as_bytes()).into()
    }
}

impl Door {
    pub(super) fn new() -> Self {
        let random = Secret::random();
        let short: String = random.expose().chars().take(8).collect();
        Self {
            begun: Instant::now(),
            sessions: Mutex::default(),
            name: format!("qmoor_session_{short}"),
        }
    }

    /// Begins a session for the holder of a key, and gives the cookie for it.
    pub(crate) fn begin(&self, key: &KeyInfo, is_tls: bool) -> Option<HeaderValue> {
        let (token, csrf) = (Secret::random(), Secret::random());
        let now = self.begun.elapsed();
        let csrf = csrf.expose().to_owned();
        self.sessions.lock().begin(hash(token.expose()), key.id.clone(), csrf, now);
        let mut cookie = HeaderValue::from_str(&self.cookie(token.expose(), is_tls)).ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }

    /// Ends a session, and gives the cookie that takes its cookie away.
    pub(crate) fn end(&self, visitor: &Visitor, is_tls: bool) -> Option<HeaderValue> {
        self.sessions.lock().end(&visitor.token);
        HeaderValue::from_str(&format!("{}; Max-Age=0", self.cookie("", is_tls))).ok()
    }

    /// Who asks, if the session has not ended and its key is still that of an admin.
    pub(crate) fn visitor(
        &self,
        headers: &HeaderMap,
        keys: &Keyring,
        is_use: bool,
    ) -> Option<Visitor> {
        let token = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .find_map(|pair| pair.trim().strip_prefix(&self.name)?.strip_prefix('='))?;
        self.known(hash(token), keys, is_use)
    }

    /// The same, for a session that was found before.
    pub(crate) fn known(&self, token: TokenHash, keys: &Keyring, is_use: bool) -> Option<Visitor> {
        let mut sessions = self.sessions.lock();
        let session = sessions.find(&token, self.begun.elapsed(), is_use)?;
        let key = keys.valid(&session.key, Timestamp::now());
        let Some(key) = key.filter(|key| key.role == Role::Admin) else {
            sessions.end(&token);
            return None;
        };
        Some(Visitor { key, csrf: session.csrf, token })
    }

    fn cookie(&self, token: &str, is_tls: bool) -> String {
        let secure = if is_tls { "; Secure" } else { "" };
        format!("{}={token}; Path=/qmoor/; HttpOnly; SameSite=Strict{secure}", self.name)
    }
}

fn hash(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Wanted;

    fn keyring() -> (tempfile::TempDir, Keyring, KeyInfo) {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let (ring, new) = Keyring::open_or_create(&dir.path().join("keys.json"), now).unwrap();
        let admin = ring.check(new.unwrap().admin.expose(), now).unwrap();
        let admin = admin.as_ref().clone();
        (dir, ring, admin)
    }

    /// What a browser sends back of a cookie.
    fn sent(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_str(&format!("other=1; {pair}")).unwrap());
        headers
    }

    #[test]
    fn the_cookie_that_was_given_finds_its_session() {
        let (_dir, ring, admin) = keyring();
        let door = Door::new();
        let cookie = door.begin(&admin, true).unwrap();
        let text = cookie.to_str().unwrap();
        for flag in ["; Path=/qmoor/", "; HttpOnly", "; SameSite=Strict", "; Secure"] {
            assert!(text.contains(flag), "{text}");
        }
        assert!(!door.begin(&admin, false).unwrap().to_str().unwrap().contains("Secure"));
        let visitor = door.visitor(&sent(&cookie), &ring, true).unwrap();
        assert_eq!(visitor.key.id, admin.id);
        assert!(visitor.gave(&visitor.csrf.clone()) && !visitor.gave("") && !visitor.gave("x"));
        assert!(door.visitor(&HeaderMap::new(), &ring, true).is_none());
        assert!(Door::new().visitor(&sent(&cookie), &ring, true).is_none(), "another node's");
        door.end(&visitor, true).unwrap();
        assert!(door.visitor(&sent(&cookie), &ring, true).is_none());
    }

    #[test]
    fn a_session_ends_with_its_key() {
        let (_dir, ring, admin) = keyring();
        let door = Door::new();
        let cookie = sent(&door.begin(&admin, false).unwrap());
        ring.rotate(&Wanted::of(Role::Admin), Timestamp::now()).unwrap();
        assert!(door.visitor(&cookie, &ring, true).is_some());
        ring.revoke(&admin.id, Timestamp::now()).unwrap();
        assert!(door.visitor(&cookie, &ring, true).is_none());
    }
}
