//! Claiming the right to trade: by the lock on the data folder, and on a shared store by a lease.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Standby, open_vault, store_at};
use crate::clock::Clock;
use crate::config::Settings;
use crate::journal::{IntentTerms, Journal};
use crate::store::folder::{DataFolder, FolderError, Locks, describe_holder};
use crate::store::{Claim, Claimant, Epoch, Lease, Lost, Owner, Store, StoreError};

/// How often a standby looks whether the right to trade is free, at least.
const LOOK: Duration = Duration::from_millis(500);
/// How often whoever holds a folder looks whether its claim is the last.
const WATCH: Duration = Duration::from_secs(2);
/// The end of a lease is waited out by so much more.
const A_LITTLE: Duration = Duration::from_millis(5);

/// The right to trade.
#[derive(Clone)]
pub(super) enum Right {
    /// Lasts as long as the folder is held.
    Folder(Epoch),
    /// Lasts as long as it is renewed.
    Lease(Lease),
}

impl Right {
    fn journal(&self, store: Store) -> Journal {
        match self {
            Self::Folder(epoch) => Journal::new(store, *epoch),
            Self::Lease(lease) => Journal::leased(store, lease.clone()),
        }
    }

    /// Keeps it, until another process has it.
    pub(super) async fn keep(self, store: Store, locks: Locks) -> Lost {
        match self {
            Self::Folder(epoch) => superseded(epoch, &store, &locks).await,
            Self::Lease(lease) => lease.keep(&store).await,
        }
    }

    /// Lets the next one have it at once.
    pub(super) async fn give_back(&self, store: &Store) {
        if let Self::Lease(lease) = self
            && let Err(error) = store.release_lease(lease.epoch()).await
        {
            tracing::warn!(event = "ownership.kept", %error, "it ends by itself");
        }
    }
}

/// Resolves when another process has claimed the same file, which the locks keep it from: unless somebody
/// has taken a lock's file away. Nothing is let out under an earlier claim, so this one is of no use. The
/// locks are asked too: where the database was replaced with them, no claim can be read any more, and
/// what protects would go on beside the other process.
async fn superseded(epoch: Epoch, store: &Store, locks: &Locks) -> Lost {
    loop {
        tokio::time::sleep(WATCH).await;
        if let Some(holder) = locks.taken_by() {
            return Lost {
                holder: Some(holder),
            };
        }
        if let Ok(Some(owner)) = store.owner().await
            && owner.epoch != epoch
        {
            let holder = Some(owner.holder);
            return Lost { holder };
        }
    }
}

/// The journal, which has taken over what an earlier process has left in the file of intents. Where it
/// cannot, what was claimed is given back.
pub(super) async fn journal(
    settings: &Settings,
    store: &Store,
    right: &Right,
    clock: Clock,
) -> Result<Journal> {
    let journal = right.journal(store.clone());
    let journal = journal.protecting(settings.protections());
    let folder = &settings.data_dir;
    let taken = async {
        // Before anything is taken over: that may end what is to be recorded.
        let journal = journal.witnessed(folder).await?;
        match settings.intents() {
            Some((after, kib)) => {
                let terms = IntentTerms { after, kib };
                journal.with_intents(folder, terms, clock).await
            }
            None => Ok(journal),
        }
    };
    let taken = taken.await;
    if taken.is_err() {
        right.give_back(store).await;
        store.close().await;
    }
    Ok(taken?)
}

/// Takes the data folder, opens the store, brings its tables up to date, and claims the right to
/// trade. A standby waits while another process has either; without one that is an error.
pub(super) async fn claim(
    settings: &Settings,
    clock: Clock,
    standby: Option<&Standby>,
) -> Result<(DataFolder, Store, Right)> {
    let holder = describe_holder(clock.utc());
    let mut waiting = Waiting {
        standby,
        clock,
        has_folder: false,
        told: None,
        since: None,
    };
    let mut folder = loop {
        match DataFolder::lock(&settings.data_dir, &holder) {
            Ok(folder) => break folder,
            Err(FolderError::Held { holder }) if standby.is_some() => {
                waiting.tell(&holder);
                tokio::time::sleep(LOOK).await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    waiting.has_folder = true;
    lock_database(&mut folder, settings, &mut waiting).await?;
    let store = store_at(settings, Some(open_vault(settings)?)).await?;
    let claimed = if store.is_shared() {
        let instance = folder.instance()?;
        let claimant = Claimant {
            holder: &holder,
            instance: &instance,
        };
        lease(settings, &store, claimant, &mut waiting).await
    } else {
        by_folder(&store, &holder, clock).await
    };
    let right = match claimed {
        Ok(right) => right,
        Err(error) => {
            store.close().await;
            return Err(error.context(settings.database_name()));
        }
    };
    waiting.over(&right);
    Ok((folder, store, right))
}

/// A database in a file may be worked with from other data folders.
async fn lock_database(
    folder: &mut DataFolder,
    settings: &Settings,
    waiting: &mut Waiting<'_>,
) -> Result<()> {
    let Some(file) = Store::file(&settings.database_url())? else {
        return Ok(());
    };
    loop {
        match folder.lock_database(&file) {
            Ok(()) => return Ok(()),
            Err(FolderError::DatabaseHeld { holder, .. }) if waiting.standby.is_some() => {
                waiting.tell(&holder);
                tokio::time::sleep(LOOK).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn by_folder(store: &Store, holder: &str, clock: Clock) -> Result<Right> {
    store.migrate().await?;
    let epoch = store.claim_ownership(holder, clock.utc()).await?;
    Ok(Right::Folder(epoch))
}

async fn lease(
    settings: &Settings,
    store: &Store,
    claimant: Claimant<'_>,
    waiting: &mut Waiting<'_>,
) -> Result<Right> {
    let terms = settings.ownership;
    loop {
        let asked_at = waiting.clock.mono();
        let held = match try_lease(store, claimant, terms.expire).await {
            Ok(Claim::Taken(epoch)) => {
                let lease = Lease::new(epoch, terms, waiting.clock, asked_at);
                return Ok(Right::Lease(lease));
            }
            Ok(Claim::Held(owner)) => owner,
            // A standby outlives what it may wait for.
            Err(error) if waiting.is_patient_with(&error) => {
                waiting.looked();
                tracing::warn!(event = "store.failed", %error, "asked again");
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if waiting.standby.is_none() {
            bail!(
                "another vigia ({}) trades from this database: stop it, or let `vigia run \
                 --standby` wait for its end and take over",
                held.holder
            );
        }
        waiting.tell(&held.holder);
        tokio::time::sleep(until_free(&held)).await;
    }
}

/// Tables are left alone while another process works with them.
async fn try_lease(
    store: &Store,
    claimant: Claimant<'_>,
    expire: Duration,
) -> Result<Claim, StoreError> {
    if let Some(owner) = store.leaseholder(claimant).await? {
        return Ok(Claim::Held(owner));
    }
    store.migrate().await?;
    store.claim_lease(claimant, expire).await
}

fn until_free(owner: &Owner) -> Duration {
    let left = owner.expires_in.unwrap_or_default() + A_LITTLE;
    left.min(LOOK)
}

/// A wait for another process's end, told once for each that is waited for.
struct Waiting<'a> {
    standby: Option<&'a Standby>,
    clock: Clock,
    has_folder: bool,
    told: Option<String>,
    since: Option<Duration>,
}

impl Waiting<'_> {
    fn is_patient_with(&self, error: &StoreError) -> bool {
        self.since.is_some() && matches!(error, StoreError::Unavailable { .. })
    }

    fn looked(&self) {
        if let Some(standby) = self.standby {
            standby.looked();
        }
    }

    fn tell(&mut self, holder: &str) {
        self.looked();
        if let Some(standby) = self.standby {
            standby.waits_for(holder, self.has_folder);
        }
        if self.told.as_deref() != Some(holder) {
            tracing::info!(event = "ownership.waiting", holder);
            self.told = Some(holder.to_owned());
        }
        self.since.get_or_insert(self.clock.mono());
    }

    fn over(&self, right: &Right) {
        let waited = self
            .since
            .map(|since| self.clock.mono().saturating_sub(since));
        let waited_ms = waited.map(|waited| waited.as_millis());
        let epoch = match right {
            Right::Folder(epoch) => *epoch,
            Right::Lease(lease) => lease.epoch(),
        };
        tracing::info!(event = "ownership.taken", epoch = epoch.0, waited_ms);
    }
}
