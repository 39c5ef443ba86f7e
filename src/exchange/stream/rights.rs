//! What a key may do, as the exchange tells whoever logs in with it.

use tokio::sync::mpsc;

use super::connect::connect;
use super::session::{Lost, Session};
use super::{Cause, StreamWindows};
use crate::domain::credentials::Credentials;
use crate::exchange::sockets::SocketPermit;
use crate::exchange::text::tidy;
use crate::exchange::{ExchangeClock, Network};

/// Nothing is subscribed to: nothing is told beside the answers.
const TOLD: usize = 1;

/// Asks what a key may do, in the exchange's names of rights. Costs the permit's socket and login, and
/// gives it back.
///
/// # Errors
/// Why nothing was learnt.
pub async fn rights(
    network: &Network,
    credentials: &Credentials,
    clock: ExchangeClock,
    windows: StreamWindows,
    mut permit: SocketPermit,
) -> Result<Vec<String>, String> {
    let (events, _told) = mpsc::channel(TOLD);
    let told = |Lost(_, detail)| tidy(&detail);
    let ws = connect(network, windows, &mut permit).await.map_err(told)?;
    let mut session = Session::new(ws, clock, windows, events);
    let rights = session.rights(credentials, &mut permit).await;
    if let Err(Lost(Cause::Limit, _)) = rights {
        permit.limited();
    }
    if session.close().await {
        permit.gone();
    }
    rights.map_err(told)
}
