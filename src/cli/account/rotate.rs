//! `vigia account credentials` where no service runs: another key for an account.

use super::{RotateArgs, told};
use crate::admin::{CredentialsAnswer, Key, verify};
use crate::app;
use crate::cli::context::Context;
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::credentials::Credentials;
use crate::store::Store;

/// Carries it out.
pub(super) async fn run(
    args: &RotateArgs,
    settings: &Settings,
    store: &Store,
    context: &mut Context<'_>,
) -> anyhow::Result<()> {
    let new = args.credentials.read(context.prompt)?;
    let account = store.account(&args.account).await?;
    let same_account = if args.unverified {
        None
    } else {
        let rest = app::rest_client(settings, &account.network, Clock::start())?;
        // Where they cannot be opened there is nothing to compare with.
        let old = store.credentials(&account.id).await.ok();
        verify(&rest, old.as_ref().map(key), key(&new)).await?
    };
    let answer = CredentialsAnswer {
        account: store.set_credentials(&account.id, new, context.now).await?,
        verified: !args.unverified,
        same_account,
        switched: None,
        not_switched: None,
    };
    if !store.wipe().await {
        writeln!(
            context.notes,
            "warning: what was sealed before is still in the write-ahead log, as somebody reads it"
        )?;
    }
    told::rotated(&answer, false, context)
}

/// Nobody else spends from its budget: no service runs here.
fn key(credentials: &Credentials) -> Key<'_> {
    Key {
        credentials,
        budget: None,
    }
}
