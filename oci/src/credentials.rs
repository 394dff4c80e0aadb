//! Who we are to a registry: as docker and oras keep it, given outright, or nobody.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use secrecy::SecretString;

/// A credential helper may ask a person, but not for ever.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);
/// What docker's own configuration calls Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Credentials for one registry. `Debug` shows no secret.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Ask without any.
    #[default]
    Anonymous,
    /// A user and password, or a robot account and its token.
    Basic {
        /// Name of the user.
        username: String,
        /// Password or access token.
        password: SecretString,
    },
    /// A refresh token, as `docker login` keeps for some registries.
    IdentityToken(SecretString),
}

/// Credentials are configured but cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The configuration file is there but cannot be used.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without its contents.
        reason: String,
    },
    /// A credential helper failed. What it printed is withheld: it may contain secrets.
    #[error("credential helper {0} failed; run it by hand to see why")]
    Helper(String),
    /// A credential helper did not come back.
    #[error("the credential helper took longer than {} s", HELPER_TIMEOUT.as_secs())]
    HelperTimeout,
}

impl Credentials {
    /// A user and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic {
            username: username.into(),
            password: SecretString::from(password.into()),
        }
    }

    /// What `$DOCKER_CONFIG/config.json` (else `~/.docker/config.json`) has for `registry`: its `auths`, `credHelpers`
    /// and `credsStore`. Anonymous if there is no such file, or nothing in it for this registry.
    ///
    /// # Errors
    /// When there is something that cannot be read, or a helper fails.
    pub async fn from_docker_config(registry: &str) -> Result<Self, CredentialsError> {
        let Some(path) = config_path() else {
            return Ok(Self::Anonymous);
        };
        Self::from_config_file(path, registry).await
    }

    /// The same from a given file.
    ///
    /// # Errors
    /// As [`Credentials::from_docker_config`].
    pub async fn from_config_file(path: PathBuf, registry: &str) -> Result<Self, CredentialsError> {
        let server = if registry == "index.docker.io" {
            DOCKER_HUB
        } else {
            registry
        }
        .to_owned();
        let read = tokio::task::spawn_blocking(move || read(&path, &server));
        match tokio::time::timeout(HELPER_TIMEOUT, read).await {
            Ok(Ok(credentials)) => credentials,
            Ok(Err(_)) => Err(CredentialsError::Helper("call".to_owned())),
            Err(_) => Err(CredentialsError::HelperTimeout),
        }
    }
}

fn config_path() -> Option<PathBuf> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let in_home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
    Some(dir.or_else(in_home)?.join("config.json"))
}

fn read(path: &PathBuf, server: &str) -> Result<Credentials, CredentialsError> {
    let unusable = |reason: String| CredentialsError::Config {
        path: path.clone(),
        reason,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Credentials::Anonymous),
        Err(error) => return Err(unusable(error.to_string())),
    };
    match docker_credential::get_credential_from_reader(io::BufReader::new(file), server) {
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Credentials::basic(username, password))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Credentials::IdentityToken(token.into())),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(Credentials::Anonymous),
        // docker's protocol for "I have none": this sentence, and an exit code that is not 0.
        Err(CredentialRetrievalError::HelperFailure { stdout, .. })
            if stdout.trim() == "credentials not found in native keychain" =>
        {
            Ok(Credentials::Anonymous)
        }
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(CredentialsError::Helper(helper))
        }
        Err(CredentialRetrievalError::HelperCommunicationError) => Err(unusable(
            "its credential helper cannot be run: is `docker-credential-…` on PATH?".to_owned(),
        )),
        Err(CredentialRetrievalError::CredentialDecodingError) => Err(unusable(
            "expected `auth` to be base64 of USER:PASSWORD".to_owned(),
        )),
        Err(CredentialRetrievalError::CredentialMismatchError) => Err(unusable(
            "expected `auth` to say what `username` and `password` do".to_owned(),
        )),
        Err(CredentialRetrievalError::MalformedHelperResponse) => Err(unusable(
            "its credential helper answers with no credentials".to_owned(),
        )),
        Err(_) => Err(unusable(
            "expected JSON with `auths`, `credHelpers` or `credsStore`".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    async fn credentials(config: &str, registry: &str) -> Result<Credentials, CredentialsError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.json");
        std::fs::write(&path, config).expect("written");
        Credentials::from_config_file(path, registry).await
    }

    async fn check(config: &str, registry: &str, expect: &str) {
        let shown = match credentials(config, registry).await {
            Ok(Credentials::Anonymous) => "anonymous".to_owned(),
            Ok(Credentials::Basic { username, password }) => {
                format!("{username}/{}", password.expose_secret())
            }
            Ok(Credentials::IdentityToken(token)) => format!("token {}", token.expose_secret()),
            Err(error) => error.to_string(),
        };
        assert!(shown.contains(expect), "{config}: {shown}");
    }

    #[tokio::test]
    async fn docker_configurations() {
        const AUTHS: &str = r#"{"auths":{"example.com:5000":{"auth":"dXNlcjpwYXNz"}}}"#;
        check(AUTHS, "example.com:5000", "user/pass").await;
        check(AUTHS, "example.org", "anonymous").await;
        check("{}", "example.com", "anonymous").await;
        check(
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYXNz"}}}"#,
            "index.docker.io",
            "user/pass",
        )
        .await;
        check(
            r#"{"auths":{"example.com":{"identitytoken":"refresh"}}}"#,
            "example.com",
            "token refresh",
        )
        .await;
        check(
            r#"{"credHelpers":{"example.com":"lazymesh-none"}}"#,
            "example.com",
            "helper",
        )
        .await;
        check(
            r#"{"auths":{"example.com":{"auth":"%%%"}}}"#,
            "example.com",
            "expected `auth` to be base64",
        )
        .await;
        check("not json", "example.com", "expected JSON with `auths`").await;
    }

    #[tokio::test]
    async fn no_file_is_no_error() {
        let missing = PathBuf::from("no/such/config.json");
        assert!(matches!(
            Credentials::from_config_file(missing, "example.com").await,
            Ok(Credentials::Anonymous)
        ));
    }

    #[test]
    fn debug_keeps_the_secret() {
        assert!(!format!("{:?}", Credentials::basic("user", "hunter2")).contains("hunter2"));
    }
}
