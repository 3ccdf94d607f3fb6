//! The keys of the gateway: who may come in, and as what.
//!
//! Only hashes are kept. A key is 32 random bytes, so a plain SHA-256 cannot be guessed backwards. Each role
//! has up to two valid keys: rotation adds one, clients move over, the old one is revoked.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::RwLock;
use qmoor_plan::access::Role;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::durable::write_durable;

/// How many keys of a role are valid at once, at most.
const KEYS_PER_ROLE: usize = 2;
/// The longest key that is looked at, in bytes; what is longer is wrong.
const KEY_BYTES_MAX: usize = 256;
/// How long a session key is valid.
const SESSION: Duration = Duration::from_secs(60 * 60);
/// How many session keys are valid at once; the oldest one ends first.
const SESSIONS_MAX: usize = 64;

/// A text that must not be seen: `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// 32 bytes from the system's random source, in hexadecimal.
    #[must_use]
    pub fn random() -> Self {
        Self(hex(&rand::random::<[u8; 32]>()))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// The keys made at a node's first start, shown once.
#[derive(Debug, Clone)]
pub struct NewKeys {
    /// May search and read points and collections.
    pub search: Secret,
    /// May also write points, and start a backup.
    pub index: Secret,
    /// May do everything.
    pub admin: Secret,
}

/// A key as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: String,
    role: Role,
    sha256: String,
    created: Timestamp,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    keys: Vec<Stored>,
}

/// What may be told about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// The first eight characters of the key's hash; names it in logs and in `qmoor keys`.
    pub id: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created: Timestamp,
}

/// Why keys cannot be read, or a change to them was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum KeysError {
    #[error("cannot read or write the keys file `{}`", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the keys file `{}` is damaged: {reason} (hint: move it aside, and new keys are made at the next start)", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("no key `{id}` (hint: `qmoor keys list` shows them)")]
    Unknown { id: String },
    #[error(
        "`{id}` is the only {role} key (hint: `qmoor keys rotate {role}` makes another one first)"
    )]
    LastOfRole { id: String, role: Role },
}

/// All valid keys of a node, and the file they are kept in.
#[derive(Debug)]
pub struct Keyring {
    path: PathBuf,
    keys: RwLock<Vec<Stored>>,
    sessions: RwLock<VecDeque<Session>>,
}

/// A key that is not kept: it ends with the agent, or before.
#[derive(Debug)]
struct Session {
    key: Stored,
    until: Instant,
}

impl Keyring {
    /// Reads the keys file, or makes one key for each role when there is none; the new keys are returned
    /// this once and kept nowhere. They are on no disk before [`Keyring::keep`]: a node that does not come
    /// up has shown them to nobody, and makes others the next time.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn open_or_create(
        path: &Path,
        now: Timestamp,
    ) -> Result<(Self, Option<NewKeys>), KeysError> {
        let file_error = |source| KeysError::File { path: path.to_owned(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => Ok((Self::of(path, parse(path, &text)?), None)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let [search, index, admin] =
                    [Role::Search, Role::Index, Role::Admin].map(|role| generate(role, now));
                let keys = vec![search.0, index.0, admin.0];
                let ring = Self::of(path, keys);
                let new = NewKeys { search: search.1, index: index.1, admin: admin.1 };
                Ok((ring, Some(new)))
            }
            Err(error) => Err(file_error(error)),
        }
    }

    /// Writes new keys to the disk. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self) -> Result<(), KeysError> {
        let keys = self.keys.read().clone();
        self.replace(keys)
    }

    /// Whose key this is. Takes the same time for every key that is asked about.
    #[must_use]
    pub fn check(&self, presented: &str) -> Option<KeyInfo> {
        if presented.len() > KEY_BYTES_MAX {
            return None;
        }
        let hash = hex(&Sha256::digest(presented.as_bytes()));
        let now = Instant::now();
        let keys = self.keys.read();
        let sessions = self.sessions.read();
        let valid = sessions.iter().filter(|session| session.until > now);
        let all = keys.iter().chain(valid.map(|session| &session.key));
        let mut found = u32::MAX;
        for (position, key) in (0u32..).zip(all.clone()) {
            let same: Choice = key.sha256.as_bytes().ct_eq(hash.as_bytes());
            found.conditional_assign(&position, same);
        }
        all.clone().nth(usize::try_from(found).ok()?).map(Stored::info)
    }

    /// A key that is kept nowhere: it is valid for an hour, and as long as the agent runs.
    #[must_use]
    pub fn session(&self, role: Role, now: Timestamp) -> (KeyInfo, Secret) {
        let (key, secret) = generate(role, now);
        let info = key.info();
        let mut sessions = self.sessions.write();
        while sessions.len() >= SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(Session { key, until: Instant::now() + SESSION });
        (info, secret)
    }

    fn of(path: &Path, keys: Vec<Stored>) -> Self {
        Self { path: path.to_owned(), keys: RwLock::new(keys), sessions: RwLock::default() }
    }

    /// All valid keys, without what would open the door.
    #[must_use]
    pub fn list(&self) -> Vec<KeyInfo> {
        self.keys.read().iter().map(Stored::info).collect()
    }

    /// Makes another key for a role and returns it, this once. The newest key so far stays valid; an older
    /// one does not.
    ///
    /// # Errors
    /// When the file cannot be written; then nothing has changed.
    pub fn rotate(&self, role: Role, now: Timestamp) -> Result<(KeyInfo, Secret), KeysError> {
        let (stored, secret) = generate(role, now);
        let info = stored.info();
        let mut keys = self.keys.read().clone();
        keys.push(stored);
        while keys.iter().filter(|key| key.role == role).count() > KEYS_PER_ROLE {
            let Some(oldest) = keys.iter().position(|key| key.role == role) else { break };
            keys.remove(oldest);
        }
        self.replace(keys)?;
        Ok((info, secret))
    }

    /// Makes a key invalid at once.
    ///
    /// # Errors
    /// When there is no such key, it is the last one of its role, or the file cannot be written.
    pub fn revoke(&self, id: &str) -> Result<KeyInfo, KeysError> {
        let mut keys = self.keys.read().clone();
        let position = keys.iter().position(|key| key.id == id);
        let position = position.ok_or_else(|| KeysError::Unknown { id: id.to_owned() })?;
        let gone = keys.remove(position);
        if !keys.iter().any(|key| key.role == gone.role) {
            return Err(KeysError::LastOfRole { id: gone.id, role: gone.role });
        }
        self.replace(keys)?;
        Ok(gone.info())
    }

    /// On disk first, then in force.
    fn replace(&self, keys: Vec<Stored>) -> Result<(), KeysError> {
        let file = File { version: 1, keys };
        let failed = |source| KeysError::File { path: self.path.clone(), source };
        let mut text = serde_json::to_vec_pretty(&file).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        write_durable(&self.path, &text, 0o600).map_err(failed)?;
        *self.keys.write() = file.keys;
        Ok(())
    }
}

impl Stored {
    fn info(&self) -> KeyInfo {
        KeyInfo { id: self.id.clone(), role: self.role, created: self.created }
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<Stored>, KeysError> {
    let damaged = |reason: String| KeysError::Damaged { path: path.to_owned(), reason };
    let file: File = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    if file.version != 1 {
        return Err(damaged(format!("version {} is not 1", file.version)));
    }
    let whole = |hash: &str| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(key) = file.keys.iter().find(|key| !whole(&key.sha256)) {
        return Err(damaged(format!("key `{}` has no whole hash", key.id)));
    }
    Ok(file.keys)
}

fn generate(role: Role, now: Timestamp) -> (Stored, Secret) {
    let key = format!("qm_{role}_{}", Secret::random().expose());
    let sha256 = hex(&Sha256::digest(key.as_bytes()));
    let id = sha256.chars().take(8).collect();
    (Stored { id, role, sha256, created: now }, Secret::new(key))
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> (tempfile::TempDir, Keyring, NewKeys) {
        let dir = tempfile::tempdir().unwrap();
        let (ring, new) = Keyring::open_or_create(&dir.path().join("keys.json"), now()).unwrap();
        ring.keep().unwrap();
        (dir, ring, new.unwrap())
    }

    fn now() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn role(ring: &Keyring, key: &Secret) -> Option<Role> {
        ring.check(key.expose()).map(|info| info.role)
    }

    #[test]
    fn each_new_key_has_its_role_and_survives_a_restart() {
        let (dir, ring, new) = ring();
        let (again, none) = Keyring::open_or_create(&dir.path().join("keys.json"), now()).unwrap();
        assert!(none.is_none());
        for ring in [&ring, &again] {
            assert_eq!(role(ring, &new.search), Some(Role::Search));
            assert_eq!(role(ring, &new.index), Some(Role::Index));
            assert_eq!(role(ring, &new.admin), Some(Role::Admin));
            assert_eq!(ring.check(""), None);
            assert_eq!(ring.check("qm_admin_"), None);
            assert_eq!(ring.check(&"x".repeat(100_000)), None);
        }
    }

    #[test]
    fn the_file_holds_no_key_and_only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, _ring, new) = ring();
        let path = dir.path().join("keys.json");
        let text = std::fs::read_to_string(&path).unwrap();
        for key in [&new.search, &new.index, &new.admin] {
            assert!(!text.contains(key.expose()));
        }
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn two_keys_are_valid_during_rotation_and_a_third_ends_the_first() {
        let (_dir, ring, new) = ring();
        let (_, second) = ring.rotate(Role::Search, now()).unwrap();
        assert_eq!(role(&ring, &new.search), Some(Role::Search));
        assert_eq!(role(&ring, &second), Some(Role::Search));
        let (_, third) = ring.rotate(Role::Search, now()).unwrap();
        assert_eq!(role(&ring, &new.search), None);
        assert_eq!(role(&ring, &second), Some(Role::Search));
        assert_eq!(role(&ring, &third), Some(Role::Search));
    }

    #[test]
    fn the_last_key_of_a_role_cannot_be_revoked() {
        let (_dir, ring, new) = ring();
        let first = ring.check(new.index.expose()).unwrap();
        assert!(matches!(ring.revoke(&first.id), Err(KeysError::LastOfRole { .. })));
        ring.rotate(Role::Index, now()).unwrap();
        ring.revoke(&first.id).unwrap();
        assert_eq!(role(&ring, &new.index), None);
        assert!(matches!(ring.revoke(&first.id), Err(KeysError::Unknown { .. })));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_new_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        for text in ["", "{}", "{\"version\":2,\"keys\":[]}", "[1"] {
            std::fs::write(&path, text).unwrap();
            let result = Keyring::open_or_create(&path, now());
            assert!(matches!(result, Err(KeysError::Damaged { .. })), "{text}");
        }
    }

    #[test]
    fn a_session_key_is_valid_is_not_listed_and_gives_way_to_newer_ones() {
        let (_dir, ring, new) = ring();
        let (_, first) = ring.session(Role::Index, now());
        assert_eq!(role(&ring, &first), Some(Role::Index));
        assert_eq!(ring.list().len(), 3);
        for _ in 0..SESSIONS_MAX {
            let _newer = ring.session(Role::Search, now());
        }
        assert_eq!(role(&ring, &first), None);
        assert_eq!(role(&ring, &new.index), Some(Role::Index));
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("swordfish".to_owned())), "[redacted]");
    }
}
