//! A node of our own on loopback ports of the system's choice, for as long as the story lasts.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use qmoor_agent::keys::NewKeys;
use qmoor_agent::serve::{ReadyInfo, ServeError, serve};
use qmoor_client::target::{Secret, Target};
use qmoor_plan::config::Config;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::http::Rest;
use crate::error::{CliError, chain};
use crate::reach::program;

/// Longest wait for the node to come up.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A node that was started and not yet awaited.
pub(super) struct Running {
    /// Its configuration.
    pub(super) config: Config,
    ready: oneshot::Receiver<ReadyInfo>,
    stop: oneshot::Sender<()>,
    agent: JoinHandle<Result<(), ServeError>>,
}

/// Where a node answers, and its keys.
pub(super) struct Door {
    pub(super) address: SocketAddr,
    keys: NewKeys,
}

impl Running {
    /// Starts an agent on `dir`. Only loopback, only free ports.
    pub(super) fn start(dir: &Path) -> Result<Self, CliError> {
        let mut config = Config::for_dir(dir);
        config.gateway.http_port = 0;
        config.gateway.grpc_port = 0;
        let (stop, stopped) = oneshot::channel();
        let (tell, ready) = oneshot::channel();
        let on_ready = move |info: ReadyInfo| {
            // The story was given up: then nobody wants to know.
            let _unwanted = tell.send(info);
        };
        let shutdown = async move {
            // A dropped sender means stop, too.
            let _stopped = stopped.await;
        };
        let agent = tokio::spawn(serve(config.clone(), program()?, None, on_ready, shutdown));
        Ok(Self { config, ready, stop, agent })
    }

    /// Waits until the node answers.
    pub(super) async fn door(&mut self) -> Result<Door, CliError> {
        let ready = tokio::time::timeout(START_TIMEOUT, &mut self.ready).await;
        match ready {
            Ok(Ok(ReadyInfo { http, grpc: _, new_keys: Some(keys) })) => {
                Ok(Door { address: http, keys })
            }
            Ok(Ok(ReadyInfo { new_keys: None, .. })) => {
                Err(CliError::failed("the new node has keys already"))
            }
            Ok(Err(_)) => match (&mut self.agent).await {
                Ok(Err(error)) => Err(CliError::failed(chain(&error))),
                Ok(Ok(())) | Err(_) => Err(CliError::failed("the node ended before it was up")),
            },
            Err(_) => Err(CliError::failed(format!("the node was not up after {START_TIMEOUT:?}"))),
        }
    }

    /// Takes the node down in order.
    pub(super) async fn stop(self) -> Result<(), CliError> {
        // An agent that has ended already cannot be told.
        let _gone = self.stop.send(());
        if self.agent.is_finished() {
            return Ok(());
        }
        match self.agent.await {
            Ok(ended) => ended.map_err(|error| CliError::failed(chain(&error))),
            Err(error) => Err(CliError::failed(format!("the agent broke off: {error}"))),
        }
    }
}

impl Door {
    /// REST with the search key.
    pub(super) fn searcher(&self) -> Rest {
        Rest::new(self.address, self.keys.search.expose())
    }

    /// REST with the index key.
    pub(super) fn indexer(&self) -> Rest {
        Rest::new(self.address, self.keys.index.expose())
    }

    /// A collection with the index key.
    pub(super) fn index_target(&self, collection: &str) -> Target {
        self.target(collection, self.keys.index.expose())
    }

    /// A collection with the search key.
    pub(super) fn search_target(&self, collection: &str) -> Target {
        self.target(collection, self.keys.search.expose())
    }

    fn target(&self, collection: &str, key: &str) -> Target {
        Target {
            grpc_url: format!("http://{}", self.address),
            collection: collection.to_owned(),
            key: Some(Secret::new(key)),
            tls_ca: None,
        }
    }
}
