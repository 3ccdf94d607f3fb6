//! `qmoor render`: what would be used elsewhere, as text on stdout.

use std::path::Path;

use serde_json::json;

use crate::cli::{Global, Render, RenderWhat};
use crate::error::CliError;
use crate::node;
use crate::output::Output;

/// Prints it; writes nothing.
pub(crate) fn run(global: &Global, args: &Render, out: Output) -> Result<(), CliError> {
    match args.what {
        RenderWhat::Systemd => {
            let config = node::config(global)?;
            let program = std::env::current_exe().map_err(|error| {
                CliError::failed(format!("cannot tell where qmoor is: {error}"))
            })?;
            let file =
                node::config_file(global).map(|file| std::path::absolute(&file).unwrap_or(file));
            let unit = systemd(&program, file.as_deref(), &config);
            out.result(&json!({ "unit": unit }), unit.trim_end())
        }
    }
}

/// A unit for the agent. Stopping waits for the drain and for the engine's flush.
fn systemd(program: &Path, file: Option<&Path>, config: &qmoor_plan::config::Config) -> String {
    let slack = std::time::Duration::from_secs(10);
    let stop = config.gateway.drain_timeout + config.engine.stop_timeout + slack;
    let config_flag = file.map(|file| format!(" --config {}", quoted(file))).unwrap_or_default();
    format!(
        "[Unit]\n\
         Description=qmoor node {name}\n\
         After=network-online.target\n\
         Wants=network-online.target\n\
         RequiresMountsFor={data} {state} {store}\n\
         \n\
         [Service]\n\
         ExecStart={program} serve{config_flag}\n\
         WorkingDirectory={dir}\n\
         Restart=always\n\
         RestartSec=2\n\
         KillMode=mixed\n\
         TimeoutStopSec={stop}\n\
         LimitNOFILE=65536\n\
         UMask=0077\n\
         NoNewPrivileges=true\n\
         PrivateTmp=true\n\
         ProtectSystem=strict\n\
         ProtectHome=read-only\n\
         ReadWritePaths={dir} {data} {state} {store}\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        name = config.node.name,
        program = quoted(program),
        dir = quoted(&config.node.dir),
        data = quoted(&config.node.data),
        state = quoted(&config.node.state),
        store = quoted(&config.store.path),
        stop = stop.as_secs(),
    )
}

/// A path as systemd reads it: `%` starts a specifier, and a space would end the word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains([' ', '"', '\\']) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::quoted;

    #[test]
    fn a_path_is_quoted_where_systemd_would_misread_it() {
        assert_eq!(quoted(Path::new("/srv/q")), "/srv/q");
        assert_eq!(quoted(Path::new("/srv/my node/50%")), "\"/srv/my node/50%%\"");
    }
}
