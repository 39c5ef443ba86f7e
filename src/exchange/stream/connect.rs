//! Connecting a socket, from the address that its permit names.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    connect_async_tls_with_config,
};

use super::session::Lost;
use super::{Cause, StreamWindows};
use crate::exchange::Network;
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
        match egress {
            None => connect_async_tls_with_config(url, Some(config), true, tls).await,
            Some(egress) => {
                let stream = dial(url, egress).await?;
                client_async_tls_with_config(url, stream, Some(config), tls).await
            }
        }
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

/// Connects from an address of this machine to the first of the host's that can be reached from it.
async fn dial(url: &str, egress: IpAddr) -> Result<TcpStream, WsError> {
    let request = url.into_client_request()?;
    let uri = request.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let default = if uri.scheme_str() == Some("wss") {
        443
    } else {
        80
    };
    let port = uri.port_u16().unwrap_or(default);
    let mut last = std::io::Error::other(format!("{host} has no address that {egress} can reach"));
    for address in lookup_host((host, port)).await? {
        if address.is_ipv4() != egress.is_ipv4() {
            continue;
        }
        match dial_one(address, egress).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

async fn dial_one(address: SocketAddr, egress: IpAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.bind(SocketAddr::new(egress, 0))?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
