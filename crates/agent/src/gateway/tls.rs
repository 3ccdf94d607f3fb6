//! TLS in front of the gateway, with certificates that are replaced while it runs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::RwLock;
use qmoor_plan::config::TlsFiles;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_util::sync::CancellationToken;
use x509_cert::der::Decode;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that is larger is no certificate, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// What is offered, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a certificate and its key cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum TlsError {
    #[error("cannot read `{}` (hint: `gateway.tls_cert` and `gateway.tls_key` in qmoor.toml name PEM files)", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{}` can be read by everybody on this host (hint: chmod o-rwx {})", path.display(), path.display())]
    KeyOpen { path: PathBuf },
    #[error("`{}` is larger than any certificate", path.display())]
    TooLarge { path: PathBuf },
    #[error("`{}` holds no certificate in PEM", path.display())]
    NoCertificate { path: PathBuf },
    #[error("`{}` holds no private key in PEM", path.display())]
    NoKey { path: PathBuf },
    #[error("the key in `{}` does not belong to the certificate in `{}`", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("the certificate in `{}` cannot be used: {reason}", cert.display())]
    Unusable { cert: PathBuf, reason: rustls::Error },
}

/// What connections are encrypted with at this moment.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: RwLock<Current>,
}

/// A pair that was loaded.
#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// Until when the certificate is valid; none if it does not say so in a way that is read here.
    ends: Option<Timestamp>,
}

/// How a file looks from outside; when it looks the same, it is the same.
type Look = Option<(u64, u64, i64, i64, u64)>;

impl Tls {
    /// Reads the certificate and its key. Blocks.
    ///
    /// # Errors
    /// When they cannot be read or used, or others may read the key.
    pub fn open(files: &TlsFiles) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(load(files)?);
        Ok(Arc::new(Self { files: files.clone(), current }))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read().config))
    }

    /// Until when the certificate in use is valid.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        self.current.read().ends
    }

    /// Takes a new pair whenever the files change, until told to stop. Connections that are open keep what
    /// they have. A pair that cannot be used is said once, and the one before stays.
    pub(super) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut seen = self.looks();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let looks = self.looks();
            if looks == seen {
                continue;
            }
            let tls = Arc::clone(&self);
            let loaded = tokio::task::spawn_blocking(move || load(&tls.files)).await;
            // What changed while it was read is read again the next time.
            seen = looks;
            match loaded {
                Ok(Ok(fresh)) => {
                    *self.current.write() = fresh;
                    tracing::info!(cert = %self.files.cert.display(), "TLS: the new certificate is in use");
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "TLS: the new certificate is not used, the one before stays");
                }
                Err(error) => tracing::error!(%error, "TLS: reading the certificate broke off"),
            }
        }
    }

    fn looks(&self) -> [Look; 2] {
        [&self.files.cert, &self.files.key].map(|path| {
            let meta = std::fs::metadata(path).ok()?;
            Some((meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec(), meta.size()))
        })
    }
}

fn load(files: &TlsFiles) -> Result<Current, TlsError> {
    let TlsFiles { cert, key } = files;
    let mode = std::fs::metadata(key).map_err(failed(key))?.mode();
    if mode & 0o007 != 0 {
        return Err(TlsError::KeyOpen { path: key.clone() });
    }
    let no_certificate = || TlsError::NoCertificate { path: cert.clone() };
    let chain = CertificateDer::pem_slice_iter(&read(cert)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| no_certificate())?;
    let ends = end_of(chain.first().ok_or_else(no_certificate)?);
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| TlsError::NoKey { path: key.clone() })?;
    let unusable = |reason| match reason {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Mismatch { cert: cert.clone(), key: key.clone() }
        }
        reason => TlsError::Unusable { cert: cert.clone(), reason },
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Current { config: Arc::new(config), ends })
}

/// The end of the validity of a certificate in DER. Whether it is valid is for clients to judge: this is only told.
#[must_use]
pub fn end_of(certificate: &[u8]) -> Option<Timestamp> {
    let read = x509_cert::Certificate::from_der(certificate).ok()?;
    let end = read.tbs_certificate().validity().not_after.to_unix_duration();
    Timestamp::from_second(i64::try_from(end.as_secs()).ok()?).ok()
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    if std::fs::metadata(path).map_err(failed(path))?.len() > FILE_BYTES_MAX {
        return Err(TlsError::TooLarge { path: path.to_owned() });
    }
    std::fs::read(path).map_err(failed(path))
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Read { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "text before it
-----BEGIN CERTIFICATE-----
MIIBcjCCARmgAwIBAgIUKtCujAtFZOEl+vfZqQaV+EjRd6EwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEbm9kZTAeFw0yNjExMjgxOTAyMDFaFw0yNzExMjgxOTAyMDFa
MA8xDTALBgNVBAMMBG5vZGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATcWmQ1
y3NRPSfoWcUjvkm2taEm8fKGobEBMyrWBoknjZBPO7jlcULFXvWGkvsFDMqnQEYN
d6pwbtJHdoKQxX2so1MwUTAdBgNVHQ4EFgQUnt5aTVAWjuVrXsyopBeyvJKT/Psw
HwYDVR0jBBgwFoAUnt5aTVAWjuVrXsyopBeyvJKT/PswDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNHADBEAiEAsnzUVJwMm5spHo6BdL91vNhibpeHo+YJmGNv
TZsUDvQCH1p9CgWcJ/aogmcSDIMrsTL58Ik3elrpTb6z13v9uDo=
-----END CERTIFICATE-----
";

    #[test]
    fn the_end_of_a_certificate_is_read_and_one_cut_short_has_none() {
        let der = CertificateDer::from_pem_slice(PEM.as_bytes()).unwrap();
        assert_eq!(end_of(&der).unwrap().to_string(), "2027-11-28T19:02:01Z");
        for length in 0..der.len() {
            assert_eq!(end_of(&der[..length]), None, "{length}");
        }
        assert_eq!(end_of(&[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]), None);
    }
}
