//! A daemon that answers from the table of samples. What it is asked it keeps, and a test can put other answers before
//! those of the table.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use native_api::{
    CONNECT_PROTOCOL, CONSOLE_OFFSET_HEADER, CONSOLE_PROTOCOL, ErrorCode, NotFound, Operation, find,
};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::samples;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub operation: Operation,
    /// The path's parameters.
    pub path: Vec<String>,
    pub query: String,
    pub headers: HashMap<String, String>,
    /// Null if there was none.
    pub body: Value,
}

#[derive(Default)]
pub struct State {
    asked: Vec<Asked>,
    /// Answers to give instead, in their order; the last stays.
    instead: HashMap<Operation, Vec<(u16, Value)>>,
    /// What was typed into the console.
    typed: Vec<u8>,
}

/// The daemon, on a thread of its own for as long as the process lives.
pub struct Daemon(Arc<Mutex<State>>);

impl Daemon {
    pub fn start(socket: &Path) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        // Bound before anybody can ask.
        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = state.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = UnixListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(serve(stream, shared.clone()));
                }
            });
        });
        Self(state)
    }

    /// Answers `operation` with these, one after the other, the last for good. With the status 101 it is an upgrade, and an
    /// instance that says this text and hangs up.
    pub fn answer(&self, operation: Operation, answers: impl IntoIterator<Item = (u16, Value)>) {
        self.0.lock().unwrap().instead.insert(operation, answers.into_iter().collect());
    }

    /// Refuses `operation`.
    pub fn refuse(&self, operation: Operation, code: ErrorCode) {
        let body = code.body("it cannot be", "do something else");
        self.answer(operation, [(code.status(), serde_json::to_value(body).unwrap())]);
    }

    /// What was asked since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    pub fn typed(&self) -> Vec<u8> {
        self.0.lock().unwrap().typed.clone()
    }
}

/// Serves one connection.
pub async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(answer(request, &state).await) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client that goes away is no matter.
    let _ = connection.with_upgrades().await;
}

async fn answer(request: Request<Incoming>, state: &Arc<Mutex<State>>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let found = match find(request.method().as_str(), &path) {
        Ok(found) => found,
        Err(NotFound::Path) => return refusal(ErrorCode::NotFound),
        Err(NotFound::Method(_)) => return refusal(ErrorCode::MethodNotAllowed),
    };
    let operation = found.route.operation;
    let parameters: Vec<String> = found.parameters.iter().map(ToString::to_string).collect();
    let headers = request.headers().iter();
    let headers: HashMap<_, _> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let protocols = [CONSOLE_PROTOCOL, CONNECT_PROTOCOL];
    let is_upgrade = headers.get("upgrade").is_some_and(|protocol| protocols.contains(&protocol.as_str()));
    let (request, body) = if is_upgrade {
        (Some(request), Bytes::new())
    } else {
        (None, request.into_body().collect().await.unwrap().to_bytes())
    };
    assert_eq!(body.is_empty(), found.route.body.is_none(), "{operation:?} takes a body or not");
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    let instead = {
        let mut state = state.lock().unwrap();
        state.asked.push(Asked { operation, path: parameters, query, headers, body });
        match state.instead.get_mut(&operation) {
            Some(answers) if answers.len() > 1 => Some(answers.remove(0)),
            Some(answers) => answers.first().cloned(),
            None => None,
        }
    };
    match (instead, request) {
        (Some((101, value)), Some(request)) => {
            let text = value.as_str().unwrap().to_owned();
            return upgrade(request, CONNECT_PROTOCOL, |mut stream| async move {
                stream.write_all(text.as_bytes()).await.unwrap();
            });
        }
        (Some((status, value)), _) => return json_answer(status, &value),
        (None, Some(request)) if operation == Operation::GetConsole => {
            return console(request, state.clone());
        }
        (None, Some(request)) => return upgrade(request, CONNECT_PROTOCOL, instance),
        (None, None) => {}
    }
    match operation {
        Operation::GetConsole => {
            Response::builder().header(CONSOLE_OFFSET_HEADER, "0").body(samples::CONSOLE.into()).unwrap()
        }
        Operation::StreamEvents => {
            let lines: Vec<String> = samples::events().iter().map(|event| format!("{event}\n")).collect();
            Response::new(lines.concat().into())
        }
        _ => {
            let success = &found.route.successes[0];
            let value = match success.content {
                native_api::Content::Json(name) => samples::of(name),
                native_api::Content::Page(name) => json!({ "items": [samples::of(name)] }),
                _ => Value::Null,
            };
            json_answer(success.status, &value)
        }
    }
}

/// A guest that prints its prompt, and answers whatever is typed.
fn console(request: Request<Incoming>, state: Arc<Mutex<State>>) -> Response<Full<Bytes>> {
    upgrade(request, CONSOLE_PROTOCOL, |mut stream| async move {
        stream.write_all(samples::CONSOLE.as_bytes()).await.unwrap();
        let mut bytes = [0; 100];
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            state.lock().unwrap().typed.extend(&bytes[..count]);
            if bytes[..count].contains(&b'q') {
                return;
            }
        }
    })
}

/// An instance that says who it is, hears all that is said, and repeats it in capitals.
async fn instance(mut stream: Upgraded) {
    stream.write_all(samples::BANNER.as_bytes()).await.unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.unwrap();
    // Whoever only wanted to know who it is has gone.
    let _ = stream.write_all(heard.to_uppercase().as_bytes()).await;
}

type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// Gives the connection to whoever is at its other end.
fn upgrade<T: Future<Output = ()> + Send + 'static>(
    request: Request<Incoming>,
    protocol: &'static str,
    other_end: impl FnOnce(Upgraded) -> T + Send + 'static,
) -> Response<Full<Bytes>> {
    tokio::spawn(async move { other_end(TokioIo::new(hyper::upgrade::on(request).await.unwrap())).await });
    let switch = Response::builder().status(101).header("connection", "upgrade").header("upgrade", protocol);
    switch.body(Full::default()).unwrap()
}

fn refusal(code: ErrorCode) -> Response<Full<Bytes>> {
    json_answer(code.status(), &serde_json::to_value(code.body("no", "see the contract")).unwrap())
}

fn json_answer(status: u16, value: &Value) -> Response<Full<Bytes>> {
    let body = if status == 204 { Bytes::new() } else { value.to_string().into() };
    Response::builder().status(status).body(body.into()).unwrap()
}
