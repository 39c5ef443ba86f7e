//! Connecting a socket, from the address that its permit names.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::session::Lost;
use super::{Cause, StreamWindows};
use crate::exchange::Network;
use crate::exchange::names::Names;
use crate::exchange::sockets::SocketPermit;

/// No frame the exchange has reason to send is longer.
const MOST_BYTES: usize = 1 << 20;

pub(super) type Ws = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connects, and dates the attempt by its answer.
pub(super) async fn connect(
    network: &Network,
    windows: StreamWindows,
    permit: &mut SocketPermit,
) -> Result<Ws, Lost> {
    // The default read buffer costs twenty times the memory of a connection.
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_write_buffer_size(64 << 10)
        .max_message_size(Some(MOST_BYTES))
        .max_frame_size(Some(MOST_BYTES));
    let (url, egress) = (network.stream_url(), permit.egress());
    let tls = Some(Connector::Rustls(Arc::clone(network.tls())));
    let connecting = async {
        let stream = dial(network.names(), url, egress).await?;
        client_async_tls_with_config(url, stream, Some(config), tls).await
    };
    let answer = timeout(windows.answer_within, connecting).await;
    permit.connected();
    let Ok(answer) = answer else {
        // It may have come about all the same: its place stays taken for a while.
        return Err(Lost(Cause::Refused, "no connection in time".to_owned()));
    };
    match answer {
        Ok((ws, _)) => Ok(ws),
        Err(error) => {
            permit.gone();
            let WsError::Http(answer) = error else {
                return Err(Lost(Cause::Refused, error.to_string()));
            };
            let status = answer.status();
            let cause = if status == 429 {
                permit.limited();
                Cause::Limit
            } else {
                Cause::Refused
            };
            let detail = format!("the upgrade was answered with {status}");
            Err(Lost(cause, detail))
        }
    }
}

/// Connects, from an address of this machine where one is given, to the first of the host's that can
/// be reached.
async fn dial(names: &Names, url: &str, egress: Option<IpAddr>) -> Result<TcpStream, WsError> {
    let request = url.into_client_request()?;
    let uri = request.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let default = if uri.scheme_str() == Some("wss") {
        443
    } else {
        80
    };
    let port = uri.port_u16().unwrap_or(default);
    let reached = |egress| format!("{host} has no address that {egress} can reach");
    let none = egress.map_or_else(|| format!("{host} has no address"), reached);
    let mut last = std::io::Error::other(none);
    for ip in names.find(host).await.map_err(std::io::Error::other)? {
        if egress.is_some_and(|egress| ip.is_ipv4() != egress.is_ipv4()) {
            continue;
        }
        match dial_one(SocketAddr::new(ip, port), egress).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

async fn dial_one(address: SocketAddr, egress: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    if let Some(egress) = egress {
        socket.bind(SocketAddr::new(egress, 0))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
