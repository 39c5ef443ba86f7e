//! A way to the exchange on which everything can be lost without anybody being told.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One forwarded port.
pub struct Proxy {
    listener: Option<std::net::TcpListener>,
    address: SocketAddr,
    forwards: watch::Sender<bool>,
}

/// Both ports of the exchange.
pub struct Way {
    pub rest: watch::Sender<bool>,
    pub stream: watch::Sender<bool>,
}

/// Both ports of the exchange, forwarded, and what opens and closes the way.
pub fn ways() -> (
    Way,
    impl FnOnce(String, String) -> (String, String) + 'static,
) {
    let (rest, stream) = (Proxy::new(), Proxy::new());
    let way = Way {
        rest: rest.forwards.clone(),
        stream: stream.forwards.clone(),
    };
    (way, move |api, url| {
        (rest.before(&api), stream.before(&url))
    })
}

impl Way {
    /// From now on nothing arrives, in neither direction; connections stay.
    pub fn lose_everything(&self) {
        self.lose_the_stream();
        self.rest.send_replace(false);
    }

    /// The same for the stream alone.
    pub fn lose_the_stream(&self) {
        self.stream.send_replace(false);
    }

    /// What was lost arrives late, as it does where packets are sent again.
    pub fn restore(&self) {
        self.rest.send_replace(true);
        self.stream.send_replace(true);
    }
}

impl Proxy {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            listener: Some(listener),
            forwards: watch::Sender::new(true),
        }
    }

    /// Begins to forward to the host of this address, and answers the address to use instead.
    fn before(mut self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let target: SocketAddr = host.parse().unwrap();
        let listener = TcpListener::from_std(self.listener.take().unwrap()).unwrap();
        let forwards = self.forwards.clone();
        tokio::spawn(async move {
            let mut both = vec![];
            while let Ok((client, _)) = listener.accept().await {
                both.retain(|task: &JoinHandle<()>| !task.is_finished());
                both.push(tokio::spawn(connection(
                    client,
                    target,
                    forwards.subscribe(),
                )));
            }
        });
        format!("{scheme}://{}/{path}", self.address)
    }
}

async fn connection(client: TcpStream, target: SocketAddr, mut forwards: watch::Receiver<bool>) {
    if forwards.wait_for(|on| *on).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    for end in [&client, &server] {
        end.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pipe(from_client, to_server, forwards.clone()),
        pipe(from_server, to_client, forwards),
    );
}

async fn pipe(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut forwards: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let count = from.read(&mut buffer).await.unwrap_or(0);
        if forwards.wait_for(|on| *on).await.is_err() || count == 0 {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
