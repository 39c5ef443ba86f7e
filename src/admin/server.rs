//! The HTTP server. It lives on the I/O thread, so that a slow reader never meets a price.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::task::JoinHandle;

use super::access::Access;
use super::door::{Door, refusal};
use super::tokens::Tokens;
use super::{health, look, metrics, verbs};
use crate::actors::Shared;
use crate::config::AdminSettings;

/// A longer body holds no request of ours.
pub(super) const BODY_MOST: usize = 64 * 1024;

/// A bound address, on which one server follows another and nobody who connects is turned away in
/// between.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `listen`.
    ///
    /// # Errors
    /// A taken port.
    pub fn bind(listen: &str) -> Result<Self> {
        let bound = || {
            let socket = TcpListener::bind(listen)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok::<_, std::io::Error>(Self { socket, address })
        };
        bound().with_context(|| {
            format!("admin.listen {listen}: choose another port, or \"\" for none")
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves on it until the task is aborted.
    pub(super) fn serve(&self, routes: Router) -> Result<JoinHandle<()>> {
        let socket = self.socket.try_clone()?;
        let listener = tokio::net::TcpListener::from_std(socket)?;
        Ok(actix_rt::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(event = "admin.ended", %error);
            }
        }))
    }
}

/// The running server. Dropped, it ends and takes its file away.
pub struct Admin {
    task: JoinHandle<()>,
    access: Access,
    folder: PathBuf,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        self.access.withdraw(&self.folder);
    }
}

impl Admin {
    /// Serves on the listener, and writes its address, with a fresh token of the operator's, into the
    /// data folder.
    ///
    /// # Errors
    /// A token of the settings that is none, or a folder that cannot be written.
    pub fn start(
        listener: &Listener,
        settings: &AdminSettings,
        folder: &Path,
        shared: Arc<Shared>,
    ) -> Result<Self> {
        let access = Access::fresh(listener.address());
        let tokens = Arc::new(Tokens::of(settings, &access.token)?);
        access
            .write(folder)
            .context("the data folder takes no admin.json")?;
        let routes = Router::new()
            .merge(health::routes())
            .merge(look::routes())
            .merge(metrics::routes())
            .merge(verbs::routes())
            .fallback(nothing_there)
            .method_not_allowed_fallback(not_so)
            .layer(DefaultBodyLimit::max(BODY_MOST))
            .with_state(Door { shared, tokens });
        let task = listener.serve(routes)?;
        tracing::info!(event = "admin.listening", address = %listener.address());
        let folder = folder.to_owned();
        Ok(Self {
            task,
            access,
            folder,
        })
    }
}

async fn nothing_there() -> Response {
    refusal(
        StatusCode::NOT_FOUND,
        "there is no such route: see docs/http.md",
    )
}

async fn not_so() -> Response {
    let error = "this route is not asked like that: see docs/http.md";
    refusal(StatusCode::METHOD_NOT_ALLOWED, error)
}
