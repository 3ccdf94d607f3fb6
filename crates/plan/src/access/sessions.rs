//! Who is logged in at the status page: sessions by the hash of their token, bounded in number and in age.

use std::collections::BTreeMap;
use std::time::Duration;

/// A session ends when nothing was asked in it for so long.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// And at the latest after this.
const AGE: Duration = Duration::from_secs(12 * 60 * 60);
/// How many there are at once; of more, the one that was used the longest time ago ends.
const MOST: usize = 256;

/// The hash of a session's token.
pub type TokenHash = [u8; 32];

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The id of the key that was shown when it began: it ends with that key.
    pub key: String,
    /// What must come back with each form.
    pub csrf: String,
    begun: Duration,
    used: Duration,
}

/// All of them. Times are since any fixed moment.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: BTreeMap<TokenHash, Session>,
}

impl Sessions {
    /// Begins one.
    pub fn begin(&mut self, token: TokenHash, key: String, csrf: String, now: Duration) {
        self.sessions.retain(|_, session| session.lives(now));
        while self.sessions.len() >= MOST {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.used);
            let Some(oldest) = oldest.map(|(token, _)| *token) else { break };
            self.sessions.remove(&oldest);
        }
        self.sessions.insert(token, Session { key, csrf, begun: now, used: now });
    }

    /// The session of this token, if it has not ended. `is_use` says whether somebody asked: a page that refreshes itself
    /// does not keep a session alive.
    pub fn find(&mut self, token: &TokenHash, now: Duration, is_use: bool) -> Option<Session> {
        let session = self.sessions.get_mut(token)?;
        if !session.lives(now) {
            self.sessions.remove(token);
            return None;
        }
        if is_use {
            session.used = now;
        }
        Some(session.clone())
    }

    /// Ends one.
    pub fn end(&mut self, token: &TokenHash) {
        self.sessions.remove(token);
    }
}

impl Session {
    fn lives(&self, now: Duration) -> bool {
        now.saturating_sub(self.used) < IDLE && now.saturating_sub(self.begun) < AGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn token(number: u16) -> TokenHash {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        hash
    }

    fn begun(now: Duration) -> Sessions {
        let mut sessions = Sessions::default();
        sessions.begin(token(1), "key".to_owned(), "csrf".to_owned(), now);
        sessions
    }

    #[test]
    fn a_token_finds_its_own_session_and_no_other() {
        let mut sessions = begun(MINUTE);
        assert_eq!(sessions.find(&token(1), MINUTE, true).unwrap().csrf, "csrf");
        assert_eq!(sessions.find(&token(2), MINUTE, true), None);
        sessions.end(&token(1));
        assert_eq!(sessions.find(&token(1), MINUTE, true), None);
    }

    #[test]
    fn what_is_not_used_ends_after_an_hour_even_if_the_page_refreshes_itself() {
        let mut sessions = begun(Duration::ZERO);
        for minute in (0..59).step_by(10) {
            assert!(sessions.find(&token(1), minute * MINUTE, false).is_some(), "{minute}");
        }
        assert_eq!(sessions.find(&token(1), 60 * MINUTE, true), None);
        let mut sessions = begun(Duration::ZERO);
        assert!(sessions.find(&token(1), 59 * MINUTE, true).is_some());
        assert!(sessions.find(&token(1), 118 * MINUTE, true).is_some());
    }

    #[test]
    fn what_is_used_all_the_time_ends_after_twelve_hours() {
        let mut sessions = begun(Duration::ZERO);
        for minute in (0..12 * 60).step_by(30) {
            assert!(sessions.find(&token(1), minute * MINUTE, true).is_some(), "{minute}");
        }
        assert_eq!(sessions.find(&token(1), 12 * 60 * MINUTE, true), None);
    }

    #[test]
    fn the_one_that_was_used_the_longest_time_ago_gives_way() {
        let mut sessions = begun(Duration::ZERO);
        for number in 2..=u16::try_from(MOST).unwrap() {
            sessions.begin(token(number), String::new(), String::new(), MINUTE);
        }
        assert!(sessions.find(&token(1), 2 * MINUTE, true).is_some());
        sessions.begin(token(9999), String::new(), String::new(), 3 * MINUTE);
        assert!(sessions.find(&token(1), 3 * MINUTE, true).is_some());
        assert_eq!(sessions.find(&token(2), 3 * MINUTE, true), None);
        assert_eq!(sessions.sessions.len(), MOST);
    }
}
