//! A Compose file of the container that the agent runs.

use qmoor_agent::node::compose;
use qmoor_plan::config::{Config, EngineKind};

use crate::error::CliError;

/// The file, for `docker compose -f - config` and for reading: the agent itself needs none.
pub(super) fn file(config: &Config) -> Result<String, CliError> {
    if config.engine.kind != EngineKind::Docker {
        return Err(CliError::failed("the embedded engine runs in no container")
            .hint("set engine.kind = \"docker\" in qmoor.toml"));
    }
    Ok(compose(config))
}
