//! A tiny stream client.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::client::{Exchange, KEY, PHRASE, SECRET, now_ms, sign};

/// Nothing on loopback takes so long: past it, a test has failed.
const PATIENCE: Duration = Duration::from_secs(5);

pub const LAST: &str = "futures/inverse/btc_usd/lastPrice";
pub const TRADES: &str = "futures/inverse/btc_usd/isolated/trades";

/// How a socket ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    Code(u16),
    /// Without a close frame.
    Abruptly,
}

pub struct Socket {
    pub ws: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pushes: VecDeque<Value>,
    next_id: u64,
}

impl Exchange {
    pub async fn connect(&self) -> Socket {
        self.try_connect().await.unwrap()
    }

    pub async fn try_connect(&self) -> Result<Socket, Error> {
        let (ws, _) = connect_async(self.simulator.stream_url()).await?;
        Ok(Socket {
            ws,
            pushes: VecDeque::new(),
            next_id: 0,
        })
    }

    /// Connected, authenticated and subscribed.
    pub async fn follow(&self, topics: &[&str]) -> Socket {
        let mut socket = self.connect().await;
        let answer = socket.log_in("nonce-0001").await;
        assert_eq!(answer["result"]["authenticated"], true, "{answer}");
        let answer = socket.call("subscribe", json!({ "topics": topics })).await;
        assert_eq!(answer["result"]["subscribed"], json!(topics), "{answer}");
        socket
    }
}

/// Parameters of `authenticate`.
pub fn login(key: &str, timestamp: i64, nonce: &str) -> Value {
    let signature = sign(SECRET, &format!("{timestamp}{nonce}"));
    json!({
        "key": key, "passphrase": PHRASE, "timestamp": timestamp, "nonce": nonce,
        "signature": signature,
    })
}

impl Socket {
    pub async fn log_in(&mut self, nonce: &str) -> Value {
        self.call("authenticate", login(KEY, now_ms(), nonce)).await
    }

    /// Calls a method; answers the whole envelope. Pushes that come between are kept.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let id = self.next_id.to_string();
        let mut request = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if !params.is_null() {
            request["params"] = params;
        }
        self.send(&request.to_string()).await;
        loop {
            let frame = self.frame().await;
            if frame["id"] == json!(id) {
                return frame;
            }
            self.pushes.push_back(frame);
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.ws.send(Message::text(text)).await.unwrap();
    }

    /// The next text frame, parsed.
    pub async fn frame(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    pub async fn text(&mut self) -> String {
        loop {
            match timeout(PATIENCE, self.ws.next())
                .await
                .expect("no frame in time")
            {
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(_)) => {}
                other => panic!("the socket ended: {other:?}"),
            }
        }
    }

    /// The data of the next push on a topic; those on others wait for their turn.
    pub async fn push(&mut self, topic: &str) -> Value {
        let is_wanted = |frame: &Value| frame["params"]["topic"] == json!(topic);
        let waiting = self.pushes.iter().position(is_wanted);
        let mut found = waiting.and_then(|position| self.pushes.remove(position));
        while found.is_none() {
            let frame = self.frame().await;
            if is_wanted(&frame) {
                found = Some(frame);
            } else {
                self.pushes.push_back(frame);
            }
        }
        found.unwrap()["params"]["data"].clone()
    }

    /// The next trade event: name and trade.
    pub async fn event(&mut self) -> (String, Value) {
        let data = self.push(TRADES).await;
        assert_eq!(data["pair"], "btc_usd");
        (
            data["event"].as_str().unwrap().to_owned(),
            data["trade"].clone(),
        )
    }

    /// Waits until the socket ends.
    pub async fn ended(&mut self) -> Ended {
        loop {
            match timeout(PATIENCE, self.ws.next()).await.expect("still open") {
                Some(Ok(Message::Close(Some(frame)))) => return Ended::Code(frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ended::Abruptly,
            }
        }
    }

    /// Whether nothing at all arrives for a while.
    pub async fn is_silent(&mut self, duration: Duration) -> bool {
        timeout(duration, self.ws.next()).await.is_err()
    }
}

impl Socket {
    /// Whether only pings arrive for so long; each is answered.
    pub async fn is_silent_but_for_pings(&mut self, duration: Duration) -> bool {
        let read = async {
            while let Some(Ok(Message::Ping(_))) = self.ws.next().await {
                self.ws.flush().await.unwrap();
            }
        };
        timeout(duration, read).await.is_err()
    }
}

impl Socket {
    /// How the socket ended, or `None` when it answered something first.
    pub async fn ended_or_answered(&mut self) -> Option<Ended> {
        match timeout(PATIENCE, self.ws.next()).await.expect("neither") {
            Some(Ok(Message::Text(_))) => None,
            Some(Ok(Message::Close(Some(frame)))) => Some(Ended::Code(frame.code.into())),
            _ => Some(Ended::Abruptly),
        }
    }
}
