//! What a server answers at its door. Nothing that is asked here changes anything.

use hyper::Method;
use qmoor_agent::gateway::tls::end_of;
use qmoor_agent::probe::escaped;
use qmoor_plan::doctor::{Certificate, Collection, Door, Seen};
use serde_json::Value;

use super::http::Server;
use super::tls::{Trust, shown};

/// A collection that nobody has: deleting no point of it changes nothing, whoever is let through.
const NOWHERE: &str = "/collections/qmoor-doctor-asks-for-nothing/points/delete";
/// Of more collections than this the rest is taken to be the same.
const COLLECTIONS_MAX: usize = 200;

/// The keys to try it with, or why there is none.
#[derive(Debug)]
pub(super) struct Keys {
    /// One that may see the collections.
    pub(super) full: Seen<String>,
    /// One that may only search.
    pub(super) search: Seen<String>,
}

/// Asks a server, with whose certificate `trust` takes.
pub(super) async fn look(server: &Server, trust: Option<&Seen<Trust>>, keys: &Keys) -> Door {
    let certificate = certificate(server, trust).await;
    // A key is not shown to who may be somebody else.
    let trusted = match (&certificate, trust) {
        (_, None) => Ok(None),
        (Ok(Certificate { refused: None, .. }), Some(Ok(trust))) => Ok(Some(trust)),
        (Ok(Certificate { refused: Some(why), .. }) | Err(why), _) | (_, Some(Err(why))) => {
            Err(why.clone())
        }
    };
    let asker = Asker { server, trust: trusted };
    let greeting = asker.ask(Method::GET, "/", None).await;
    let version = greeting.as_ref().map_err(Clone::clone).and_then(|(_, body)| {
        let version = body.get("version").and_then(Value::as_str);
        version.map(str::to_owned).ok_or_else(|| "the server does not say its version".to_owned())
    });
    let key = keys.full.as_ref().or_else(|why| keys.search.as_ref().map_err(|_| why.clone()));
    let search = keys.search.as_ref().map_err(Clone::clone);
    Door {
        url: server.url.clone(),
        is_encrypted: server.is_encrypted,
        is_local: is_local(&server.host),
        greeting: greeting.map(|(status, _)| status),
        version,
        without_key: asker.status(Method::GET, "/collections", None).await,
        with_key: asker.keyed(Method::GET, "/collections", &key).await,
        search_key_write: asker.keyed(Method::POST, NOWHERE, &search).await,
        search_key_snapshots: asker.keyed(Method::GET, "/snapshots", &search).await,
        collections: asker.collections(&key).await,
        certificate,
    }
}

/// Whether what is sent there stays on this host.
fn is_local(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn certificate(server: &Server, trust: Option<&Seen<Trust>>) -> Seen<Certificate> {
    let Some(trust) = trust else { return Err("the server speaks without TLS".to_owned()) };
    let der = shown(&server.host, server.connect().await?).await?;
    let not_after = end_of(&der).ok_or("the certificate does not say when it ends")?;
    let refused = match trust {
        Ok(trust) => trust.wrap(&server.host, server.connect().await?).await.err(),
        Err(why) => Some(why.clone()),
    };
    Ok(Certificate { not_after, refused })
}

struct Asker<'a> {
    server: &'a Server,
    trust: Seen<Option<&'a Trust>>,
}

impl Asker<'_> {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
    ) -> Result<(u16, Value), String> {
        let trust = self.trust.clone()?;
        self.server.ask(trust, method, path, key).await
    }

    async fn status(&self, method: Method, path: &str, key: Option<&str>) -> Seen<u16> {
        Ok(self.ask(method, path, key).await?.0)
    }

    async fn keyed(&self, method: Method, path: &str, key: &Seen<&String>) -> Seen<u16> {
        let key = key.clone()?;
        self.status(method, path, Some(key)).await
    }

    /// With a key, or without one where there is none: an open server shows them to anybody.
    async fn collections(&self, key: &Seen<&String>) -> Seen<Vec<Collection>> {
        let given = key.as_ref().ok().map(|key| key.as_str());
        let (status, body) = self.ask(Method::GET, "/collections", given).await?;
        if status != 200 {
            return Err(match key {
                Ok(_) => format!("the collections are not shown: status {status}"),
                Err(why) => why.clone(),
            });
        }
        let listed = body.pointer("/result/collections").and_then(Value::as_array);
        let listed = listed.ok_or("the server does not list collections as Qdrant does")?;
        let names = listed.iter().filter_map(|one| one.get("name")?.as_str());
        let mut collections = Vec::new();
        for name in names.take(COLLECTIONS_MAX) {
            let path = format!("/collections/{}", escaped(name));
            let (status, body) = self.ask(Method::GET, &path, given).await?;
            // One that was deleted meanwhile.
            if status == 404 {
                continue;
            }
            if status != 200 {
                return Err(format!("`{name}` is not shown: status {status}"));
            }
            collections.push(collection(name, &body));
        }
        Ok(collections)
    }
}

fn collection(name: &str, body: &Value) -> Collection {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let strict = body.pointer("/result/config/strict_mode_config/enabled");
    Collection {
        name: name.to_owned(),
        status: text("/result/status").unwrap_or_default(),
        optimizer_error: text("/result/optimizer_status/error"),
        is_strict: strict.and_then(Value::as_bool).unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_collection_is_read_as_qdrant_describes_it() {
        let body = json!({"result": {"status": "yellow", "optimizer_status": {"error": "no space"},
            "config": {"strict_mode_config": {"enabled": true}}}});
        let found = collection("docs", &body);
        assert_eq!((found.status.as_str(), found.is_strict), ("yellow", true));
        assert_eq!(found.optimizer_error.as_deref(), Some("no space"));
        let body = json!({"result": {"status": "green", "optimizer_status": "ok", "config": {}}});
        let found = collection("docs", &body);
        assert_eq!((found.optimizer_error, found.is_strict), (None, false));
    }

    #[test]
    fn only_loopback_stays_on_this_host() {
        assert!(is_local("127.0.0.1") && is_local("::1") && is_local("localhost"));
        assert!(!is_local("10.0.2.15") && !is_local("node"));
    }
}
