//! Whom requests by `https` trust: the authorities that this machine trusts, and those of the application.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use introd_plugin::files;
use introd_policy::http::HttpFailure;
use parking_lot::Mutex;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The largest file of certificates.
const MAX_FILE: u64 = 4 << 20;
/// How many files' certificates are kept.
const MAX_FILES: usize = 64;

/// The certificates of authorities, once they are loaded.
#[derive(Default)]
pub(super) struct Trust {
    /// Those of this machine. Their number is small enough to keep them.
    machine: OnceLock<Vec<CertificateDer<'static>>>,
    configs: Mutex<HashMap<Option<PathBuf>, Loaded>>,
}

/// How TLS is spoken with the certificates of a file, and the state in which that was read.
type Loaded = (Option<Version>, Arc<ClientConfig>);

/// Tells one state of a file from another.
type Version = (SystemTime, u64);

impl Trust {
    /// How TLS is spoken if these certificates are trusted besides those of the machine. It reads files, and blocks.
    pub(super) fn config(&self, ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, HttpFailure> {
        let version = ca_file.map(version).transpose()?;
        let key = ca_file.map(Path::to_owned);
        if let Some((known, config)) = self.configs.lock().get(&key)
            && *known == version
        {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore::empty();
        // One certificate that is malformed is no reason to do without the others.
        roots.add_parsable_certificates(self.machine.get_or_init(of_machine).iter().cloned());
        if let Some(path) = ca_file {
            for certificate in read(path)? {
                roots.add(certificate).map_err(|error| unusable(path, &error))?;
            }
        }
        if roots.is_empty() {
            return Err(HttpFailure::Failed(
                "this machine has no certificates of authorities, so that https trusts nobody: install them (the package ca-certificates), or set ScriptEngine/HTTP/CAFile in Application.xml".to_owned(),
            ));
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| HttpFailure::Failed(format!("TLS cannot be used: {error}")))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let mut configs = self.configs.lock();
        if configs.len() >= MAX_FILES {
            configs.clear();
        }
        configs.insert(key, (version, Arc::clone(&config)));
        Ok(config)
    }
}

fn of_machine() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the certificates that this machine trusts cannot be read");
    }
    found.certs
}

fn version(path: &Path) -> Result<Version, HttpFailure> {
    let about = std::fs::metadata(path).and_then(|about| Ok((about.modified()?, about.len())));
    about.map_err(|error| unusable(path, &error))
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpFailure> {
    let text = files::read(path, MAX_FILE).map_err(|error| unusable(path, &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| unusable(path, &error))?;
    if found.is_empty() { Err(unusable(path, &"there is no certificate in PEM in it")) } else { Ok(found) }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> HttpFailure {
    let path = path.display();
    HttpFailure::Failed(format!("ScriptEngine/HTTP/CAFile in Application.xml, {path}, cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_has_no_certificates_is_named_with_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trust.pem");
        let problem = || Trust::default().config(Some(&path)).unwrap_err().to_string();
        assert!(problem().contains("No such file"), "{}", problem());
        for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, text).unwrap();
            let problem = problem();
            assert!(problem.contains("ScriptEngine/HTTP/CAFile") && problem.contains("cannot be used"), "{problem}");
        }
    }
}
