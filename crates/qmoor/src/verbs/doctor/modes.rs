//! Who may read and write what the node keeps from others.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use qmoor_plan::config::{Config, StoreKind};
use qmoor_plan::doctor::{FileMode, Guard, Seen};

/// The modes of keys, state, data and configuration. What is not there is left out.
pub(super) fn look(config: &Config, file: Option<&Path>) -> Seen<Vec<FileMode>> {
    let state = &config.node.state;
    let mut wanted = vec![
        (state.clone(), Guard::OwnerOnly),
        (state.join("keys.json"), Guard::OwnerOnly),
        (state.join("store.key"), Guard::OwnerOnly),
    ];
    let inside = std::fs::read_dir(state.join("container")).into_iter().flatten().flatten();
    wanted.extend(inside.map(|entry| (entry.path(), Guard::OwnerOnly)));
    wanted.extend(config.gateway.tls_key.clone().map(|key| (key, Guard::NotOthers)));
    wanted.extend(config.notify.webhook_file.clone().map(|file| (file, Guard::OwnerOnly)));
    wanted.extend(file.map(|file| (file.to_owned(), Guard::NotWritten)));
    // A repository is encrypted; the data, and clones of it, are not.
    let mut plain = vec![&config.node.data];
    if config.store.kind == StoreKind::Clone {
        plain.push(&config.store.path);
    }
    let reached = plain.into_iter().filter(|path| is_reached(path));
    wanted.extend(reached.map(|path| (path.clone(), Guard::NotOthers)));

    let mut modes = Vec::new();
    for (path, guard) in wanted {
        match std::fs::metadata(&path) {
            Ok(found) => modes.push(FileMode { path, mode: found.permissions().mode(), guard }),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // That this process may not look is what it should be, if others are told the same.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    Ok(modes)
}

/// Whether anybody on this host gets as far as `path`: through every folder above it.
fn is_reached(path: &Path) -> bool {
    let above: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
    above.iter().filter(|folder| !folder.as_os_str().is_empty()).all(|folder| {
        std::fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    })
}
