//! Connections to Redis: to a single server, through sentinels, or to a cluster.

use std::path::Path;
use std::sync::Arc;

use introd_plugin::files;
use redis::aio::{AsyncPushSender, ConnectionLike, MultiplexedConnection};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline,
    ProtocolVersion, RedisError, RedisResult, TlsCertificates, TlsMode, Value,
};

use crate::cluster::{Address, ClusterConnection};
use crate::settings::{Mode, Settings, SettingsError};

/// How many commands or batches may be in flight on a connection; further ones wait.
const MAX_IN_FLIGHT: usize = 256;

/// Opens connections.
pub(crate) struct Connector {
    kind: Kind,
    identity: Identity,
}

/// What a connector was made from. Connectors of the same identity connect alike.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    settings: Settings,
    /// The content of the files that the settings name.
    files: Vec<Vec<u8>>,
}

enum Kind {
    Single(Box<Client>),
    Sentinel(Box<SentinelClient>),
    /// The nodes that the settings name, and the certificates.
    Cluster(Vec<ConnectionInfo>, Option<TlsCertificates>),
}

/// A connection to Redis. Clones share it.
#[derive(Clone)]
pub(crate) struct Connection {
    kind: ConnectionKind,
    is_tracking: bool,
}

#[derive(Clone)]
enum ConnectionKind {
    Multiplexed(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connector {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let mut infos = Vec::new();
        for url in &settings.url {
            let info = url.as_str().into_connection_info();
            infos.push(
                info.map_err(|error| SettingsError::Value(format!("<url>{}</url>: {error}", without_password(url))))?,
            );
        }
        let Some(first) = infos.first() else {
            return Err(SettingsError::Value("<url> is missing".to_owned()));
        };
        let (certificates, files) = certificates(settings)?;
        let identity = Identity { settings: settings.clone(), files };
        let is_secure = matches!(first.addr(), ConnectionAddr::TcpTls { .. });
        if is_secure || certificates.is_some() {
            // It fails if another plugin, or the server, has installed a provider already; any provider will do.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let kind = match settings.mode {
            Mode::Single => {
                let info = with_login(first.clone(), settings);
                let client = match certificates {
                    Some(certificates) => Client::build_with_tls(info, certificates)?,
                    None => Client::open(info)?,
                };
                Kind::Single(Box::new(client))
            }
            Mode::Sentinel => {
                let addresses: Vec<ConnectionAddr> = infos.iter().map(|info| info.addr().clone()).collect();
                let own = first.redis_settings();
                let mut builder =
                    SentinelClientBuilder::new(addresses, settings.master.clone(), SentinelServerType::Master)?
                        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
                        .set_client_to_redis_db(own.db());
                if is_secure {
                    builder = builder
                        .set_client_to_redis_tls_mode(TlsMode::Secure)
                        .set_client_to_sentinel_tls_mode(TlsMode::Secure);
                }
                if let Some(certificates) = certificates {
                    builder = builder
                        .set_client_to_redis_certificates(certificates.clone())
                        .set_client_to_sentinel_certificates(certificates);
                }
                if let Some(username) = chosen(&settings.username, own.username()) {
                    builder = builder.set_client_to_redis_username(username);
                }
                if let Some(password) = chosen(&settings.password, own.password()) {
                    builder = builder.set_client_to_redis_password(password);
                }
                if !settings.sentinel_username.is_empty() {
                    builder = builder.set_client_to_sentinel_username(&settings.sentinel_username);
                }
                if !settings.sentinel_password.is_empty() {
                    builder = builder.set_client_to_sentinel_password(&settings.sentinel_password);
                }
                Kind::Sentinel(Box::new(builder.build()?))
            }
            Mode::Cluster => {
                let infos = infos.into_iter().map(|info| with_login(info, settings)).collect();
                Kind::Cluster(infos, certificates)
            }
        };
        Ok(Self { kind, identity })
    }

    /// What it was made from.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Connects. Messages that Redis sends unasked go to `pushes`; a cluster sends none.
    pub(crate) async fn connect(
        &mut self,
        settings: &Settings,
        pushes: Arc<dyn AsyncPushSender>,
    ) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(settings.timeout()))
            .set_response_timeout(Some(settings.timeout()))
            .set_pipeline_buffer_size(MAX_IN_FLIGHT)
            .set_push_sender(pushes);
        let kind = match &mut self.kind {
            Kind::Single(client) => {
                ConnectionKind::Multiplexed(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Kind::Sentinel(client) => {
                let client = client.async_get_client().await?;
                ConnectionKind::Multiplexed(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Kind::Cluster(infos, certificates) => {
                let seeds = infos.iter().filter_map(|info| node_address(info.addr())).collect();
                let Some(first) = infos.first().cloned() else { return Err(no_node()) };
                let certificates = certificates.clone();
                let make_client = Box::new(move |address: &Address| {
                    let info = first.clone().set_addr(at(first.addr(), address));
                    match certificates.clone() {
                        Some(certificates) => Client::build_with_tls(info, certificates),
                        None => Client::open(info),
                    }
                });
                ConnectionKind::Cluster(ClusterConnection::open(seeds, make_client, config, settings.timeout()).await?)
            }
        };
        Ok(Connection { kind, is_tracking: false })
    }
}

impl Connection {
    /// Has Redis report changes of keys that this connection reads after `CLIENT CACHING YES`. A cluster cannot do that.
    ///
    /// # Errors
    /// If Redis does not allow it, or the connection is broken.
    pub(crate) async fn track(&mut self) -> RedisResult<()> {
        if matches!(self.kind, ConnectionKind::Cluster(_)) {
            return Ok(());
        }
        let words = |words: &[&str]| {
            let mut command = redis::cmd("CLIENT");
            command.arg(words);
            command
        };
        let commands = vec![words(&["TRACKING", "ON", "OPTIN", "NOLOOP"]), words(&["CACHING", "YES"])];
        for answer in self.run_each(commands).await? {
            answer?;
        }
        self.is_tracking = true;
        Ok(())
    }

    /// Whether Redis reports changes.
    pub(crate) fn is_tracking(&self) -> bool {
        self.is_tracking
    }

    /// Runs one command.
    pub(crate) async fn run(&mut self, command: &Cmd) -> RedisResult<Value> {
        match &mut self.kind {
            ConnectionKind::Multiplexed(connection) => connection.req_packed_command(command).await,
            ConnectionKind::Cluster(connection) => return connection.run(command).await,
        }
        .and_then(Value::extract_error)
    }

    /// Runs several commands, and returns what has become of each. If it is no cluster, that is one round trip.
    ///
    /// # Errors
    /// If there is no answer at all. In a cluster, each command has its own errors.
    pub(crate) async fn run_each(&mut self, commands: Vec<Cmd>) -> RedisResult<Vec<RedisResult<Value>>> {
        match &mut self.kind {
            ConnectionKind::Multiplexed(connection) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                let count = commands.len();
                for command in commands {
                    pipeline.add_command(command);
                }
                let values = connection.req_packed_commands(&pipeline, 0, count).await?;
                Ok(values.into_iter().map(Value::extract_error).collect())
            }
            // The keys are on several nodes: each command goes to its node, and many are in flight at a time.
            ConnectionKind::Cluster(connection) => {
                let mut running = tokio::task::JoinSet::new();
                let unanswered = || Err(RedisError::from((redis::ErrorKind::Io, "no answer")));
                let mut values: Vec<RedisResult<Value>> = commands.iter().map(|_| unanswered()).collect();
                for (place, command) in commands.into_iter().enumerate() {
                    if running.len() >= MAX_IN_FLIGHT
                        && let Some(Ok((place, value))) = running.join_next().await
                    {
                        values[place] = value;
                    }
                    let connection = connection.clone();
                    running.spawn(async move { (place, connection.run(&command).await) });
                }
                while let Some(ended) = running.join_next().await {
                    if let Ok((place, value)) = ended {
                        let value: RedisResult<Value> = value;
                        values[place] = value;
                    }
                }
                Ok(values)
            }
        }
    }
}

/// The host and port of a node; `None` for a socket of another kind.
fn node_address(address: &ConnectionAddr) -> Option<Address> {
    match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some((host.clone(), *port)),
        _ => None,
    }
}

/// The address of another node that is reached in the same way.
fn at(like: &ConnectionAddr, (host, port): &Address) -> ConnectionAddr {
    match like {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host.clone(), *port),
    }
}

fn no_node() -> RedisError {
    RedisError::from((redis::ErrorKind::InvalidClientConfig, "there is no node"))
}

/// The value from the settings, else the one from the URL.
fn chosen<'a>(setting: &'a str, url: Option<&'a str>) -> Option<&'a str> {
    if setting.is_empty() { url } else { Some(setting) }
}

fn with_login(info: ConnectionInfo, settings: &Settings) -> ConnectionInfo {
    let mut own = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    if !settings.username.is_empty() {
        own = own.set_username(&settings.username);
    }
    if !settings.password.is_empty() {
        own = own.set_password(&settings.password);
    }
    info.set_redis_settings(own)
}

/// The largest file of certificates or of a key, in bytes. A complete bundle of authorities has about a quarter of it.
const MAX_CERTIFICATE: u64 = 1 << 20;

/// The certificates that the settings name, if they name any, and the content of the files.
fn certificates(settings: &Settings) -> Result<(Option<TlsCertificates>, Vec<Vec<u8>>), SettingsError> {
    let mut contents = Vec::new();
    let mut read = |path: &Path| {
        let content =
            files::read(path, MAX_CERTIFICATE).map_err(|error| SettingsError::File(path.to_owned(), error))?;
        contents.push(content.clone());
        Ok::<_, SettingsError>(content)
    };
    let root_cert = settings.ca_file.as_deref().map(&mut read).transpose()?;
    let client_tls = match (&settings.certificate_file, &settings.key_file) {
        (Some(certificate), Some(key)) => {
            Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
        }
        _ => None,
    };
    let certificates =
        (root_cert.is_some() || client_tls.is_some()).then_some(TlsCertificates { client_tls, root_cert });
    Ok((certificates, contents))
}

/// A URL without its login, for the log.
pub(crate) fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_gets_into_the_log() {
        assert_eq!(without_password("redis://me:secret@host:1/2"), "redis://…@host:1/2");
        assert_eq!(without_password("redis://host:1"), "redis://host:1");
        let settings = Settings { url: vec!["http://me:secret@host".to_owned()], ..Settings::default() };
        let error = Connector::new(&settings).err().unwrap().to_string();
        assert!(error.contains("host") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn each_mode_has_a_connector() {
        for (mode, urls) in [
            (Mode::Single, vec!["redis://127.0.0.1:1/3"]),
            (Mode::Sentinel, vec!["redis://127.0.0.1:1", "redis://127.0.0.1:2"]),
            (Mode::Cluster, vec!["rediss://127.0.0.1:1", "rediss://127.0.0.1:2"]),
        ] {
            let url = urls.into_iter().map(str::to_owned).collect();
            let settings = Settings { mode, url, master: "m".to_owned(), ..Settings::default() };
            settings.check().unwrap();
            assert!(Connector::new(&settings).is_ok(), "{mode:?}");
        }
        let missing = Settings {
            ca_file: Some("/nowhere/ca.pem".into()),
            url: vec!["rediss://h".to_owned()],
            ..Settings::default()
        };
        assert!(Connector::new(&missing).err().unwrap().to_string().contains("/nowhere/ca.pem"));
    }
}
