//! The service against servers of HTTP that the tests make themselves, well-behaved and hostile ones.

mod answers;
mod far;
mod hostile;
mod places;
mod refusals;
mod tls;

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use introd_config::{Application, Config, HttpHosts, HttpSettings};
use introd_policy::InstanceName;
use introd_policy::http::{HttpFailure, HttpRequest, HttpRequests, HttpResponse};

use self::far::Far;
use super::resolver::{Resolve, Resolving};
use super::service::HttpService;

/// So long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Addresses by name. Each lookup of a name takes the first of its lists, until one is left. A name without any is looked up for ever.
#[derive(Default)]
struct Names {
    lists: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    lookups: Mutex<Vec<String>>,
}

impl Names {
    fn set(&self, name: &str, lists: &[&[&str]]) {
        let lists = lists.iter().map(|list| list.iter().map(|address| address.parse().unwrap()).collect());
        self.lists.lock().unwrap().insert(name.to_owned(), lists.collect());
    }

    /// The names that were looked up.
    fn lookups(&self) -> Vec<String> {
        self.lookups.lock().unwrap().clone()
    }
}

impl Resolve for Names {
    fn resolve(&self, name: &str, port: u16) -> Resolving {
        self.lookups.lock().unwrap().push(name.to_owned());
        let mut lists = self.lists.lock().unwrap();
        let Some(lists) = lists.get_mut(name) else { return Box::pin(std::future::ready(Ok(Vec::new()))) };
        let list = if lists.len() > 1 { Some(lists.remove(0)) } else { lists.first().cloned() };
        match list {
            Some(list) => {
                let list = list.into_iter().map(|address| SocketAddr::new(address, port)).collect();
                Box::pin(std::future::ready(Ok(list)))
            }
            None => Box::pin(std::future::pending()),
        }
    }
}

/// A service, and who asks.
struct Play {
    service: HttpService,
    names: Arc<Names>,
    settings: HttpSettings,
    owner: InstanceName,
}

/// A service whose applications may ask these hosts.
fn play(allow: &str) -> Play {
    let names = Arc::<Names>::default();
    let service = HttpService::with_resolver(128, Arc::clone(&names) as _);
    let settings =
        HttpSettings { allow: HttpHosts::parse(allow).unwrap(), timeout: PATIENCE, ..HttpSettings::default() };
    Play { service, names, settings, owner: InstanceName::first("a", "v", "app") }
}

fn get(url: &str) -> HttpRequest {
    HttpRequest { method: "GET".to_owned(), url: url.to_owned(), ..HttpRequest::default() }
}

fn application(http: &HttpSettings) -> Arc<Application> {
    let mut application = Config::built_in().default_adaptor.default_vhost.defaults;
    Arc::make_mut(&mut application).script.http = http.clone();
    application
}

impl Play {
    /// Sends a request, and waits for what comes of it.
    fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        wait(self.service.send(&self.owner, &application(&self.settings), request))
    }

    fn get(&self, url: &str) -> Result<HttpResponse, HttpFailure> {
        self.send(get(url))
    }

    /// The reason for which there is no answer.
    fn problem(&self, url: &str) -> String {
        self.get(url).unwrap_err().to_string()
    }
}

/// Waits for a future on this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it takes too long") })
}

fn text(response: &HttpResponse) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}
