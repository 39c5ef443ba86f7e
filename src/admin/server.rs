//! The HTTP server. It lives on the I/O thread, so that a slow reader never meets a price.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::access::Access;
use super::door::Door;
use super::{health, look};
use crate::actors::Shared;

/// The running server. Dropped, it ends and takes its file away.
pub struct Admin {
    task: JoinHandle<()>,
    file: PathBuf,
    address: std::net::SocketAddr,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        // Left behind it would only lead to a closed door.
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Admin {
    /// Listens on `listen` and writes address and token into the data folder.
    ///
    /// # Errors
    /// A taken port or a folder that cannot be written.
    pub async fn start(listen: &str, folder: &Path, shared: Arc<Shared>) -> Result<Self> {
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("admin.listen {listen}: choose another port, or \"\" for none")
        })?;
        let address = listener.local_addr()?;
        let access = Arc::new(Access::fresh(address));
        let file = access
            .write(folder)
            .context("the data folder takes no admin.json")?;
        let routes = Router::new()
            .merge(health::routes())
            .merge(look::routes())
            .with_state(Door { shared, access });
        let task = actix_rt::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(event = "admin.ended", %error);
            }
        });
        tracing::info!(event = "admin.listening", %address);
        Ok(Self {
            task,
            file,
            address,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }
}
