//! Who is told outside: a real HTTP server that checks signatures by itself, takes what it is told, or
//! does not.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Listener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use ring::hmac;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use vigia::clock::Clock;

const SECRET: &str = "a secret of the receiver's";
const BEAT: Duration = Duration::from_millis(5);
/// A signature is of the time of its attempt.
const FRESH_S: i64 = 60;

/// What it does with what it is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mood {
    Takes,
    /// Answers so, and takes nothing.
    Answers(u16),
    /// Never answers.
    Hangs,
    /// Takes it, and its answer never ends.
    NeverEnds,
    /// Answers that it is to be found at `/elsewhere`.
    SendsAway,
}

/// Something that it was told.
#[derive(Clone, Debug)]
pub struct Told {
    pub id: String,
    pub body: Value,
    pub taken: bool,
}

impl Told {
    pub fn kind(&self) -> &str {
        self.body["kind"].as_str().unwrap()
    }
}

#[derive(Default)]
struct Notes {
    told: Vec<Told>,
    hanging: usize,
    elsewhere: usize,
}

#[derive(Clone)]
struct Desk {
    mood: Arc<Mutex<Mood>>,
    notes: Arc<Mutex<Notes>>,
}

/// A receiver at an address of its own, up or down.
pub struct Receiver {
    address: SocketAddr,
    desk: Desk,
    server: Option<JoinHandle<()>>,
    folder: TempDir,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.goes_down();
    }
}

impl Receiver {
    /// A receiver that is down.
    pub fn down() -> Self {
        let free = Listener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).unwrap();
        Self {
            address: free.local_addr().unwrap(),
            desk: Desk {
                mood: Arc::new(Mutex::new(Mood::Takes)),
                notes: Arc::default(),
            },
            server: None,
            folder,
        }
    }

    /// A receiver that takes what it is told.
    pub async fn up() -> Self {
        let mut receiver = Self::down();
        receiver.comes_up().await;
        receiver
    }

    pub async fn comes_up(&mut self) {
        let listener = tokio::net::TcpListener::bind(self.address).await.unwrap();
        let routes = Router::new()
            .route("/hook", post(told))
            .route("/elsewhere", post(elsewhere))
            .with_state(self.desk.clone());
        self.server = Some(tokio::spawn(async move {
            axum::serve(listener, routes).await.unwrap();
        }));
    }

    pub fn goes_down(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }

    pub fn is_in_the_mood(&self, mood: Mood) {
        *self.desk.mood.lock().unwrap() = mood;
    }

    /// The section of the configuration that names it, with shortened windows and more keys.
    pub fn config(&self, more: &str) -> String {
        let secret = self.folder.path().join("secret");
        format!(
            "[notify]\nurl = \"http://{}/hook\"\nsecret_file = \"{}\"\nretry_first_ms = 100\n\
             retry_longest_ms = 1000\n{more}\n",
            self.address,
            secret.display()
        )
    }

    /// All that it was told, also what it did not take, in its order.
    pub fn all(&self) -> Vec<Told> {
        self.desk.notes.lock().unwrap().told.clone()
    }

    /// What it took, each once.
    pub fn taken(&self) -> Vec<Told> {
        let mut known = std::collections::HashSet::new();
        let mut taken = self.all();
        taken.retain(|told| told.taken && known.insert(told.id.clone()));
        taken
    }

    /// What it took of this kind.
    pub fn of_kind(&self, kind: &str) -> Vec<Told> {
        let mut taken = self.taken();
        taken.retain(|told| told.kind() == kind);
        taken
    }

    /// The numbers of what it took, by account.
    pub fn numbers(&self) -> BTreeMap<String, Vec<u64>> {
        let mut numbers: BTreeMap<_, Vec<u64>> = BTreeMap::new();
        for told in self.taken() {
            if let Some(number) = told.body["data"]["number"].as_u64() {
                let account = told.body["account"]["name"].as_str().unwrap().to_owned();
                numbers.entry(account).or_default().push(number);
            }
        }
        numbers
    }

    /// How many wait for its answer now.
    pub fn hanging(&self) -> usize {
        self.desk.notes.lock().unwrap().hanging
    }

    pub fn was_followed_elsewhere(&self) -> bool {
        self.desk.notes.lock().unwrap().elsewhere > 0
    }

    /// Waits until what it was told is as wanted.
    pub async fn until(&self, what: &str, within: Duration, wanted: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !wanted(self) {
                tokio::time::sleep(BEAT).await;
            }
        };
        if tokio::time::timeout(within, waiting).await.is_err() {
            let told: Vec<_> = self
                .all()
                .iter()
                .map(|told| (told.id.clone(), told.taken))
                .collect();
            panic!("not within {within:?}: {what}; it was told {told:#?}");
        }
    }
}

async fn elsewhere(State(desk): State<Desk>) -> StatusCode {
    desk.notes.lock().unwrap().elsewhere += 1;
    StatusCode::OK
}

async fn told(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
    verify(&header("vigia-signature"), &body);
    let id = header("vigia-delivery");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["id"], id.as_str(), "header and body agree");
    let mood = *desk.mood.lock().unwrap();
    let taken = matches!(mood, Mood::Takes | Mood::NeverEnds);
    {
        let mut notes = desk.notes.lock().unwrap();
        notes.told.push(Told { id, body, taken });
        notes.hanging += usize::from(mood == Mood::Hangs);
    }
    match mood {
        Mood::Takes => StatusCode::OK.into_response(),
        Mood::Answers(status) => {
            (StatusCode::from_u16(status).unwrap(), "not\nnow").into_response()
        }
        Mood::Hangs => std::future::pending().await,
        Mood::NeverEnds => {
            let drops = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((
                    Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1000])),
                    (),
                ))
            });
            Body::from_stream(drops).into_response()
        }
        Mood::SendsAway => (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, "/elsewhere")],
        )
            .into_response(),
    }
}

/// As `docs/notifications.md` tells receivers to.
fn verify(signature: &str, body: &[u8]) {
    let (time, tag) = signature.split_once(',').unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let tag = tag.strip_prefix("v1=").unwrap();
    let tag: Vec<u8> = (0..tag.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&tag[at..at + 2], 16).unwrap())
        .collect();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signed = [time.as_bytes(), b".", body].concat();
    hmac::verify(&key, &signed, &tag).expect("the signature is right");
    let age = Clock::start().utc().timestamp() - time.parse::<i64>().unwrap();
    assert!(age.abs() < FRESH_S, "signed {age} s ago");
}
