//! The keys of the gateway: who may come in, and as what.
//!
//! Only hashes are kept. A key is 32 random bytes, so a plain SHA-256 cannot be guessed backwards. Each role,
//! and each set of collections that a role is limited to, has up to two valid keys: rotation adds one, clients
//! move over, the old one is revoked or ends at a time that was set.

pub mod vault;

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use qmoor_plan::access::{Role, Scope};
use qmoor_plan::audit::Actor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::durable::write_durable;

/// How many keys of a role and its collections are valid at once, at most.
const KEYS_PER_ROLE: usize = 2;
/// How many keys there are at most: each one is compared at every request.
const KEYS_MAX: usize = 64;
/// The longest key that is looked at, in bytes; what is longer is wrong.
const KEY_BYTES_MAX: usize = 256;
/// The longest time after which a key ends.
const OVERLAP_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
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

    /// A new key, which tells of its role to whoever finds it somewhere.
    #[must_use]
    pub fn of_role(role: Role) -> Self {
        Self(format!("qm_{role}_{}", Self::random().expose()))
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

impl NewKeys {
    /// The one of a role.
    #[must_use]
    pub fn of(&self, role: Role) -> &Secret {
        match role {
            Role::Search => &self.search,
            Role::Index => &self.index,
            Role::Admin => &self.admin,
        }
    }
}

/// A key as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: String,
    role: Role,
    sha256: String,
    created: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    collections: Option<Scope>,
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
    /// When it ends by itself; none for a key that is valid until it is revoked.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// The collections it is limited to; none for all.
    #[serde(default)]
    pub collections: Option<Scope>,
}

/// Which key is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it may do.
    pub role: Role,
    /// The collections it is limited to; none for all.
    pub collections: Option<Scope>,
    /// After which time the keys that it replaces end; none to leave them valid.
    pub overlap: Option<Duration>,
}

impl Wanted {
    /// One for all collections, beside the one there is.
    #[must_use]
    pub fn of(role: Role) -> Self {
        Self { role, collections: None, overlap: None }
    }
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
    #[error(
        "an admin key cannot be limited to some collections (hint: the search and index keys can)"
    )]
    AdminLimited,
    #[error(
        "there are {KEYS_MAX} keys already (hint: `qmoor keys list` shows them, `qmoor keys revoke ID` ends one)"
    )]
    TooMany,
    #[error("no key can end in {0:?} (hint: --overlap takes a time like 1h, up to ten years)")]
    Overlap(Duration),
}

/// All valid keys of a node, and the file they are kept in.
#[derive(Debug)]
pub struct Keyring {
    path: PathBuf,
    keys: RwLock<Vec<Valid>>,
    sessions: RwLock<VecDeque<Session>>,
    /// Counts the changes.
    changes: AtomicU64,
    /// One change at a time.
    changing: Mutex<()>,
}

/// A key as it is compared.
#[derive(Debug, Clone)]
struct Valid {
    hash: [u8; 32],
    info: Arc<KeyInfo>,
}

/// A key that is not kept: it ends with the agent, or before.
#[derive(Debug)]
struct Session {
    key: Valid,
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
                    [Role::Search, Role::Index, Role::Admin].map(|role| generate(role, None, now));
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
    pub fn check(&self, presented: &str, now: Timestamp) -> Option<Arc<KeyInfo>> {
        if presented.len() > KEY_BYTES_MAX {
            return None;
        }
        let hash = digest(presented);
        let clock = Instant::now();
        let keys = self.keys.read();
        let sessions = self.sessions.read();
        let valid = sessions.iter().filter(|session| session.until > clock);
        let all = keys.iter().chain(valid.map(|session| &session.key));
        let mut found = u32::MAX;
        for (position, key) in (0u32..).zip(all.clone()) {
            let same: Choice = key.hash.ct_eq(&hash);
            found.conditional_assign(&position, same);
        }
        let key = all.clone().nth(usize::try_from(found).ok()?)?;
        key.info.at(now).then(|| Arc::clone(&key.info))
    }

    /// The key of this id, as long as it is valid.
    #[must_use]
    pub fn valid(&self, id: &str, now: Timestamp) -> Option<Arc<KeyInfo>> {
        let clock = Instant::now();
        let keys = self.keys.read();
        let sessions = self.sessions.read();
        let valid = sessions.iter().filter(|session| session.until > clock);
        let mut all = keys.iter().chain(valid.map(|session| &session.key));
        let key = all.find(|key| key.info.id == id && key.info.at(now))?;
        Some(Arc::clone(&key.info))
    }

    /// How often the keys have changed: what was checked before the last change must be checked again.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// A key that is kept nowhere: it is valid for an hour, and as long as the agent runs.
    #[must_use]
    pub fn session(&self, role: Role, now: Timestamp) -> (KeyInfo, Secret) {
        let (key, secret) = generate(role, None, now);
        let info = key.info.as_ref().clone();
        let mut sessions = self.sessions.write();
        while sessions.len() >= SESSIONS_MAX {
            sessions.pop_front();
        }
        sessions.push_back(Session { key, until: Instant::now() + SESSION });
        (info, secret)
    }

    fn of(path: &Path, keys: Vec<Valid>) -> Self {
        Self {
            path: path.to_owned(),
            keys: RwLock::new(keys),
            sessions: RwLock::default(),
            changes: AtomicU64::new(1),
            changing: Mutex::new(()),
        }
    }

    /// What names a key in logs.
    #[must_use]
    pub fn id_of(key: &Secret) -> String {
        hex(&digest(key.expose())).chars().take(8).collect()
    }

    /// All valid keys, without what would open the door.
    #[must_use]
    pub fn list(&self, now: Timestamp) -> Vec<KeyInfo> {
        let keys = self.keys.read();
        keys.iter().filter(|key| key.info.at(now)).map(|key| key.info.as_ref().clone()).collect()
    }

    /// Makes another key and returns it, this once. The newest key so far of the same role and collections
    /// stays valid, until the overlap is over if there is one; an older one does not.
    ///
    /// # Errors
    /// When there are too many keys, the wish makes no sense, or the file cannot be written; then nothing has
    /// changed.
    pub fn rotate(&self, wanted: &Wanted, now: Timestamp) -> Result<(KeyInfo, Secret), KeysError> {
        if wanted.role == Role::Admin && wanted.collections.is_some() {
            return Err(KeysError::AdminLimited);
        }
        let ends = wanted.overlap.map(|overlap| {
            now.checked_add(overlap)
                .ok()
                .filter(|_| overlap <= OVERLAP_MAX)
                .ok_or(KeysError::Overlap(overlap))
        });
        let ends = ends.transpose()?;
        let (fresh, secret) = generate(wanted.role, wanted.collections.clone(), now);
        let info = fresh.info.as_ref().clone();
        let _alone = self.changing.lock();
        let mut keys = self.kept(now);
        let same = |key: &Valid| {
            key.info.role == wanted.role && key.info.collections == wanted.collections
        };
        if let Some(ends) = ends {
            for key in keys.iter_mut().filter(|key| same(key)) {
                let until = key.info.until.map_or(ends, |until| until.min(ends));
                key.info = Arc::new(KeyInfo { until: Some(until), ..key.info.as_ref().clone() });
            }
        }
        keys.push(fresh);
        while keys.iter().filter(|key| same(key)).count() > KEYS_PER_ROLE {
            let Some(oldest) = keys.iter().position(same) else { break };
            keys.remove(oldest);
        }
        if keys.len() > KEYS_MAX {
            return Err(KeysError::TooMany);
        }
        self.replace(keys)?;
        Ok((info, secret))
    }

    /// Takes over the key of a role that somebody else keeps. Keys of the role for all collections that were valid
    /// so far end after `overlap`; says whether anything has changed.
    ///
    /// # Errors
    /// When the file cannot be written; then nothing has changed.
    pub fn adopt(
        &self,
        role: Role,
        secret: &Secret,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<bool, KeysError> {
        let ends = now.checked_add(overlap).map_err(|_| KeysError::Overlap(overlap))?;
        let fresh = Valid::new(secret, role, None, now);
        let _alone = self.changing.lock();
        let mut keys = self.kept(now);
        let same = |key: &Valid| key.info.role == role && key.info.collections.is_none();
        if keys.iter().any(|key| {
            same(key) && key.info.until.is_none() && bool::from(key.hash.ct_eq(&fresh.hash))
        }) {
            return Ok(false);
        }
        keys.retain(|key| !same(key) || key.hash != fresh.hash);
        for key in keys.iter_mut().filter(|key| same(key)) {
            let until = key.info.until.map_or(ends, |until| until.min(ends));
            key.info = Arc::new(KeyInfo { until: Some(until), ..key.info.as_ref().clone() });
        }
        keys.push(fresh);
        while keys.iter().filter(|key| same(key)).count() > KEYS_PER_ROLE {
            let Some(oldest) = keys.iter().position(same) else { break };
            keys.remove(oldest);
        }
        self.replace(keys)?;
        Ok(true)
    }

    /// Makes a key invalid at once.
    ///
    /// # Errors
    /// When there is no such key, no other one of its role stays valid for all collections, or the file
    /// cannot be written.
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<KeyInfo, KeysError> {
        let _alone = self.changing.lock();
        let mut keys = self.kept(now);
        let position = keys.iter().position(|key| key.info.id == id);
        let position = position.ok_or_else(|| KeysError::Unknown { id: id.to_owned() })?;
        let gone = keys.remove(position).info;
        let stays = |key: &Valid| {
            key.info.role == gone.role && key.info.until.is_none() && key.info.collections.is_none()
        };
        if gone.collections.is_none() && !keys.iter().any(stays) {
            return Err(KeysError::LastOfRole { id: gone.id.clone(), role: gone.role });
        }
        self.replace(keys)?;
        Ok(gone.as_ref().clone())
    }

    /// The keys that have not ended.
    fn kept(&self, now: Timestamp) -> Vec<Valid> {
        let keys = self.keys.read();
        keys.iter().filter(|key| key.info.at(now)).cloned().collect()
    }

    /// On disk first, then in force.
    fn replace(&self, keys: Vec<Valid>) -> Result<(), KeysError> {
        let file = File { version: 1, keys: keys.iter().map(Valid::stored).collect() };
        let failed = |source| KeysError::File { path: self.path.clone(), source };
        let mut text = serde_json::to_vec_pretty(&file).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        write_durable(&self.path, &text, 0o600).map_err(failed)?;
        *self.keys.write() = keys;
        self.changes.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

impl KeyInfo {
    /// Its holder, at this address, for the audit log.
    pub(crate) fn actor(&self, from: IpAddr) -> Actor {
        Actor::key(&self.id, self.role, from)
    }

    /// Whether it has not ended at this time.
    fn at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Valid {
    fn new(key: &Secret, role: Role, collections: Option<Scope>, now: Timestamp) -> Self {
        let hash = digest(key.expose());
        let id = Keyring::id_of(key);
        let info = KeyInfo { id, role, created: now, until: None, collections };
        Self { hash, info: Arc::new(info) }
    }

    fn stored(&self) -> Stored {
        let KeyInfo { id, role, created, until, collections } = self.info.as_ref().clone();
        Stored { id, role, sha256: hex(&self.hash), created, until, collections }
    }
}

fn parse(path: &Path, text: &str) -> Result<Vec<Valid>, KeysError> {
    let damaged = |reason: String| KeysError::Damaged { path: path.to_owned(), reason };
    let file: File = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    if file.version != 1 {
        return Err(damaged(format!("version {} is not 1", file.version)));
    }
    let read = |key: Stored| {
        let no_hash = || damaged(format!("key `{}` has no whole hash", key.id));
        let hash = unhex(&key.sha256).ok_or_else(no_hash)?;
        let Stored { id, role, created, until, collections, .. } = key;
        let info = Arc::new(KeyInfo { id, role, created, until, collections });
        Ok(Valid { hash, info })
    };
    file.keys.into_iter().map(read).collect()
}

fn generate(role: Role, collections: Option<Scope>, now: Timestamp) -> (Valid, Secret) {
    let key = Secret::of_role(role);
    (Valid::new(&key, role, collections, now), key)
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    bytes.try_into().ok()
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
mod tests;
