//! Load for `make bench-serve`, and the server that the others are measured by.
//!
//!     load axum DATABASE                         a bare axum handler around the prepared statement
//!     load http URL BODY HEADERS CONNECTIONS SECONDS EXPECTED
//!     load stdio CALLS_IN_FLIGHT SECONDS EXPECTED TOOL COMMAND ...
//!
//! HEADERS is a JSON object, BODY a request, EXPECTED a text that every answer contains. One JSON object is
//! printed: calls, failures, calls per second, and the median and 99th percentile in microseconds. The
//! generator runs on one thread and parses no more than it must, so that it takes little from the server
//! beside it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use duckdb::Connection;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// For one answer.
const PATIENCE: Duration = Duration::from_secs(20);

const SQL: &str = "SELECT id, name, amount FROM orders WHERE id = $1";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["axum", database] => handler(database),
        ["http", url, body, headers, connections, seconds, expected] => {
            let headers = serde_json::from_str(headers).expect("headers are a JSON object");
            let request = request(url, body, &headers);
            let address = address(url);
            let count: usize = connections.parse().expect("a number of connections");
            print(measure(count, seconds, |until| {
                http(
                    address.clone(),
                    request.clone(),
                    (*expected).to_owned(),
                    until,
                )
            }));
        }
        ["stdio", in_flight, seconds, expected, tool, command @ ..] => {
            let in_flight = in_flight.parse().expect("a number of calls");
            print(stdio(in_flight, seconds, expected, tool, command));
        }
        _ => {
            eprintln!("see the top of tests/load.rs");
            std::process::exit(2);
        }
    }
}

fn one_thread(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work);
}

// The bare handler: what is left when there is no protocol, no validation and no policy.

/// The connections that nobody uses; the first one is never taken, for it opens others.
type Pool = Arc<Mutex<Vec<Connection>>>;

fn handler(database: &str) {
    let first = Connection::open(database).expect("a database");
    let pool: Pool = Arc::new(Mutex::new(vec![first]));
    let app = Router::new().route("/call", post(call)).with_state(pool);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("a port");
            let address = listener.local_addr().expect("an address");
            println!("Listening on http://{address}/call");
            axum::serve(listener, app).await.expect("serving");
        });
}

async fn call(State(pool): State<Pool>, body: String) -> (StatusCode, String) {
    // Queries block, so they do not run where requests are read.
    let answer = tokio::task::spawn_blocking(move || {
        let id = serde_json::from_str::<Value>(&body)
            .ok()?
            .get("id")?
            .as_i64()?;
        let connection = {
            let mut idle = pool.lock().ok()?;
            match idle.len() {
                1 => idle.first()?.try_clone().ok()?,
                _ => idle.pop()?,
            }
        };
        let row = {
            let mut statement = connection.prepare_cached(SQL).ok()?;
            statement
                .query_row([id], |row| {
                    Ok(json!({
                        "id": row.get::<_, i64>(0)?,
                        "name": row.get::<_, String>(1)?,
                        "amount": row.get::<_, f64>(2)?,
                    }))
                })
                .ok()?
        };
        pool.lock().ok()?.push(connection);
        Some(row.to_string())
    });
    match answer.await {
        Ok(Some(answer)) => (StatusCode::OK, answer),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    }
}

// The load.

#[derive(Default)]
struct Measured {
    microseconds: Vec<u64>,
    failures: usize,
    example: Option<String>,
    seconds: f64,
}

fn print(mut measured: Measured) {
    measured.microseconds.sort_unstable();
    let times = &measured.microseconds;
    let quantile = |q: usize| times.get((times.len() * q / 100).min(times.len().saturating_sub(1)));
    #[expect(clippy::cast_precision_loss, reason = "counts of calls are small")]
    let rate = times.len() as f64 / measured.seconds;
    println!(
        "{}",
        json!({
            "calls": times.len(), "failures": measured.failures, "example": measured.example,
            "per_second": rate, "p50": quantile(50), "p99": quantile(99),
        })
    );
}

fn measure<F: Future<Output = Measured> + 'static>(
    connections: usize,
    seconds: &str,
    client: impl Fn(Instant) -> F,
) -> Measured {
    let wanted = Duration::from_secs_f64(seconds.parse().expect("a number of seconds"));
    let mut total = Measured::default();
    one_thread(async {
        let local = tokio::task::LocalSet::new();
        let started = Instant::now();
        let clients: Vec<_> = (0..connections)
            .map(|_| local.spawn_local(client(started + wanted)))
            .collect();
        local
            .run_until(async {
                for client in clients {
                    let one = client.await.expect("a client");
                    total.microseconds.extend(one.microseconds);
                    total.failures += one.failures;
                    total.example = total.example.take().or(one.example);
                }
            })
            .await;
        total.seconds = started.elapsed().as_secs_f64();
    });
    total
}

fn address(url: &str) -> String {
    let rest = url.trim_start_matches("http://");
    rest.split('/').next().unwrap_or(rest).to_owned()
}

fn request(url: &str, body: &str, headers: &BTreeMap<String, String>) -> Vec<u8> {
    let host = address(url);
    let path = url.trim_start_matches("http://").trim_start_matches(&host);
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n{lines}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

// Where a request has this number, each call gets its own: answers of a session are told apart by it.
const NUMBER: &[u8] = b"1000000000";
static NEXT: AtomicU64 = AtomicU64::new(1_000_000_001);

async fn http(address: String, mut request: Vec<u8>, expected: String, until: Instant) -> Measured {
    let mut measured = Measured::default();
    let number = request
        .windows(NUMBER.len())
        .position(|window| window == NUMBER);
    let mut stream = connect(&address).await;
    let mut buffer = Vec::with_capacity(16 * 1024);
    while Instant::now() < until {
        if let Some(at) = number {
            let next = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
            request[at..at + NUMBER.len()].copy_from_slice(next.as_bytes());
        }
        let started = Instant::now();
        let answered = tokio::time::timeout(PATIENCE, async {
            stream.write_all(&request).await?;
            response(&mut stream, &mut buffer).await
        });
        match answered.await {
            Ok(Ok(())) if good(&buffer, &expected) => {
                let took = started.elapsed().as_micros();
                measured
                    .microseconds
                    .push(u64::try_from(took).unwrap_or(u64::MAX));
            }
            answered => {
                measured.failures += 1;
                let text = String::from_utf8_lossy(&buffer).into_owned();
                measured
                    .example
                    .get_or_insert(format!("{answered:?} {text}"));
                stream = connect(&address).await;
            }
        }
    }
    measured
}

async fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address)
        .await
        .expect("a server that listens");
    stream.set_nodelay(true).expect("a socket");
    stream
}

fn good(response: &[u8], expected: &str) -> bool {
    response.starts_with(b"HTTP/1.1 200")
        && response
            .windows(expected.len())
            .any(|window| window == expected.as_bytes())
}

/// Reads one response, of known length or in chunks.
async fn response(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next())
            .and_then(|length| length.parse::<usize>().ok());
        let complete = match length {
            Some(length) => buffer.len() >= head + 4 + length,
            None => buffer.ends_with(b"0\r\n\r\n"),
        };
        if complete {
            return Ok(());
        }
    }
}

fn stdio(
    in_flight: usize,
    seconds: &str,
    expected: &str,
    tool: &str,
    command: &[&str],
) -> Measured {
    let wanted = Duration::from_secs_f64(seconds.parse().expect("a number of seconds"));
    let (program, options) = command.split_first().expect("a command");
    let mut child = Command::new(program)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut input = child.stdin.take().expect("its input");
    let mut output = BufReader::with_capacity(64 * 1024, child.stdout.take().expect("its output"));
    let mut line = String::new();
    let mut send = |message: &Value| {
        let line = format!("{message}\n");
        input
            .write_all(line.as_bytes())
            .expect("a server that reads");
    };
    let mut receive = || {
        line.clear();
        output.read_line(&mut line).expect("a line");
        serde_json::from_str::<Value>(&line)
            .map(|value| (value, line.clone()))
            .expect("an answer in JSON")
    };
    send(
        &json!({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "load", "version": "1"}}}),
    );
    receive();
    send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let mut measured = Measured::default();
    let mut sent = BTreeMap::new();
    let mut next = 0_u64;
    let started = Instant::now();
    let until = started + wanted;
    while Instant::now() < until || !sent.is_empty() {
        while sent.len() < in_flight && Instant::now() < until {
            sent.insert(next, Instant::now());
            send(
                &json!({"jsonrpc": "2.0", "id": next, "method": "tools/call",
                "params": {"name": tool, "arguments": {"id": 5}}}),
            );
            next += 1;
        }
        if sent.is_empty() {
            break;
        }
        let (answer, text) = receive();
        let Some(began) = answer
            .get("id")
            .and_then(Value::as_u64)
            .and_then(|id| sent.remove(&id))
        else {
            continue;
        };
        if text.contains(expected) {
            let took = began.elapsed().as_micros();
            measured
                .microseconds
                .push(u64::try_from(took).unwrap_or(u64::MAX));
        } else {
            measured.failures += 1;
            measured.example.get_or_insert(text);
        }
    }
    measured.seconds = started.elapsed().as_secs_f64();
    drop(input);
    let _ = child.wait();
    measured
}
