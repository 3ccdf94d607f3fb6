//! The image: there or pulled, and the same one as ever.

use std::path::PathBuf;

use bollard::Docker;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;
use qmoor_plan::engine::Image;
use serde::{Deserialize, Serialize};

use super::{ContainerSpec, docker_error, is_missing};
use crate::durable;
use crate::engine::EngineError;

/// The file that says what the configured image was upgraded to.
const UPGRADED: &str = "upgraded.json";

/// Which image a name stood for when it was first used here.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pinned {
    /// The name, with the tag.
    image: String,
    /// The daemon's id of it, which is the hash of what is in it.
    id: String,
}

/// An image that is there.
#[derive(Debug)]
pub(super) struct Found {
    /// The hash of what is in it.
    pub(super) id: String,
    /// The user it says it runs as.
    user: String,
}

impl Found {
    /// User and group that the engine runs as.
    pub(super) fn owner(&self, container: &ContainerSpec) -> Result<(u32, u32), EngineError> {
        if let Some(owner) = container.user {
            return Ok(owner);
        }
        if self.user.is_empty() || self.user == "root" {
            return Ok((0, 0));
        }
        let (user, group) = self.user.split_once(':').unwrap_or((&self.user, &self.user));
        match (user.parse(), group.parse()) {
            (Ok(user), Ok(group)) => Ok((user, group)),
            (_, _) => Err(EngineError::Image {
                image: container.image.to_string(),
                message: format!(
                    "runs as user `{}`, whose number is not known (hint: set `engine.user`, such as \"1000:1000\")",
                    self.user
                ),
            }),
        }
    }
}

/// An image that replaces the configured one, for as long as that stays the same.
#[derive(Debug, Serialize, Deserialize)]
struct Upgraded {
    configured: String,
    image: String,
}

/// The image that the configured one was upgraded to.
pub(super) fn upgraded(container: &ContainerSpec) -> Option<Image> {
    let bytes = std::fs::read(container.private.join(UPGRADED)).ok()?;
    let upgraded: Upgraded = serde_json::from_slice(&bytes).ok()?;
    // Whoever changes the configuration means what it says.
    (upgraded.configured == container.image.to_string()).then_some(())?;
    Image::parse(&upgraded.image).ok()
}

/// Notes what the configured image is upgraded to, or takes that back.
pub(super) fn upgrade(container: &ContainerSpec, image: Option<&Image>) -> Result<(), EngineError> {
    let path = container.private.join(UPGRADED);
    let failed = |source| EngineError::Prepare { path: path.clone(), source };
    let Some(image) = image else {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            Ok(()) | Err(_) => durable::sync_dir(&container.private).map_err(failed),
        };
    };
    let upgraded = Upgraded { configured: container.image.to_string(), image: image.to_string() };
    let bytes = serde_json::to_vec(&upgraded).map_err(|error| failed(error.into()))?;
    durable::write_durable(&path, &bytes, 0o600).map_err(failed)
}

/// Finds the image or pulls it. Where its name means another one than when it was first used here, that one goes on to be
/// used: whoever moves a tag must neither change the engine nor keep it from coming back.
pub(super) async fn ensure(
    docker: &Docker,
    container: &ContainerSpec,
) -> Result<Found, EngineError> {
    let found = present(docker, container).await?;
    let Some(kept) = before(container, &found.id)? else {
        pin(container, &found.id)?;
        return Ok(found);
    };
    match docker.inspect_image(&kept).await {
        Ok(image) => {
            let (name, now) = (container.image.tagged(), &found.id);
            tracing::warn!(
                name,
                now,
                kept,
                "engine: the name means another image than before, which is still used"
            );
            Ok(Found {
                id: kept,
                user: image.config.and_then(|config| config.user).unwrap_or_default(),
            })
        }
        Err(error) if is_missing(&error) => Err(EngineError::Image {
            image: container.image.to_string(),
            message: format!(
                "is another image than before, which is gone: {} was {kept} (hint: if that is meant, remove {})",
                found.id,
                file(container).display()
            ),
        }),
        Err(error) => Err(docker_error("looking for the image", &error)),
    }
}

/// Finds the image or pulls it.
pub(super) async fn present(
    docker: &Docker,
    container: &ContainerSpec,
) -> Result<Found, EngineError> {
    let name = container.image.to_string();
    let found = match find(docker, container).await? {
        Some(found) => found,
        None => {
            pull(docker, container).await?;
            find(docker, container).await?.ok_or_else(|| EngineError::Image {
                image: name.clone(),
                message: "was pulled and is not there".to_owned(),
            })?
        }
    };
    let id = found.id.unwrap_or_default();
    let user = found.config.and_then(|config| config.user).unwrap_or_default();
    Ok(Found { id, user })
}

/// By tag, so that an image that was loaded from a file is found; its digest, if one is asked for, is then that of
/// the registry or of the image itself.
async fn find(
    docker: &Docker,
    container: &ContainerSpec,
) -> Result<Option<ImageInspect>, EngineError> {
    let tagged = container.image.tagged();
    let found = match docker.inspect_image(&tagged).await {
        Ok(found) => found,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(docker_error("looking for the image", &error)),
    };
    let Some(digest) = &container.image.digest else { return Ok(Some(found)) };
    let digests = found.repo_digests.iter().flatten();
    let mut known = digests.filter_map(|name| name.rsplit_once('@').map(|(_, digest)| digest));
    if found.id.as_ref() == Some(digest) || known.any(|known| known == digest) {
        return Ok(Some(found));
    }
    Err(EngineError::Image {
        image: container.image.to_string(),
        message: format!(
            "is here with another digest ({}) (hint: `docker image rm {tagged}`, and it is pulled by its digest)",
            found.id.unwrap_or_default()
        ),
    })
}

async fn pull(docker: &Docker, container: &ContainerSpec) -> Result<(), EngineError> {
    let image = &container.image;
    tracing::info!(%image, "engine: the image is pulled");
    // Of a digest the daemon makes no tag, so it is asked for by its tag, and the digest is looked at then.
    let options =
        CreateImageOptionsBuilder::new().from_image(&image.repository).tag(&image.tag).build();
    let mut progress = docker.create_image(Some(options), None, None);
    let mut said = std::time::Instant::now();
    while let Some(step) = progress.next().await {
        let step = step.map_err(|error| EngineError::Image {
            image: image.to_string(),
            message: format!(
                "cannot be pulled: {} (hint: `docker pull {}` tells more; `docker load` brings it without a registry)",
                error.to_string().replace('\n', " "),
                image.tagged()
            ),
        })?;
        if said.elapsed() >= std::time::Duration::from_secs(2) {
            said = std::time::Instant::now();
            let detail = step.progress_detail.unwrap_or_default();
            tracing::info!(
                %image,
                layer = step.id,
                status = step.status,
                bytes = detail.current,
                of = detail.total,
                "engine: the image is pulled"
            );
        }
    }
    Ok(())
}

/// What the name meant before, if that is another image than `now`. A digest in the configuration has been checked, and
/// says more than the first use.
fn before(container: &ContainerSpec, now: &str) -> Result<Option<String>, EngineError> {
    let path = file(container);
    let before: Option<Pinned> = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).ok(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(EngineError::Prepare { path, source }),
    };
    let same_name = before.filter(|before| before.image == container.image.tagged());
    let other = same_name.filter(|before| before.id != now && container.image.digest.is_none());
    Ok(other.map(|before| before.id))
}

/// Notes what the name means.
fn pin(container: &ContainerSpec, id: &str) -> Result<(), EngineError> {
    let path = file(container);
    let failed = |source| EngineError::Prepare { path: path.clone(), source };
    let now = Pinned { image: container.image.tagged(), id: id.to_owned() };
    if std::fs::read(&path)
        .is_ok_and(|bytes| serde_json::from_slice(&bytes).is_ok_and(|noted: Pinned| noted == now))
    {
        return Ok(());
    }
    let bytes = serde_json::to_vec(&now).map_err(|error| failed(error.into()))?;
    fs_err::create_dir_all(&container.private).map_err(failed)?;
    durable::write_durable(&path, &bytes, 0o600).map_err(failed)
}

/// The hash of what the image is here, once it was used.
pub(super) fn pinned(container: &ContainerSpec) -> Option<String> {
    let pinned: Pinned = serde_json::from_slice(&std::fs::read(file(container)).ok()?).ok()?;
    (pinned.image == container.image.tagged()).then_some(pinned.id)
}

fn file(container: &ContainerSpec) -> PathBuf {
    container.private.join("image.json")
}
