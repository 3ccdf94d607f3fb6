//! The real engine, in this process, on ports the system chose.

use std::net::{Ipv4Addr, SocketAddr};

use qmoor_client::target::Target;
use qmoor_engine::{Options, ServeError, serve};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running engine.
pub(crate) struct Engine {
    _data: TempDir,
    grpc: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Engine {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(set: impl FnOnce(&mut Options)) -> Self {
        let data = TempDir::new().unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut options = Options {
            data: data.path().to_owned(),
            http: any,
            grpc: any,
            api_key: None,
            read_only_api_key: None,
            max_request_bytes: 32 << 20,
            says_version: None,
        };
        set(&mut options);
        let (ready, on_ready) = oneshot::channel();
        let (stop, on_stop) = oneshot::channel();
        let served = tokio::spawn(async move {
            let told = move |addresses| ready.send(addresses).unwrap();
            serve(options, told, async move { drop(on_stop.await) }).await
        });
        let grpc = on_ready.await.unwrap().grpc;
        Self { _data: data, grpc, stop, served }
    }

    pub(crate) fn target(&self, collection: &str) -> Target {
        Target {
            grpc_url: format!("http://{}", self.grpc),
            collection: collection.to_owned(),
            key: None,
            tls_ca: None,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}
