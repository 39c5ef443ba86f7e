//! Pushes as no exchange sends them.

use std::future::poll_fn;
use std::pin::Pin;

use serde_json::{Value, json};
use tokio::io::AsyncWrite;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::hub::Broken;
use super::valve::Valve;

/// The push, padded to so many bytes by a field that nobody knows.
pub(super) fn padded(text: &str, bytes: usize) -> String {
    let mut push = parsed(text);
    push["padding"] = json!("");
    let short = push.to_string().len();
    push["padding"] = json!("x".repeat(bytes.saturating_sub(short)));
    push.to_string()
}

/// A push of an unknown topic, and then the push with what is unknown in it.
pub(super) fn of(text: &str) -> [String; 2] {
    let mut push = parsed(text);
    let mut elsewhere = push.clone();
    elsewhere["params"]["topic"] = json!("futures/inverse/btc_usd/novelties");
    let data = &mut push["params"]["data"];
    data["novelty"] = json!({ "of": [1, null, "kind"] });
    if data.get("event").is_some() {
        data["event"] = json!("novelty");
    }
    [elsewhere.to_string(), push.to_string()]
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Sends the beginning of a message's frame, header included: half of one that is torn off, all but
/// one byte of one that is cut, so that the next frame's first byte is its last.
pub(super) async fn send_part(
    io: &mut Valve,
    message: &Message,
    broken: Broken,
) -> Result<(), Error> {
    let frame = Frame::message(message.clone().into_data(), OpCode::Data(Data::Text), true);
    let mut bytes = Vec::new();
    frame.format(&mut bytes)?;
    let most = match broken {
        Broken::Torn => bytes.len() / 2,
        Broken::Cut => bytes.len() - 1,
    };
    let mut left = &bytes[..most];
    while !left.is_empty() {
        let written = poll_fn(|context| Pin::new(&mut *io).poll_write(context, left)).await?;
        left = &left[written..];
    }
    poll_fn(|context| Pin::new(&mut *io).poll_flush(context)).await?;
    Ok(())
}
