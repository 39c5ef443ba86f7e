//! A server on a loopback socket that gives its answers from a script, one for each request, and
//! keeps what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use vigia::exchange::Rest;

use crate::stage::{network, rest};

pub struct Scripted {
    pub rest: Rest,
    asked: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scripted {
    /// Answers with these statuses and bodies, in this order.
    pub async fn answering<B: Into<String>>(answers: impl IntoIterator<Item = (u16, B)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(vec![]));
        let answers: Vec<(u16, String)> = answers
            .into_iter()
            .map(|(status, body)| (status, body.into()))
            .collect();
        let told = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            for (status, body) in answers {
                let (socket, _) = listener.accept().await.unwrap();
                let request = answer(socket, status, &body).await;
                told.lock().unwrap().push(request);
            }
        });
        let network = network(&format!("http://{address}"), &format!("ws://{address}"));
        Self {
            rest: rest(&network),
            asked,
            task,
        }
    }

    /// All requests so far: method, target and body.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(mut socket: TcpStream, status: u16, body: &str) -> String {
    let mut read = vec![];
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, received)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.parse::<usize>().unwrap())
            });
            if received.len() >= length.unwrap_or_default() {
                // The request is known before its answer can be.
                let line = head.lines().next().unwrap_or_default();
                let request = line.trim_end_matches(" HTTP/1.1");
                let answer = format!(
                    "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                socket.write_all(answer.as_bytes()).await.unwrap();
                socket.shutdown().await.ok();
                return format!("{request} {received}").trim_end().to_owned();
            }
        }
        let count = socket.read(&mut buffer).await.unwrap();
        assert!(count > 0, "the request ended early: {text}");
        read.extend_from_slice(&buffer[..count]);
    }
}
