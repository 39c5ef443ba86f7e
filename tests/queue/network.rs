//! The network between a consumer and its Redis, which may refuse or swallow.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A port that leads to a Redis while the network is up.
pub struct Network {
    port: u16,
    target: u16,
    /// None while the network refuses.
    carried: Arc<Mutex<Option<JoinSet<()>>>>,
    swallows: watch::Sender<bool>,
}

impl Network {
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Self {
            port: listener.local_addr().unwrap().port(),
            target,
            carried: Arc::default(),
            swallows: watch::Sender::new(false),
        };
        network.carry(listener);
        network
    }

    pub fn url(&self) -> String {
        crate::redis_server::url(self.port)
    }

    /// Cuts all connections, and refuses new ones.
    pub fn refuse(&self) {
        // Dropped, all that it carries ends; and whoever was accepted just now is not carried.
        *self.carried.lock().unwrap() = None;
    }

    /// Accepts connections again.
    pub async fn restore(&self) {
        crate::waiting::until("free port", || async {
            let listener = TcpListener::bind(("127.0.0.1", self.port)).await.ok()?;
            self.carry(listener);
            Some(())
        })
        .await;
    }

    /// Keeps all connections, and carries nothing.
    pub fn swallow(&self, swallows: bool) {
        self.swallows.send_replace(swallows);
    }

    fn carry(&self, listener: TcpListener) {
        let carried = Arc::clone(&self.carried);
        let (target, swallows) = (self.target, self.swallows.clone());
        let mut carrying = self.carried.lock().unwrap();
        carrying.get_or_insert_default().spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else {
                    continue;
                };
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                let mut carried = carried.lock().unwrap();
                let Some(carried) = carried.as_mut() else {
                    return;
                };
                carried.spawn(copy(near_in, far_out, swallows.subscribe()));
                carried.spawn(copy(far_in, near_out, swallows.subscribe()));
            }
        });
    }
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut swallows: watch::Receiver<bool>,
) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if swallows.wait_for(|swallows| !swallows).await.is_err() {
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
