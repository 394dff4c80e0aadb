//! The mesh's certificates, made on the spot: one CA, one SPIFFE identity for each workload.

use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _};

/// Trust domain of every mesh of the harness.
pub const TRUST_DOMAIN: &str = "cluster.local";

/// SPIFFE identity of a Kubernetes service account.
#[must_use]
pub fn spiffe(namespace: &str, service_account: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}")
}

/// The mesh's CA, as istiod is one.
pub struct CertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A workload's certificate and key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

impl CertificateAuthority {
    /// A new CA.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::OrganizationName, TRUST_DOMAIN);
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
        })
    }

    /// The CA's certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Signs a certificate for this SPIFFE identity.
    ///
    /// # Errors
    /// When the identity is not ASCII, or no key can be made.
    pub fn issue(&self, spiffe: &str) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(spiffe.try_into()?)];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key,
        })
    }

    /// A server that requires a client certificate of this CA, as a sidecar under STRICT does.
    ///
    /// # Errors
    /// When rustls refuses the certificate.
    pub fn server(&self, identity: &Identity) -> Result<Arc<ServerConfig>> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(identity.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![identity.certificate.clone()], key)?;
        // What Istio's sidecars offer inbound; clients of a mesh name at least one of them.
        config.alpn_protocols = ["istio", "istio-http/1.1", "istio-h2", "h2", "http/1.1"]
            .map(|name| name.as_bytes().to_vec())
            .to_vec();
        Ok(Arc::new(config))
    }
}

impl Identity {
    /// The certificate.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }
}

/// The SPIFFE identity that a peer's certificate carries.
///
/// # Errors
/// When the certificate cannot be read or has no URI name.
pub fn identity_of(certificate: &CertificateDer<'_>) -> Result<String> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate)?;
    let names = parsed
        .subject_alternative_name()?
        .context("a certificate without names")?;
    names
        .value
        .general_names
        .iter()
        .find_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        })
        .context("a certificate without a URI name")
}
