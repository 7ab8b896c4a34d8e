//! A server that answers as a test says: for what no real server does on request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// The longest form that is read, in bytes.
const SMALL: usize = 64 * 1024;

/// A request, read up to the end of its head.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its first line and headers, as they came.
    pub head: String,
    /// Its body, if it is a form.
    pub body: String,
}

impl Request {
    pub fn is(&self, method: &str, path: &str) -> bool {
        let mut words = self.head.split(' ');
        words.next() == Some(method)
            && words
                .next()
                .is_some_and(|uri| uri.split('?').next() == Some(path))
    }

    /// The value of a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1);
        lines.find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether its query has this text.
    pub fn asks(&self, text: &str) -> bool {
        let uri = self.head.split(' ').nth(1).unwrap_or_default();
        uri.split_once('?')
            .is_some_and(|(_, query)| query.split('&').any(|pair| pair.starts_with(text)))
    }

    fn body_len(&self) -> usize {
        let length = self.head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")
                .map(str::to_owned)
        });
        length.map_or(0, |length| length.trim().parse().unwrap())
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The body is read, then this is sent.
    Answer(String),
    /// This is sent before the body is read, and the connection cut.
    Early(String),
    /// The same, once as many requests are under way as the barrier wants.
    Together(Arc<Barrier>, String),
    /// The body is read, and this is sent after so long.
    Later(Duration, String),
    /// As much of the body is read, this is sent, and the connection is cut.
    Cut(usize, String),
    /// As much of the body is read, this is sent, and nothing more ever happens.
    Silence(usize, String),
}

pub fn answer(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Answer(text(status, headers, body))
}

pub fn text(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn error(status: &str, code: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>it says {code}</Message></Error>"
    );
    answer(status, "content-type: application/xml\r\n", &body)
}

pub fn listing(inner: &str) -> Reply {
    answer(
        "200 OK",
        "",
        &format!("<ListBucketResult>{inner}</ListBucketResult>"),
    )
}

/// An empty bucket that takes everything.
pub fn willing(request: &Request) -> Reply {
    match request.head.split(' ').next() {
        Some("GET") => listing("<IsTruncated>false</IsTruncated>"),
        Some("PUT") => answer("200 OK", "etag: \"1\"\r\n", ""),
        _ => answer("204 No Content", "", ""),
    }
}

pub struct Scripted {
    pub endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
    open: Arc<AtomicUsize>,
}

impl Scripted {
    pub async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (requests, open): (Arc<Mutex<Vec<Request>>>, Arc<AtomicUsize>) = Default::default();
        let (script, seen, connections) =
            (Arc::new(script), Arc::clone(&requests), Arc::clone(&open));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (script, seen, connections) = (
                    Arc::clone(&script),
                    Arc::clone(&seen),
                    Arc::clone(&connections),
                );
                tokio::spawn(async move {
                    connections.fetch_add(1, Ordering::SeqCst);
                    let _ = serve(socket, &*script, &seen).await;
                    connections.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            endpoint,
            requests,
            open,
        }
    }

    /// The requests since the last call.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut socket: TcpStream,
    script: &(impl Fn(&Request) -> Reply + Sync),
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let mut rest = buffer.split_off(end);
        let mut request = Request {
            head: String::from_utf8_lossy(&buffer).into_owned(),
            body: String::new(),
        };
        let small = request
            .header("content-type")
            .is_some_and(|kind| kind.contains("form"));
        while small && rest.len() < request.body_len().min(SMALL) {
            if socket.read_buf(&mut rest).await? == 0 {
                return Ok(());
            }
        }
        if small {
            request.body = String::from_utf8_lossy(&rest).into_owned();
        }
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.clone());
        let mut body = rest.len();
        let reply = script(&request);
        let wanted = match &reply {
            Reply::Answer(_) | Reply::Later(..) => request.body_len(),
            Reply::Early(_) | Reply::Together(..) => 0,
            Reply::Cut(wanted, _) | Reply::Silence(wanted, _) => *wanted,
        };
        if wanted > body && request.head.contains("100-continue") {
            socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let mut bin = vec![0; 64 * 1024];
        while body < wanted {
            match socket.read(&mut bin).await? {
                0 => return Ok(()),
                read => body += read,
            }
        }
        buffer.clear();
        match reply {
            Reply::Answer(text) => socket.write_all(text.as_bytes()).await?,
            Reply::Later(pause, text) => {
                tokio::time::sleep(pause).await;
                socket.write_all(text.as_bytes()).await?;
            }
            Reply::Together(barrier, text) => {
                barrier.wait().await;
                return socket.write_all(text.as_bytes()).await;
            }
            Reply::Early(text) | Reply::Cut(_, text) => {
                return socket.write_all(text.as_bytes()).await;
            }
            Reply::Silence(_, text) => {
                socket.write_all(text.as_bytes()).await?;
                // Until the other side goes.
                while socket.read(&mut bin).await? > 0 {}
                return Ok(());
            }
        }
    }
}
