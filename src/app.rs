//! The one place that builds everything and knows every concrete type.

mod claim;
mod jobs;
mod keys;
mod notify;
mod receiver;
mod rights;
mod sockets;
mod standby;
mod threads;

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use actix::{Arbiter, System};
use anyhow::{Context, Result, anyhow};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::actors::{NetworkShared, Parts, PriceCell, Shared, Stop, Supervisor};
use crate::clock::Clock;
use crate::config::{Settings, Tuning};
use crate::exchange::{ExchangeClock, KeyRates, RateBudget, Rest};
use crate::journal::Journal;
use crate::notify::Webhook;
use crate::queue::JobQueue;
use crate::store::folder::{DataFolder, SIGN_OF_LIFE};
use crate::store::{Lost, Store, Vault};
use crate::supervision::{Child, ChildExit, OwnerGone, Slot, start};
use crate::telemetry::Events;

pub use jobs::job_queue;
pub use keys::{open_vault, write_key_file};
pub use notify::Manager;
pub use receiver::webhook;
pub use standby::{Awaited, Standby};

use claim::Right;
use threads::Threads;

/// Things to be done once for a process, before anything else: the TLS provider, the panic hook,
/// no core dumps (they would hold credentials), as many files as the system allows.
pub fn prepare_process() {
    // Fails only where it was done before, as in tests.
    let _ = rustls::crypto::ring::default_provider().install_default();
    crate::supervision::install_panic_hook();
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(event = "process.core_dumps", %error, "core dumps could not be forbidden");
    }
    let files = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: files.maximum,
        maximum: files.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(event = "process.files", %error, "the limit of open files stays as it was");
    }
}

/// Opens the store and brings its schema up to date.
///
/// # Errors
/// Where the database cannot be reached, or is locked, or is none.
pub async fn open_store(settings: &Settings, vault: Option<Vault>) -> Result<Store> {
    let store = store_at(settings, vault).await?;
    let migrated = store.migrate().await;
    migrated.with_context(|| settings.database_name())?;
    Ok(store)
}

/// Opens the store as it is.
async fn store_at(settings: &Settings, vault: Option<Vault>) -> Result<Store> {
    let store = Store::open(&settings.database_url(), vault).await;
    let store = store.with_context(|| settings.database_name())?;
    Ok(store
        .with_patience(settings.store_patience())
        .telling(settings.notify.kinds()))
}

/// A client of a network of the configuration.
///
/// # Errors
/// Where the network is not configured.
pub fn rest_client(settings: &Settings, network: &str, clock: Clock) -> Result<Rest> {
    let network = settings.network(network).map_err(|error| {
        let known: Vec<_> = settings.networks.keys().map(String::as_str).collect();
        anyhow!(
            "network {network}: {error}; configured are {}",
            known.join(", ")
        )
    })?;
    let egress = settings.egress().first().copied();
    let rest = Rest::from_address(egress, Arc::new(network), ExchangeClock::new(clock))?;
    Ok(rest.within_safety(settings.tuning().proof.margin_of_safety))
}

/// All that is needed to serve, held by this process alone; nothing runs yet.
pub struct Prepared {
    /// Clocks and randomness.
    pub clock: Clock,
    /// Accounts and automations.
    pub store: Store,
    /// Networks by name.
    pub networks: HashMap<String, Arc<NetworkShared>>,
    tuning: Tuning,
    jobs: JobQueue,
    webhook: Option<Webhook>,
    right: Right,
    journal: Journal,
    folder: DataFolder,
}

impl Prepared {
    /// Takes the data folder, opens store and vault, and claims the right to trade: one process has
    /// it at a time.
    ///
    /// # Errors
    /// What cannot be used, by name; nothing half-done stays behind.
    pub async fn new(settings: &Settings) -> Result<Self> {
        Self::claimed(settings, None).await
    }

    /// As [`Prepared::new`], but while another process has the folder or the right to trade, it
    /// waits, and takes over when that has ended.
    ///
    /// # Errors
    /// What cannot be used, by name.
    pub async fn standing_by(settings: &Settings, standby: &Standby) -> Result<Self> {
        Self::claimed(settings, Some(standby)).await
    }

    async fn claimed(settings: &Settings, standby: Option<&Standby>) -> Result<Self> {
        let clock = Clock::start();
        let webhook = webhook(settings)?;
        let (folder, store, right) = claim::claim(settings, clock, standby).await?;
        // Before anything else of theirs: what stands in the file of intents.
        let journal = claim::journal(settings, &store, &right, clock).await?;
        let tuning = settings.tuning();
        folder.live();
        let window = tuning.key_rate.window;
        let silent_until = clock.mono() + folder.aftermath(window, clock.utc());
        let mut networks = HashMap::new();
        let mut budgets = sockets::Budgets::new(settings, &store, clock).await?;
        for name in settings.networks.keys() {
            let network = settings.network(name)?;
            let public_rate = RateBudget::new(tuning.public_rate, clock);
            public_rate.silence(silent_until);
            let shared = NetworkShared {
                sockets: budgets.of(&network.stream_host()),
                network,
                rest: rest_client(settings, name, clock)?,
                price: PriceCell::default(),
                feed: Slot::new("price feed"),
                public_rate,
                key_rates: KeyRates::new(tuning.key_rate, clock, silent_until),
            };
            networks.insert(name.clone(), Arc::new(shared));
        }
        let jobs = jobs::job_queue(settings, &store, clock)?;
        Ok(Self {
            clock,
            store,
            networks,
            tuning,
            jobs,
            webhook,
            right,
            journal,
            folder,
        })
    }

    /// Gives back what was claimed, where nothing was started.
    pub async fn close(self) {
        self.right.give_back(&self.store).await;
        self.store.close().await;
    }

    /// Starts everything, on an actix system that runs on this thread: it becomes the thread of
    /// database and HTTP; trading gets one of its own.
    pub fn start(self, dry_run: bool) -> App {
        let trading = Arbiter::new();
        let clock = self.clock;
        let shared = Shared::new(Parts {
            clock,
            tuning: self.tuning,
            events: Events::new(clock),
            journal: self.journal,
            store: self.store,
            jobs: self.jobs,
            webhook: self.webhook,
            dry_run,
            trading: trading.handle(),
            io: System::current().arbiter().clone(),
            networks: self.networks,
        });
        let threads = Threads::watch_each_other(&shared, &trading.handle());
        let keeping = self.right.clone();
        let keeper = actix_rt::spawn(keeping.keep(shared.store.clone(), self.folder.locks()));
        let intents = actix_rt::spawn(shared.journal.clone().keep());
        let folder = Arc::new(self.folder);
        let (end, ended) = oneshot::channel();
        let root = Arc::clone(&shared);
        let supervisor = start(
            &trading.handle(),
            "supervisor",
            1,
            OwnerGone::End,
            move |exit| drop(end.send(exit)),
            move |_: &mut _| Supervisor::new(root),
        );
        shared.supervisor.fill(supervisor.addr().clone());
        App {
            shared,
            supervisor,
            ended,
            trading,
            threads,
            right: self.right,
            keeper,
            intents,
            signs: actix_rt::spawn(say_that_it_lives(Arc::downgrade(&folder))),
            _folder: folder,
        }
    }
}

/// For the next process: what this one asked of the exchange in its last second still counts there.
async fn say_that_it_lives(folder: Weak<DataFolder>) {
    while let Some(folder) = folder.upgrade() {
        folder.live();
        drop(folder);
        tokio::time::sleep(SIGN_OF_LIFE).await;
    }
}

/// An end that nobody asked for.
#[derive(Debug)]
pub enum Ended {
    /// The supervisor's, which only a bug brings about.
    Died(ChildExit),
    /// Another process has the right to trade.
    Lost(Lost),
}

/// A running service.
pub struct App {
    /// What its actors share.
    pub shared: Arc<Shared>,
    supervisor: Child<Supervisor>,
    ended: oneshot::Receiver<ChildExit>,
    trading: Arbiter,
    threads: Threads,
    right: Right,
    keeper: JoinHandle<Lost>,
    intents: JoinHandle<()>,
    signs: JoinHandle<()>,
    // Held for as long as the service runs.
    _folder: Arc<DataFolder>,
}

impl App {
    /// Prepares and starts a service.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub async fn start(settings: &Settings, dry_run: bool) -> Result<Self> {
        Ok(Prepared::new(settings).await?.start(dry_run))
    }

    /// Waits for an end that nobody asked for.
    pub async fn ended(&mut self) -> Ended {
        tokio::select! {
            Ok(lost) = &mut self.keeper => Ended::Lost(lost),
            Ok(exit) = &mut self.ended => Ended::Died(exit),
            else => std::future::pending().await,
        }
    }

    /// Stops: no new work, running executions get their deadline, what is unfinished stays written
    /// down. Returns how many executions were still under way at the deadline.
    ///
    /// # Errors
    /// Where the trading thread does not answer or cannot be joined.
    pub async fn stop(self) -> Result<usize> {
        let left = self
            .supervisor
            .addr()
            .send(Stop)
            .await
            .context("the supervisor is gone")?;
        self.trading.stop();
        self.trading
            .join()
            .map_err(|_| anyhow!("the trading thread ended by a panic"))?;
        drop(self.threads);
        self.signs.abort();
        self.keeper.abort();
        self.intents.abort();
        self.right.give_back(&self.shared.store).await;
        self.shared.store.close().await;
        Ok(left)
    }

    /// Makes an actor panic, by the name it has in logs.
    #[cfg(feature = "failpoints")]
    pub fn crash(&self, actor: &str, place: crate::supervision::failpoint::Place) {
        self.supervisor
            .addr()
            .do_send(crate::actors::CrashActor(actor.to_owned(), place));
    }
}
