//! All collections of one data directory, and their aliases.
//!
//! ```text
//! data/.lock               one process at a time
//! data/aliases.json        alias -> collection
//! data/collections/<id>/   one collection each
//! ```

mod aliases;
mod keeper;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

use self::aliases::Aliases;
use self::keeper::Keeper;
use crate::collection::Collection;
use crate::disk::{check_room, sync_dir, write_durable};
use crate::error::ApiError;
use crate::model::collection::{AliasAction, CollectionConfig, CreateCollection, UpdateCollection};

const LOCK_FILE: &str = ".lock";
const ALIASES_FILE: &str = "aliases.json";
const COLLECTIONS_FOLDER: &str = "collections";

/// Characters upstream does not allow in the name of a collection.
const NAME_FORBIDDEN: &[char] = &['<', '>', ':', '"', '/', '\\', '|', '?', '*', '\0', '\u{1F}'];
const NAME_BYTES_MAX: usize = 255;

/// How many collections are opened or closed at once.
const THREADS: usize = 8;

/// All collections of one data directory.
#[derive(Debug)]
pub(crate) struct Node {
    data: PathBuf,
    names: Arc<RwLock<Names>>,
    /// Held while collections or aliases are made, changed or removed.
    admin: Mutex<()>,
    keeper: Keeper,
    /// Shared with every collection: whoever still works on one, such as an optimizer that outlives the node,
    /// keeps other processes out.
    lock: Arc<std::fs::File>,
}

/// What each name stands for.
#[derive(Debug, Default)]
struct Names {
    collections: BTreeMap<String, Arc<Collection>>,
    aliases: Aliases,
}

impl Node {
    /// Opens the directory, making it if it is not there, and loads every collection.
    ///
    /// # Errors
    /// When another process has it open, and when anything in it cannot be read: a node that came up
    /// without some of its collections would look healthy.
    pub(crate) fn open(data: &Path) -> Result<Self, ApiError> {
        let failed = |error: std::io::Error| ApiError::internal("cannot open the data", &error);
        let folder = data.join(COLLECTIONS_FOLDER);
        fs::create_dir_all(&folder).map_err(failed)?;
        let lock = Arc::new(lock(data)?);
        sync_dir(data).map_err(failed)?;
        let collections = load_all(&folder, &lock)?;
        let aliases = load_aliases(data, &collections)?;
        let names = Arc::new(RwLock::new(Names { collections, aliases }));
        let keeper = Keeper::start(Arc::clone(&names))
            .map_err(|error| ApiError::internal("cannot start a thread", &error))?;
        Ok(Self { data: data.to_owned(), names, admin: Mutex::new(()), keeper, lock })
    }

    /// Makes a collection. Durable when it returns; true always.
    pub(crate) fn create_collection(
        &self,
        name: &str,
        request: CreateCollection,
    ) -> Result<bool, ApiError> {
        check_name(name)?;
        let config = CollectionConfig::create(request)?;
        let _admin = self.admin.lock();
        {
            let names = self.names.read();
            if names.collections.contains_key(name) {
                return Err(ApiError::Conflict(format!("Collection `{name}` already exists!")));
            }
            if names.aliases.contains_key(name) {
                return Err(ApiError::BadInput(format!(
                    "Can't create collection with name {name}. Alias with the same name already exists"
                )));
            }
        }
        let folder = self.data.join(COLLECTIONS_FOLDER);
        check_room(&folder)?;
        let dir = folder.join(Uuid::new_v4().to_string());
        let made =
            Collection::create(dir.clone(), name, config, &self.lock).and_then(|collection| {
                sync_dir(&folder)
                    .map_err(|error| ApiError::internal("cannot make the collection", &error))?;
                Ok(collection)
            });
        match made {
            Ok(collection) => {
                self.names.write().collections.insert(name.to_owned(), Arc::new(collection));
                Ok(true)
            }
            Err(error) => {
                if let Err(left) = fs::remove_dir_all(&dir) {
                    tracing::debug!(error = %left, "files are left for the next start");
                }
                Err(error)
            }
        }
    }

    /// Changes settings. Durable when it returns.
    pub(crate) fn update_collection(
        &self,
        name: &str,
        request: UpdateCollection,
    ) -> Result<bool, ApiError> {
        let _admin = self.admin.lock();
        self.collection(name)?.update_settings(request)?;
        Ok(true)
    }

    /// Removes a collection and its aliases. Durable when it returns; false when there was none.
    pub(crate) fn delete_collection(&self, name: &str) -> Result<bool, ApiError> {
        let _admin = self.admin.lock();
        let (collection, aliases, changed) = {
            let names = self.names.read();
            let Some(collection) = names.collections.get(name) else { return Ok(false) };
            let mut aliases = names.aliases.clone();
            aliases.retain(|_, target| target != name);
            let changed = aliases != names.aliases;
            (Arc::clone(collection), aliases, changed)
        };
        // In this order a crash leaves at most an alias of nothing, which the next start drops.
        collection.end()?;
        let kept = if changed { self.keep_aliases(&aliases) } else { Ok(()) };
        {
            let mut names = self.names.write();
            names.collections.remove(name);
            names.aliases = aliases;
        }
        collection.clear();
        kept.map(|()| true)
    }

    /// The names of all collections, in order.
    pub(crate) fn list(&self) -> Vec<String> {
        self.names.read().collections.keys().cloned().collect()
    }

    /// All collections, in order of name.
    pub(crate) fn collections(&self) -> Vec<Arc<Collection>> {
        self.names.read().collections.values().cloned().collect()
    }

    /// Whether there is a collection or an alias of this name.
    pub(crate) fn exists(&self, name: &str) -> bool {
        let names = self.names.read();
        names.collections.contains_key(name) || names.aliases.contains_key(name)
    }

    /// The collection of this name or alias.
    pub(crate) fn collection(&self, name: &str) -> Result<Arc<Collection>, ApiError> {
        let names = self.names.read();
        let target = names.aliases.get(name).map_or(name, String::as_str);
        names.collections.get(target).cloned().ok_or_else(|| ApiError::no_collection(name))
    }

    /// Changes aliases, all or none. Durable when it returns.
    pub(crate) fn change_aliases(&self, actions: Vec<AliasAction>) -> Result<bool, ApiError> {
        let _admin = self.admin.lock();
        let next = {
            let names = self.names.read();
            aliases::changed(&names.aliases, actions, |name| names.collections.contains_key(name))?
        };
        self.keep_aliases(&next)?;
        self.names.write().aliases = next;
        Ok(true)
    }

    /// Every alias with its collection, in order.
    pub(crate) fn aliases(&self) -> Vec<(String, String)> {
        let names = self.names.read();
        names.aliases.iter().map(|(alias, target)| (alias.clone(), target.clone())).collect()
    }

    /// The aliases of one collection, in order.
    pub(crate) fn collection_aliases(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let collection = self.collection(name)?;
        let names = self.names.read();
        Ok(names
            .aliases
            .iter()
            .filter(|(_, target)| *target == collection.name())
            .map(|(alias, _)| alias.clone())
            .collect())
    }

    /// Ends the upkeep and brings everything from the logs into the segments. An optimization under
    /// way is left where it is: the next start goes on from what it began with.
    ///
    /// # Errors
    /// When a collection could not be flushed. Its log still has everything.
    pub(crate) fn close(&self) -> Result<(), ApiError> {
        self.keeper.stop();
        let results = in_parallel(self.collections(), |collection| {
            collection.close().map_err(|error| {
                ApiError::Internal(format!("collection `{}`: {error}", collection.name()))
            })
        });
        results.into_iter().collect()
    }

    fn keep_aliases(&self, aliases: &Aliases) -> Result<(), ApiError> {
        let failed =
            |error: &dyn std::fmt::Display| ApiError::internal("cannot write the aliases", error);
        let bytes = serde_json::to_vec_pretty(aliases).map_err(|error| failed(&error))?;
        write_durable(&self.data.join(ALIASES_FILE), &bytes).map_err(|error| failed(&error))
    }
}

/// The name of a collection or an alias.
fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(ApiError::Validation(format!(
            "Validation error in path parameters: [name: value invalid, must be from 1 to {NAME_BYTES_MAX} characters]"
        )));
    }
    match name.chars().find(|c| NAME_FORBIDDEN.contains(c)) {
        None => Ok(()),
        Some(c) => Err(ApiError::Validation(format!(
            "Validation error in path parameters: [name: collection name cannot contain {c:?} char]"
        ))),
    }
}

fn lock(data: &Path) -> Result<std::fs::File, ApiError> {
    let failed = |error: &dyn std::fmt::Display| ApiError::internal("cannot lock the data", error);
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data.join(LOCK_FILE))
        .map_err(|error| failed(&error))?
        .into_parts()
        .0;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(ApiError::Unavailable(format!(
            "{} is open in another process. hint: stop that one first, or use another directory",
            data.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(&error)),
    }
}

fn load_all(
    folder: &Path,
    lock: &Arc<std::fs::File>,
) -> Result<BTreeMap<String, Arc<Collection>>, ApiError> {
    let failed = |error: std::io::Error| ApiError::internal("cannot open the data", &error);
    let mut dirs = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            dirs.push(entry.path());
        }
    }
    let loaded = in_parallel(dirs, |dir| {
        Collection::load(&dir, lock)
            .map_err(|error| ApiError::Internal(format!("{}: {error}", dir.display())))
    });
    let mut collections = BTreeMap::new();
    for collection in loaded {
        let Some(collection) = collection? else { continue };
        let name = collection.name().to_owned();
        tracing::info!(collection = name, "loaded");
        if collections.insert(name.clone(), Arc::new(collection)).is_some() {
            return Err(ApiError::Internal(format!(
                "two folders in {} hold a collection `{name}`. hint: move one of them away",
                folder.display()
            )));
        }
    }
    Ok(collections)
}

fn load_aliases(
    data: &Path,
    collections: &BTreeMap<String, Arc<Collection>>,
) -> Result<Aliases, ApiError> {
    let file = data.join(ALIASES_FILE);
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Aliases::new()),
        Err(error) => return Err(ApiError::internal("cannot read the aliases", &error)),
    };
    let mut aliases: Aliases = serde_json::from_slice(&bytes).map_err(|error| {
        ApiError::Internal(format!(
            "{} cannot be read: {error}. hint: restore it from a backup",
            file.display()
        ))
    })?;
    aliases.retain(|_, target| collections.contains_key(target));
    Ok(aliases)
}

/// Does something with each item, several at once; keeps the order. Nearly all of the time goes to
/// waiting for the disk.
fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = THREADS.min(items.len());
    let queue: Mutex<VecDeque<(usize, T)>> = Mutex::new(items.into_iter().enumerate().collect());
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().pop_front();
                    let Some((at, item)) = next else { return };
                    let result = work(item);
                    done.lock().push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// How many operations block at once. Those that come later wait in turn; who may come at all is
/// bounded by the connections in front.
static ROOM: Semaphore = Semaphore::const_new(256);

/// How many of them may be changes. Changes of one collection wait for each other, and would
/// otherwise take up all the room that searches need.
static CHANGES: Semaphore = Semaphore::const_new(128);

/// How long an operation waits for its turn.
const ROOM_WAIT: Duration = Duration::from_secs(60);

/// Waits for the turn of a change; it keeps its turn until this is dropped.
pub(crate) async fn turn_to_change() -> Result<SemaphorePermit<'static>, ApiError> {
    turn(&CHANGES).await
}

async fn turn(room: &'static Semaphore) -> Result<SemaphorePermit<'static>, ApiError> {
    tokio::time::timeout(ROOM_WAIT, room.acquire())
        .await
        .map_err(|_| ApiError::Unavailable("too many operations at once; try again later".into()))?
        .map_err(|error| ApiError::internal("the engine takes no more operations", &error))
}

/// Runs one operation where it may block. The one place that does.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let _room = turn(&ROOM).await?;
    tokio::task::spawn_blocking(operation)
        .await
        .map_err(|error| ApiError::internal("the operation ended before its answer", &error))?
}
