//! Whose certificate is taken before a key is sent.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, WantsVerifier,
};

use crate::error::chain;

/// Which certificates are taken.
#[derive(Clone)]
pub(super) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Those that the system trusts, and those that this text of PEM signs.
    pub(super) fn authorities(pem: Option<&str>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // A system without any is told by the refusal that follows.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let own = CertificateDer::pem_slice_iter(pem.unwrap_or_default().as_bytes());
        let (added, _) = roots.add_parsable_certificates(own.filter_map(Result::ok));
        if pem.is_some() && added == 0 {
            return Err("there is no certificate in PEM in it".to_owned());
        }
        Ok(Self(Arc::new(builder()?.with_root_certificates(roots).with_no_client_auth())))
    }

    /// The first in this text of PEM and no other, whatever its name.
    pub(super) fn only(pem: &str) -> Option<Result<Self, String>> {
        let first = CertificateDer::pem_slice_iter(pem.as_bytes()).find_map(Result::ok)?;
        Some(Self::custom(Arc::new(Shown::new(Some(first.to_vec())))))
    }

    fn custom(verifier: Arc<Shown>) -> Result<Self, String> {
        let config = builder()?.dangerous().with_custom_certificate_verifier(verifier);
        Ok(Self(Arc::new(config.with_no_client_auth())))
    }

    /// Encrypts a connection; an error if the certificate is not taken.
    pub(super) async fn wrap(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` is no name that a certificate can have"))?;
        TlsConnector::from(Arc::clone(&self.0))
            .connect(name, stream)
            .await
            .map_err(|error| chain(&error))
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

/// The certificate that a server shows, whoever signed it. Nothing is sent to it.
pub(super) async fn shown(host: &str, stream: TcpStream) -> Result<Vec<u8>, String> {
    let verifier = Arc::new(Shown::new(None));
    let taken = Trust::custom(Arc::clone(&verifier))?.wrap(host, stream).await;
    let seen = verifier.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (seen, taken) {
        (Some(seen), _) => Ok(seen),
        (None, Err(why)) => Err(why),
        (None, Ok(_)) => Err("it showed no certificate".to_owned()),
    }
}

/// Takes one certificate, or any, and remembers what it was shown. That the server has the key of it is checked in either
/// case.
#[derive(Debug)]
struct Shown {
    wanted: Option<Vec<u8>>,
    seen: Mutex<Option<Vec<u8>>>,
    provider: CryptoProvider,
}

impl Shown {
    fn new(wanted: Option<Vec<u8>>) -> Self {
        Self { wanted, seen: Mutex::default(), provider: ring::default_provider() }
    }
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = end_entity.as_ref();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown.to_vec());
        match &self.wanted {
            Some(wanted) if wanted.as_slice() != shown => {
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
            }
            Some(_) | None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
