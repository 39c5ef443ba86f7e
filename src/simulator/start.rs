//! Starting and stopping, inside a runtime or on a thread.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::config::SimulatorConfig;
use super::control::Control;
use super::money::Price;
use super::pacing::next_due;
use super::tape::{Tape, Tick};
use super::tls::Certificate;
use super::world::World;
use super::{server, stream};

/// Largest funding rate, either way: 10 % every 8 hours.
const MAX_FUNDING_RATE: f64 = 0.1;

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The thread or its runtime cannot be made.
    #[error("cannot start the simulator's thread: {0}")]
    Thread(io::Error),
    /// A setting that cannot be.
    #[error("{field}: {problem}")]
    Config {
        /// Name of the setting.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Debug)]
enum Host {
    Task(JoinHandle<()>),
    Thread(Option<thread::JoinHandle<()>>),
}

/// A running simulator. It stops when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    world: Arc<World>,
    encrypted: bool,
    host: Host,
}

impl Simulator {
    /// Starts inside the current runtime.
    ///
    /// # Errors
    /// When the address is taken, or a setting is impossible.
    pub async fn start(config: SimulatorConfig) -> Result<Simulator, SimulatorError> {
        let (listener, address, world) = prepare(&config).await?;
        let encrypted = config.tls.is_some();
        let task = tokio::spawn(run(Arc::clone(&world), listener, config.tape, config.tls));
        Ok(Simulator {
            address,
            world,
            encrypted,
            host: Host::Task(task),
        })
    }

    /// Starts on a thread of its own, with its own runtime; blocks until it listens.
    ///
    /// # Errors
    /// When the address is taken, a setting is impossible, or there is no thread to be had.
    pub fn start_on_thread(config: SimulatorConfig) -> Result<Simulator, SimulatorError> {
        let encrypted = config.tls.is_some();
        let (started, start) = mpsc::sync_channel(1);
        let body = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            {
                Ok(runtime) => runtime,
                Err(problem) => {
                    let _ = started.send(Err(SimulatorError::Thread(problem)));
                    return;
                }
            };
            runtime.block_on(async move {
                match prepare(&config).await {
                    Ok((listener, address, world)) => {
                        let _ = started.send(Ok((address, Arc::clone(&world))));
                        run(world, listener, config.tape, config.tls).await;
                    }
                    Err(problem) => {
                        let _ = started.send(Err(problem));
                    }
                }
            });
        };
        let thread = thread::Builder::new()
            .name("simulator".to_owned())
            .spawn(body)
            .map_err(SimulatorError::Thread)?;
        let (address, world) = start
            .recv()
            .map_err(|_| SimulatorError::Thread(io::Error::other("the thread ended")))??;
        Ok(Simulator {
            address,
            world,
            encrypted,
            host: Host::Thread(Some(thread)),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Base URL of REST, `http://ADDRESS/v3`, or `https://` with a certificate.
    pub fn api_url(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}/v3", self.address)
    }

    /// URL of the stream, `ws://ADDRESS/v1`, or `wss://` with a certificate.
    pub fn stream_url(&self) -> String {
        let scheme = if self.encrypted { "wss" } else { "ws" };
        format!("{scheme}://{}/v1", self.address)
    }

    /// A handle to change it and to look into it.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.world))
    }

    /// Stops: closes the port and drops all connections. Returns when that is done.
    pub async fn stop(mut self) {
        self.world.shut_down();
        match &mut self.host {
            // An error only says that the task was aborted or panicked: it has ended.
            Host::Task(task) => {
                let _ = task.await;
            }
            Host::Thread(thread) => join(thread.take()),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.world.shut_down();
        match &mut self.host {
            Host::Task(task) => task.abort(),
            Host::Thread(thread) => join(thread.take()),
        }
    }
}

/// The thread has been told to end and waits for nothing, so this takes milliseconds.
fn join(thread: Option<thread::JoinHandle<()>>) {
    if let Some(thread) = thread {
        let _ = thread.join();
    }
}

async fn prepare(
    config: &SimulatorConfig,
) -> Result<(TcpListener, SocketAddr, Arc<World>), SimulatorError> {
    let invalid = |field, problem: &str| SimulatorError::Config {
        field,
        problem: problem.into(),
    };
    let mut keys = BTreeSet::new();
    for account in &config.accounts {
        if !keys.insert(&account.key) {
            return Err(invalid(
                "accounts",
                &format!("the key {} is there twice", account.key),
            ));
        }
    }
    if matches!(&config.tape, Tape::Candles(candles) if candles.is_empty()) {
        return Err(invalid("tape", "has no candles"));
    }
    let first = Price::from_f64(config.tape.first_price())
        .ok_or_else(|| invalid("tape", "prices are from 1 to 100000000 USD"))?;
    let half_spread = match config.spread {
        0.0 => Price::ZERO,
        spread => Price::from_f64(spread / 2.0)
            .filter(|half| half.on_tick())
            .ok_or_else(|| invalid("spread", "0, or an even number of dollars from 2"))?,
    };
    if !(-MAX_FUNDING_RATE..=MAX_FUNDING_RATE).contains(&config.funding_rate) {
        let problem = format!("from -{MAX_FUNDING_RATE} to {MAX_FUNDING_RATE}");
        return Err(invalid("funding_rate", &problem));
    }
    let bind = |source| SimulatorError::Bind {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let world = Arc::new(World::new(config, first.to_tick(), half_spread));
    Ok((listener, address, world))
}

/// Everything that runs, until the stop; then all of it is dropped together.
async fn run(world: Arc<World>, listener: TcpListener, tape: Tape, tls: Option<Certificate>) {
    tokio::select! {
        () = server::serve(Arc::clone(&world), listener, tls) => {}
        () = forever(stream::push_prices(Arc::clone(&world))) => {}
        () = forever(stream::push_ticker(Arc::clone(&world))) => {}
        () = forever(play(Arc::clone(&world), tape)) => {}
        () = world.stopped() => {}
    }
}

/// A part that may end earlier without ending the others.
async fn forever(part: impl Future<Output = ()>) {
    part.await;
    std::future::pending().await
}

/// Plays the tape. A tick is due one pause after the one before it was due, so that the
/// coarseness of timers does not add up over a long tape; after a stall or a pause prices go on
/// at their pace, and never come in a burst.
async fn play(world: Arc<World>, tape: Tape) {
    let speed = world.settings.speed;
    let mut running = world.tape_running.subscribe();
    let mut due = Instant::now();
    for Tick { price, gap, at } in tape.ticks() {
        loop {
            // The sender is in the world: this cannot fail while we run.
            let _ = running.wait_for(|running| *running).await;
            due = next_due(due, Instant::now(), speed.pause(gap));
            tokio::time::sleep_until(due).await;
            if *running.borrow() {
                break;
            }
        }
        world.reach(at);
        world.print(price);
    }
    world.tape_finished.send_replace(true);
}
