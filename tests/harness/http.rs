//! HTTP/1.1 as plainly as it goes: one connection per request, every byte under the test's control.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// An answer, or the head of one whose body still streams.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body, empty while it streams.
    pub body: String,
}

impl Response {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The JSON message in the body: the body itself, or the last event of an event stream.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let messages = self.messages();
        messages.last().cloned().unwrap_or_else(|| panic!("no JSON in {self:?}"))
    }

    /// All JSON messages in the body.
    #[must_use]
    pub fn messages(&self) -> Vec<serde_json::Value> {
        if self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let data = self.body.lines().filter_map(|line| line.strip_prefix("data:"));
            return data.filter_map(|data| serde_json::from_str(data.trim()).ok()).collect();
        }
        serde_json::from_str(&self.body).into_iter().collect()
    }
}

/// Sends bytes to an address and reads the whole answer.
///
/// # Errors
/// If nobody listens, or the answer breaks off.
pub fn raw(address: &str, request: &[u8]) -> std::io::Result<Response> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    exchange(stream, request)
}

/// The bytes of a request. `Host`, `Content-Length` and `Connection: close` are added unless given.
#[must_use]
pub fn request(method: &str, path: &str, host: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    let length = body.len().to_string();
    let defaults = [("Host", host), ("Connection", "close"), ("Content-Length", &length)];
    let given = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    let added = defaults.iter().filter(|(name, _)| !given(name));
    for (name, value) in added.chain(headers) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// `GET` over a Unix socket.
///
/// # Errors
/// If nobody listens, or the answer breaks off.
pub fn get_unix(socket: &Path, path: &str) -> std::io::Result<Response> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    exchange(stream, &request("GET", path, "localhost", &[], b""))
}

fn exchange<S: Read + Write>(mut stream: S, request: &[u8]) -> std::io::Result<Response> {
    // A server may answer and close before it has read a body that is too large: its answer counts.
    let sent = stream.write_all(request);
    let mut reader = BufReader::new(stream);
    let mut response = match head(&mut reader) {
        Ok(response) => response,
        Err(error) => return Err(sent.err().unwrap_or(error)),
    };
    response.body = body(&mut reader, &response)?;
    Ok(response)
}

fn broken(what: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned())
}

fn line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(broken("the connection was closed"));
    }
    Ok(line.trim_end().to_owned())
}

fn head(reader: &mut impl BufRead) -> std::io::Result<Response> {
    let status = line(reader)?;
    let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut headers = Vec::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Response { status: code.ok_or_else(|| broken(&status))?, headers, body: String::new() })
}

fn body(reader: &mut impl BufRead, response: &Response) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if response.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        while let Some(mut chunk) = chunk(reader)? {
            bytes.append(&mut chunk);
        }
    } else if let Some(length) = response.header("content-length").and_then(|length| length.parse().ok()) {
        bytes.resize(length, 0);
        reader.read_exact(&mut bytes)?;
    } else {
        reader.read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The next chunk; None at the end.
fn chunk(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let size = line(reader)?;
    let size = usize::from_str_radix(size.split(';').next().unwrap_or(""), 16).map_err(|_| broken(&size))?;
    let mut bytes = vec![0; size];
    reader.read_exact(&mut bytes)?;
    line(reader)?;
    Ok(if size == 0 { None } else { Some(bytes) })
}

/// An event stream that is still open.
pub struct Stream {
    /// The head of the answer.
    pub response: Response,
    reader: BufReader<TcpStream>,
    rest: String,
}

impl Stream {
    /// Sends a request and reads the head of the answer.
    ///
    /// # Errors
    /// If nobody listens, or the answer breaks off.
    pub fn open(address: &str, request: &[u8]) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.write_all(request)?;
        let mut reader = BufReader::new(stream);
        let response = head(&mut reader)?;
        Ok(Self { response, reader, rest: String::new() })
    }

    /// The next JSON message of the stream; None if it ends or `limit` passes.
    pub fn next(&mut self, limit: Duration) -> Option<serde_json::Value> {
        let end = std::time::Instant::now() + limit;
        loop {
            let (_, data) = self.next_event(end.checked_duration_since(std::time::Instant::now())?)?;
            if let Ok(message) = serde_json::from_str(&data) {
                return Some(message);
            }
        }
    }

    /// The next event of the stream, its id and its data; None if it ends or `limit` passes.
    pub fn next_event(&mut self, limit: Duration) -> Option<(Option<String>, String)> {
        let end = std::time::Instant::now() + limit;
        loop {
            while let Some((event, rest)) = self.rest.split_once("\n\n") {
                let data: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
                let id = event.lines().find_map(|line| line.strip_prefix("id:"));
                let found = (!data.is_empty())
                    .then(|| (id.map(|id| id.trim().to_owned()), data.concat().trim().to_owned()));
                self.rest = rest.to_owned();
                if found.is_some() {
                    return found;
                }
            }
            let left = end.checked_duration_since(std::time::Instant::now())?;
            self.reader.get_ref().set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
            let bytes = chunk(&mut self.reader).ok()??;
            self.rest.push_str(&String::from_utf8_lossy(&bytes).replace("\r\n", "\n"));
        }
    }
}
