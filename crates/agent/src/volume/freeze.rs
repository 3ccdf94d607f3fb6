//! Freezing a file system: everything is written out, whoever writes waits, reads go on.
//!
//! A freeze that nobody ends takes the node down, and a process that died cannot end its own. So before anything
//! is frozen a second process, the watchdog, stands ready to thaw: when the first one is gone, and when the time is
//! over.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use qmoor_plan::config::{Config, StoreKind};
use rustix::fs::{major, minor};
use rustix::io::Errno;

use super::mounts::{self, Mount};
use super::{VolumeError, io_error, ioctl, loops, on_path, watchdog};

/// File systems that freeze, and keep what was promised when a frozen one is copied.
const KINDS: [&str; 2] = ["ext4", "xfs"];
/// How long the watchdog may take until it is ready, and until it is gone.
const WATCHDOG_TIMEOUT: Duration = Duration::from_secs(10);
/// How many loop devices may stand on one another.
const LOOPS_DEEP: usize = 8;

/// A file system of its own, which may be frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freezable {
    mount: Mount,
}

impl Freezable {
    /// The file system that holds `data`. It must be ext4 or xfs, mounted whole, and hold neither the root of the
    /// system nor the running program nor its log nor any of `never`: whoever is to thaw may not have to write there.
    ///
    /// # Errors
    /// Why it may not be frozen, and what to do.
    pub fn find(data: &Path, never: &[&Path]) -> Result<Self, VolumeError> {
        let refuse =
            |why: String, hint| VolumeError::NotFreezable { data: data.to_owned(), why, hint };
        let own = "give the data a volume of its own, ext4 or xfs, or let backups stop the engine";
        let found =
            mounts::holding(data).map_err(io_error("looking for the data's file system"))?;
        let Some(mount) = found else {
            return Err(refuse("its mount is not in /proc/self/mountinfo".to_owned(), own));
        };
        if !KINDS.contains(&mount.filesystem.as_str()) {
            let kind = &mount.filesystem;
            return Err(refuse(format!("its file system is {kind}, neither ext4 nor xfs"), own));
        }
        if mount.root != Path::new("/") {
            let (point, root) = (mount.point.display(), mount.root.display());
            return Err(refuse(
                format!("{point} is only the part {root} of a larger file system"),
                own,
            ));
        }
        let program = std::env::current_exe().map_err(io_error("looking for the program"))?;
        let always = [
            (Path::new("/"), "the root of the system"),
            (program.as_path(), "the running program"),
            (Path::new("/proc/self/fd/1"), "what the program says on standard output"),
            (Path::new("/proc/self/fd/2"), "the program's log, its standard error"),
        ];
        let named = always.map(|(path, what)| (path, what.to_owned())).into_iter();
        let never = never.iter().map(|path| (*path, path.display().to_string()));
        for (path, what) in named.chain(never) {
            if devices_below(path).contains(&mount.device) {
                let why = format!("its file system holds {what} too");
                return Err(refuse(why, "give the data a volume of its own"));
            }
        }
        Ok(Self { mount })
    }

    /// The file system that holds a node's data, which may not hold what the node writes meanwhile.
    ///
    /// # Errors
    /// As [`Freezable::find`].
    pub fn of_node(config: &Config) -> Result<Self, VolumeError> {
        let (data, state, store) = (&config.node.data, &config.node.state, &config.store.path);
        match config.store.kind {
            // Its records lie on the volume, and are not written during a cut.
            StoreKind::Ebs => Self::find(data, &[state]),
            StoreKind::Restic | StoreKind::Clone => Self::find(data, &[store, state]),
        }
    }

    /// Where it is mounted.
    pub fn mount(&self) -> &Path {
        &self.mount.point
    }

    /// Freezes it for `max` at the longest. `program` is the `qmoor` binary, which is also the watchdog.
    ///
    /// # Errors
    /// It is not frozen then, unless somebody else had frozen it before.
    pub fn freeze(&self, program: &Path, max: Duration) -> Result<Frozen, VolumeError> {
        let point = self.mount();
        let dir = open_dir(point)?;
        let meta = dir.metadata().map_err(io_error("looking at the volume"))?;
        if (major(meta.dev()), minor(meta.dev())) != self.mount.device {
            return Err(VolumeError::NotFreezable {
                data: point.to_owned(),
                why: "something else is mounted there now".to_owned(),
                hint: "see what `findmnt` says",
            });
        }
        // While nobody waits yet: the freeze itself has little left to write then.
        rustix::fs::syncfs(&dir)
            .map_err(|error| io_error("syncing the volume")(on_path(point, error)))?;
        let watchdog = Watchdog::arm(program, point, max)?;
        let begun = Instant::now();
        match ioctl::freeze(&dir) {
            Ok(()) => {
                tracing::info!(mount = %point.display(), ?max, "volume: frozen");
                Ok(Frozen { mount: point.to_owned(), dir, watchdog: Some(watchdog), max, begun })
            }
            Err(error) => {
                // It must not thaw what another has frozen.
                watchdog.dismiss();
                match error {
                    Errno::BUSY => Err(VolumeError::AlreadyFrozen { mount: point.to_owned() }),
                    error => Err(io_error("freezing the volume")(on_path(point, error))),
                }
            }
        }
    }
}

/// A frozen file system; dropping it thaws.
#[derive(Debug)]
pub struct Frozen {
    mount: PathBuf,
    dir: File,
    watchdog: Option<Watchdog>,
    max: Duration,
    begun: Instant,
}

impl Frozen {
    /// Thaws it, and says how long it was frozen.
    ///
    /// # Errors
    /// [`VolumeError::ThawedEarly`] when the watchdog was quicker: it is thawed, and what was done meanwhile was not
    /// done on a frozen volume. With any other error the watchdog goes on trying.
    pub fn thaw(mut self) -> Result<Duration, VolumeError> {
        self.end()
    }

    fn end(&mut self) -> Result<Duration, VolumeError> {
        let Some(watchdog) = self.watchdog.take() else { return Ok(self.begun.elapsed()) };
        match ioctl::thaw(&self.dir) {
            Ok(()) => {
                let took = self.begun.elapsed();
                watchdog.dismiss();
                tracing::info!(mount = %self.mount.display(), ?took, "volume: thawed");
                Ok(took)
            }
            Err(Errno::INVAL) => {
                watchdog.dismiss();
                Err(VolumeError::ThawedEarly { mount: self.mount.clone(), max: self.max })
            }
            Err(error) => {
                // Dropped and not dismissed, it thaws in our place.
                drop(watchdog);
                Err(io_error("thawing the volume")(on_path(&self.mount, error)))
            }
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if self.watchdog.is_some()
            && let Err(error) = self.end()
        {
            tracing::error!(%error, "volume: not thawed in order");
        }
    }
}

/// Thaws what a process that is gone may have left frozen. Returns whether it was frozen.
///
/// # Errors
/// When the kernel refuses, which it does to all but root.
pub fn thaw_if_frozen(mount: &Path) -> Result<bool, VolumeError> {
    match ioctl::thaw(open_dir(mount)?) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL) => Ok(false),
        Err(error) => Err(io_error("thawing the volume")(on_path(mount, error))),
    }
}

/// Reading is not blocked by a freeze, and nothing is written: not even the time of the access.
pub(super) fn open_dir(mount: &Path) -> Result<File, VolumeError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(mount)
        .map_err(|error| io_error("opening the volume")(on_path(mount, error)))
}

/// The device that holds `path`, or will, and those below it where it is a loop device.
fn devices_below(path: &Path) -> Vec<(u32, u32)> {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned();
    let mut devices = Vec::new();
    let mut next = Some(there);
    while let Some(path) = next.filter(|_| devices.len() < LOOPS_DEEP) {
        // A file that was deleted from under its loop device cannot be looked at.
        let Ok(meta) = std::fs::metadata(&path) else { break };
        let device = (major(meta.dev()), minor(meta.dev()));
        devices.push(device);
        next = loops::backing(device);
    }
    devices
}

/// The second process.
#[derive(Debug)]
struct Watchdog {
    child: Child,
}

impl Watchdog {
    /// Starts it, and returns once it stands ready.
    fn arm(program: &Path, mount: &Path, max: Duration) -> Result<Self, VolumeError> {
        let failed = |why: String| VolumeError::NoWatchdog { mount: mount.to_owned(), why };
        let mut child = Command::new(program)
            .arg(watchdog::VERB)
            .arg("--mount")
            .arg(mount)
            .args(["--after-ms", &max.as_millis().to_string()])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What a terminal or a supervisor sends to the group of the agent is not for it.
            .process_group(0)
            .spawn()
            .map_err(|error| failed(format!("{}: {error}", program.display())))?;
        let stdout = child.stdout.take();
        let this = Self { child };
        let stdout = stdout.ok_or_else(|| failed("it has no standard output".to_owned()))?;
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            drop(tell.send(read.map(|_| line)));
        });
        match told.recv_timeout(WATCHDOG_TIMEOUT) {
            Ok(Ok(line)) if line.trim() == watchdog::ARMED => Ok(this),
            Ok(Ok(line)) => Err(failed(format!("it said {line:?}, not {:?}", watchdog::ARMED))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("it was not ready after {WATCHDOG_TIMEOUT:?}"))),
        }
    }

    /// Sends it away: there is nothing to thaw any more.
    fn dismiss(mut self) {
        if let Some(mut stdin) = self.child.stdin.take()
            && let Err(error) = stdin.write_all(watchdog::DISMISSED)
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            tracing::warn!(%error, "volume: the watchdog cannot be sent away");
        }
    }
}

impl Drop for Watchdog {
    /// Its standard input closes here, if not before. It is reaped by a thread, since a thaw may take a while.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // A child is waited for by its number: the value that is left behind here has no more pipes.
        if let Some(pid) =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw)
        {
            std::thread::spawn(move || {
                rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).ok();
            });
        }
    }
}
