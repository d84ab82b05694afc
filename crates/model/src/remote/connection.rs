//! One request to the server, on a thread of its own so that waiting can be given up at any time.

use std::{
    io::BufReader,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    time::Duration,
};

use ureq::{
    Agent, Body,
    http::Response,
    tls::{RootCerts, TlsConfig},
};

use super::{
    RemoteError, RemoteOptions,
    event::{self, Event, ReadError},
};

/// What the thread hands over.
pub(super) type Incoming = Result<Event, RemoteError>;

/// Events that may wait: the thread is never far ahead of a reader that gave up.
const AHEAD: usize = 64;
/// Longest pause a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// A fixed address and how to talk to it.
pub(super) struct Connection {
    agent: Agent,
    address: String,
    authorization: Option<String>,
}

impl Connection {
    pub(super) fn new(options: &RemoteOptions) -> Result<Self, RemoteError> {
        let base = options.base_url.trim_end_matches('/');
        let host = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
        let sound = host.is_some_and(|host| {
            !host.is_empty() && !host.starts_with(['/', ':']) && !host.contains(['@', '?', '#', ' ', '\\'])
        });
        if !sound {
            // An address with a user name may hold a password: it is not repeated.
            let address = if base.contains('@') { String::new() } else { base.to_owned() };
            return Err(RemoteError::Address { address });
        }
        let base = base.strip_suffix("/v1").unwrap_or(base);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(options.connect_timeout))
            .timeout_connect(Some(options.connect_timeout))
            .timeout_recv_response(Some(options.first_token_timeout))
            .timeout_per_read(Some(options.read_timeout))
            .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
            .build();
        Ok(Self {
            agent: config.new_agent(),
            address: format!("{base}/v1/chat/completions"),
            authorization: options.api_key.as_ref().map(|key| format!("Bearer {key}")),
        })
    }

    /// Posts `body` and hands over events as they come. The first is [`Event::Begin`] or an error. The thread
    /// ends with the stream, at a time limit, or at the first event nobody waits for.
    pub(super) fn post(&self, body: String) -> Receiver<Incoming> {
        let (sender, receiver) = sync_channel(AHEAD);
        let mut request = self
            .agent
            .post(&self.address)
            .header("content-type", "application/json")
            .header("accept", "text/event-stream");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        std::thread::spawn(move || match request.send(body) {
            Ok(response) => forward(response, &sender),
            Err(error) => drop(sender.send(Err(classify(error)))),
        });
        receiver
    }
}

fn classify(error: ureq::Error) -> RemoteError {
    match error {
        ureq::Error::Timeout(_) => RemoteError::Timeout,
        other => RemoteError::Connect(Box::new(other)),
    }
}

/// Sends everything the response holds; a failed send means that nobody listens any more.
fn forward(response: Response<Body>, sender: &SyncSender<Incoming>) {
    let status = response.status().as_u16();
    if status != 200 {
        let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let seconds = header.and_then(|text| text.trim().parse().ok());
        let retry_after = seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
        drop(sender.send(Err(RemoteError::Status { status, retry_after })));
        return;
    }
    let mut reader = BufReader::new(response.into_body().into_reader());
    if sender.send(Ok(Event::Begin)).is_err() {
        return;
    }
    loop {
        let events = match event::read(&mut reader) {
            Ok(events) => events,
            Err(ReadError::Broken(error)) => return drop(sender.send(Err(error))),
            Err(ReadError::Io(error)) => return drop(sender.send(Err(interrupted(&error)))),
        };
        if events.is_empty() {
            return drop(sender.send(Err(RemoteError::CutOff)));
        }
        for event in events {
            let done = event == Event::Done;
            if sender.send(Ok(event)).is_err() || done {
                return;
            }
        }
    }
}

/// ureq wraps its time limit into an I/O error while a body is read.
fn interrupted(error: &std::io::Error) -> RemoteError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    let timed_out = matches!(error.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock);
    if timed_out || matches!(inner, Some(ureq::Error::Timeout(_))) { RemoteError::Timeout } else { RemoteError::CutOff }
}
