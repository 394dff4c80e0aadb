//! A proxy with two workers' worth of everything that the filter can see and do, and no network.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use lazymesh_filter::{
    Action, Call, ContextId, Host, Level, Metric, Plugin, Stream, Token, Written,
};
use lazymesh_protocol::{CHOSEN_PROPERTY, CLUSTER_HEADER, FilterConfig, ResolveRequest};

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Paused,
    GoneOn,
}

/// A request or a connection, as the proxy keeps it.
#[derive(Debug)]
pub struct Request {
    pub stream: Stream,
    pub destination: &'static str,
    pub server_name: &'static str,
    pub virtual_host: &'static str,
    pub headers: BTreeMap<String, String>,
    pub filter_state: Vec<Vec<u8>>,
    pub chosen: bool,
    pub route_cleared: bool,
    pub state: State,
}

/// A call that the filter has started.
#[derive(Debug)]
pub struct Started {
    pub token: Token,
    pub path: &'static str,
    pub trace: Option<String>,
    pub body: Vec<u8>,
}

/// What all workers share.
pub type Shared = Rc<RefCell<BTreeMap<String, (Vec<u8>, u32)>>>;

/// What one callback after another sees of the proxy.
pub struct Proxy {
    pub requests: BTreeMap<ContextId, Request>,
    pub calls: Vec<Started>,
    pub clusters: BTreeSet<String>,
    pub probes: usize,
    pub metadata: BTreeMap<Vec<&'static str>, &'static str>,
    pub old_names: bool,
    pub reachable: bool,
    pub filter_state_works: bool,
    pub tick_ms: u32,
    pub now_ms: u64,
    rings_ms: u64,
    pub metrics: BTreeMap<Metric, i64>,
    pub shared: Shared,
    pub shared_reads: RefCell<usize>,
    answer: Option<(&'static str, Vec<u8>)>,
    connection_data: Option<Vec<u8>>,
    selected: ContextId,
    next_token: Token,
}

impl Proxy {
    fn new(shared: Shared) -> Self {
        let metadata = [
            (vec!["NAMESPACE"], "shop"),
            (
                vec!["LABELS", "service.istio.io/canonical-name"],
                "productpage",
            ),
            (vec!["WORKLOAD_NAME"], "productpage-v1"),
            (vec!["SERVICE_ACCOUNT"], "bookinfo"),
        ];
        Self {
            requests: BTreeMap::new(),
            calls: Vec::new(),
            clusters: BTreeSet::new(),
            probes: 0,
            metadata: metadata.into(),
            old_names: false,
            reachable: true,
            filter_state_works: true,
            tick_ms: 0,
            now_ms: 1_000_000,
            rings_ms: 0,
            metrics: BTreeMap::new(),
            shared,
            shared_reads: RefCell::new(0),
            answer: None,
            connection_data: None,
            selected: 0,
            next_token: 1,
        }
    }

    fn request(&mut self) -> Option<&mut Request> {
        self.requests.get_mut(&self.selected)
    }

    fn attribute(&self, path: &[&str]) -> Option<String> {
        let path = match (path, self.old_names) {
            (["xds", rest @ ..], false) => rest,
            (["destination", "address"], _) => {
                return Some(self.requests.get(&self.selected)?.destination.to_owned());
            }
            (["connection", "requested_server_name"], _) => {
                return Some(self.requests.get(&self.selected)?.server_name.to_owned());
            }
            (["node" | "route_name", ..], true) => path,
            _ => return None,
        };
        match path {
            ["virtual_host_name"] | ["route_name"] => {
                Some(self.requests.get(&self.selected)?.virtual_host.to_owned())
            }
            ["node", "metadata", rest @ ..] => {
                self.metadata.get(rest).map(|text| (*text).to_owned())
            }
            _ => None,
        }
    }
}

impl Host for Proxy {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        self.attribute(path).map(String::into_bytes)
    }

    fn set_property(&mut self, name: &str, value: &str) {
        if let Some(request) = self.request() {
            request.chosen = (name, value) == (CHOSEN_PROPERTY, "1");
        }
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        let request = self.requests.get(&self.selected)?;
        request
            .headers
            .get(name)
            .map(|value| value.clone().into_bytes())
    }

    fn set_request_header(&mut self, name: &str, value: &str) -> bool {
        let Some(request) = self.request() else {
            return false;
        };
        request.headers.insert(name.to_owned(), value.to_owned());
        true
    }

    fn remove_request_header(&mut self, name: &str) {
        self.request().map(|request| request.headers.remove(name));
    }

    fn set_filter_state(&mut self, arguments: &[u8]) -> bool {
        let works = self.filter_state_works;
        if let Some(request) = self.request() {
            assert!(
                !request.headers.contains_key(CLUSTER_HEADER),
                "filter state comes before the route"
            );
            request.filter_state.push(arguments.to_vec());
        }
        works
    }

    fn clear_route_cache(&mut self) {
        self.request().expect("a request").route_cleared = true;
    }

    fn resume(&mut self, stream: Stream) {
        let request = self.request().expect("a request");
        assert_eq!(request.stream, stream);
        assert_eq!(
            request.state,
            State::Paused,
            "only a paused request is resumed, and once"
        );
        request.state = State::GoneOn;
    }

    fn select(&mut self, context: ContextId) -> bool {
        let exists = self.requests.contains_key(&context);
        if exists {
            self.selected = context;
        }
        exists
    }

    fn connection_data(&self, max: usize) -> Option<Vec<u8>> {
        let data = self.connection_data.as_ref()?;
        Some(data[..data.len().min(max)].to_vec())
    }

    fn call(&mut self, call: &Call<'_>) -> Option<Token> {
        assert_eq!(
            (call.cluster, call.authority),
            ("collector", "lazymesh-collector")
        );
        if !self.reachable {
            return None;
        }
        let token = self.next_token;
        self.next_token += 1;
        self.calls.push(Started {
            token,
            path: call.path,
            trace: call.trace.map(str::to_owned),
            body: call.body.to_vec(),
        });
        Some(token)
    }

    fn call_status(&self) -> Option<Vec<u8>> {
        self.answer
            .as_ref()
            .map(|(status, _)| status.as_bytes().to_vec())
    }

    fn call_body(&self, max: usize) -> Option<Vec<u8>> {
        self.answer
            .as_ref()
            .map(|(_, body)| body.iter().copied().take(max).collect())
    }

    fn has_cluster(&mut self, cluster: &str) -> bool {
        self.probes += 1;
        self.clusters.contains(cluster)
    }

    fn shared(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        *self.shared_reads.borrow_mut() += 1;
        self.shared.borrow().get(key).cloned()
    }

    fn set_shared(&mut self, key: &str, value: &[u8], version: u32) -> Written {
        let mut shared = self.shared.borrow_mut();
        let now = shared.get(key).map_or(0, |(_, version)| *version);
        if version != 0 && now != 0 && version != now {
            return Written::Moved;
        }
        shared.insert(key.to_owned(), (value.to_vec(), now + 1));
        Written::Done
    }

    fn set_tick(&mut self, period_ms: u32) {
        assert_ne!(self.tick_ms, period_ms, "set without need");
        self.tick_ms = period_ms;
        self.rings_ms = self.now_ms + u64::from(period_ms);
    }

    fn add(&mut self, metric: Metric, delta: i64) {
        *self.metrics.entry(metric).or_default() += delta;
    }

    fn record(&mut self, metric: Metric, _value: u64) {
        self.add(metric, 1);
    }

    fn log(&mut self, _level: Level, _message: &str) {}
}

/// One worker: its filter and its part of the proxy.
pub struct Worker {
    pub plugin: Plugin,
    pub proxy: Proxy,
    next_context: ContextId,
}

impl Worker {
    pub fn new() -> Self {
        Self::with(&FilterConfig::new("collector"), &Shared::default())
    }

    pub fn with(config: &FilterConfig, shared: &Shared) -> Self {
        let json = serde_json::to_vec(config).expect("plain data");
        let plugin = Plugin::new(&json, 1).expect("a valid configuration");
        Self {
            plugin,
            proxy: Proxy::new(shared.clone()),
            next_context: 100,
        }
    }

    /// The proxy has put the plugin in place.
    pub fn start(&mut self) {
        let now_ms = self.proxy.now_ms;
        self.plugin.on_start(&mut self.proxy, now_ms);
    }

    /// A request to the catch-all of `allow_any`.
    pub fn get(&mut self, authority: &str) -> ContextId {
        self.send("allow_any", &[(":authority", authority)])
    }

    pub fn send(&mut self, virtual_host: &'static str, headers: &[(&str, &str)]) -> ContextId {
        let context = self.next_context;
        self.next_context += 1;
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let request = Request {
            stream: Stream::Request,
            destination: "10.0.0.1:80",
            server_name: "",
            virtual_host,
            headers,
            filter_state: Vec::new(),
            chosen: false,
            route_cleared: false,
            state: State::Paused,
        };
        self.proxy.requests.insert(context, request);
        self.proxy.selected = context;
        let now_ms = self.proxy.now_ms;
        if self.plugin.on_request(&mut self.proxy, now_ms, context) == Action::Continue {
            self.request(context).state = State::GoneOn;
        }
        context
    }

    /// A connection to a catch-all filter chain.
    pub fn dial(&mut self, destination: &'static str, server_name: &'static str) -> ContextId {
        let context = self.next_context;
        self.next_context += 1;
        let connection = Request {
            stream: Stream::Connection,
            destination,
            server_name,
            virtual_host: "",
            headers: BTreeMap::new(),
            filter_state: Vec::new(),
            chosen: false,
            route_cleared: false,
            state: State::Paused,
        };
        self.proxy.requests.insert(context, connection);
        self.proxy.selected = context;
        let now_ms = self.proxy.now_ms;
        if self.plugin.on_connection(&mut self.proxy, now_ms, context) == Action::Continue {
            self.request(context).state = State::GoneOn;
        }
        context
    }

    /// The first bytes of a connection, which come again as long as they have to wait.
    pub fn bytes(&mut self, context: ContextId, data: &[u8]) -> Action {
        self.proxy.selected = context;
        self.proxy.connection_data = Some(data.to_vec());
        let now_ms = self.proxy.now_ms;
        let action = self
            .plugin
            .on_connection_data(&mut self.proxy, now_ms, context);
        self.proxy.connection_data = None;
        action
    }

    /// Ends a call with this status and body.
    pub fn answer(&mut self, call: &Started, status: &'static str, body: &str) {
        self.end(call.token, Some((status, body.as_bytes().to_vec())));
    }

    /// Ends a call; `None`: without an answer.
    pub fn end(&mut self, token: Token, answer: Option<(&'static str, Vec<u8>)>) {
        let size = answer.as_ref().map_or(0, |(_, body)| body.len());
        self.proxy.answer = answer;
        let now_ms = self.proxy.now_ms;
        self.plugin
            .on_call_end(&mut self.proxy, now_ms, token, size);
        self.proxy.answer = None;
    }

    /// The only call that has been started and not been taken yet.
    pub fn call(&mut self) -> Started {
        let mut calls = std::mem::take(&mut self.proxy.calls);
        assert_eq!(calls.len(), 1, "{calls:?}");
        calls.remove(0)
    }

    /// Has the collector decide about the only question.
    pub fn decide(&mut self, decision: &str) {
        let call = self.call();
        self.answer(&call, "200", decision);
    }

    /// Lets time pass, with the ticks that the filter has asked for.
    pub fn pass(&mut self, ms: u64) {
        let end_ms = self.proxy.now_ms + ms;
        while self.proxy.tick_ms != 0 && self.proxy.rings_ms <= end_ms {
            self.proxy.now_ms = self.proxy.rings_ms;
            self.proxy.rings_ms += u64::from(self.proxy.tick_ms);
            let now_ms = self.proxy.now_ms;
            self.plugin.on_tick(&mut self.proxy, now_ms);
        }
        self.proxy.now_ms = end_ms;
    }

    /// The client goes.
    pub fn reset(&mut self, context: ContextId) {
        self.proxy.requests.remove(&context);
        self.plugin.on_gone(&mut self.proxy, context);
    }

    /// The plugin goes.
    pub fn shutdown(&mut self) {
        let now_ms = self.proxy.now_ms;
        self.plugin.on_shutdown(&mut self.proxy, now_ms);
    }

    pub fn request(&mut self, context: ContextId) -> &mut Request {
        self.proxy.requests.get_mut(&context).expect("a request")
    }

    pub fn state(&self, context: ContextId) -> State {
        self.proxy.requests[&context].state
    }

    /// Cluster that a request which has gone on names; `None`: it follows its ordinary route.
    pub fn cluster(&self, context: ContextId) -> Option<&str> {
        let request = &self.proxy.requests[&context];
        assert_eq!(request.state, State::GoneOn);
        let cluster = request.headers.get(CLUSTER_HEADER).map(String::as_str);
        assert!(
            cluster.is_none() || request.chosen && request.route_cleared,
            "the route was chosen before the header came"
        );
        cluster
    }

    /// What filter state says of a connection that has gone on: names of values with the values, in the order they were set.
    pub fn filter_state(&self, context: ContextId) -> Vec<(String, String)> {
        let request = &self.proxy.requests[&context];
        assert_eq!(request.state, State::GoneOn);
        request.filter_state.iter().map(|it| pair(it)).collect()
    }

    pub fn metric(&self, metric: Metric) -> i64 {
        self.proxy.metrics.get(&metric).copied().unwrap_or_default()
    }
}

impl Started {
    pub fn question(&self) -> ResolveRequest {
        assert_eq!(self.path, "/v1/resolve");
        serde_json::from_slice(&self.body).expect("a question")
    }
}

/// Path and value of filter state, each shorter than 128 bytes.
fn pair(message: &[u8]) -> (String, String) {
    let (path, rest) = message[2..].split_at(message[1].into());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (text(path), text(&rest[2..]))
}
