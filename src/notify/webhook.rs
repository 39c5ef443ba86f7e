//! The receiver: where it is, and one attempt to tell it something.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use rustls::ClientConfig;
use secrecy::SecretString;

use super::sign::signature;
use crate::tls;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// So much of an answer is read, in bytes, and for so long: nobody needs more of it.
const READ_MOST: usize = 4096;
const READ_WITHIN: Duration = Duration::from_millis(250);
/// So much of an answer is told, in characters.
const TOLD_MOST: usize = 200;
/// A secret of fewer bytes could be guessed.
const SECRET_LEAST: usize = 16;
/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// The header with a notification's id.
const DELIVERY: &str = "Vigia-Delivery";
/// The header with a notification's signature.
const SIGNATURE: &str = "Vigia-Signature";

/// What a receiver is made of.
#[derive(Clone)]
pub struct WebhookPlan {
    /// Its address. Its path and its user may be secret.
    pub url: String,
    /// What notifications are signed with.
    pub secret: SecretString,
    /// Authorities that it may be trusted by, beside those that browsers trust.
    pub ca_file: Option<PathBuf>,
    /// How long one attempt may take.
    pub within: Duration,
}

/// A receiver that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookError {
    /// `url`, `secret_file` or `ca_file`.
    pub field: &'static str,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

/// The receiver. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Webhook {
    http: reqwest::Client,
    url: Url,
    secret: SecretString,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.host())
    }
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long it asks to be left alone.
    pub retry_after: Option<Duration>,
    /// How its answer begins, as one line.
    pub text: String,
}

impl Answer {
    /// Whether it took what it was told.
    pub fn is_taken(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether it will never take it, however often it is told. Other refusals may be a mistake of
    /// its configuration, which is mended: 401, 403 and 404 are worth trying again.
    pub fn is_final(&self) -> bool {
        matches!(self.status, 400 | 410 | 413 | 422)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if (300..400).contains(&self.status) {
            f.write_str(" (redirects are not followed: name the address itself)")?;
        }
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        Ok(())
    }
}

/// Why there was no answer. It may have been told all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(String);

impl Webhook {
    /// A receiver.
    ///
    /// # Errors
    /// What cannot be used, by its field.
    pub fn new(plan: WebhookPlan) -> Result<Self, WebhookError> {
        use secrecy::ExposeSecret;
        let refuse = |field, problem: String| WebhookError { field, problem };
        let url = address(&plan.url).map_err(|problem| refuse("url", problem))?;
        if plan.secret.expose_secret().len() < SECRET_LEAST {
            let problem = format!(
                "the secret has fewer than {SECRET_LEAST} bytes: give one in the file, or in \
                 VIGIA_WEBHOOK_SECRET, for example from `openssl rand -hex 32`"
            );
            return Err(refuse("secret_file", problem));
        }
        let trusted = tls::trusting(plan.ca_file.as_deref());
        let trusted: Arc<ClientConfig> = trusted.map_err(|problem| refuse("ca_file", problem))?;
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("vigia/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(plan.within)
            .tls_backend_preconfigured(ClientConfig::clone(&trusted));
        if url.scheme() == "http" {
            // Unencrypted requests stay on this machine, whatever proxy the environment names.
            client = client.no_proxy();
        }
        let http = client
            .build()
            .map_err(|error| refuse("url", error.without_url().to_string()))?;
        Ok(Self {
            http,
            url,
            secret: plan.secret,
        })
    }

    /// Where it is, as far as that may be told.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Tells it something once. Whatever it does (hang, answer without end, redirect), this ends
    /// within its deadline.
    ///
    /// # Errors
    /// Where it did not answer.
    pub async fn post(
        &self,
        id: &str,
        body: &str,
        unix_seconds: i64,
    ) -> Result<Answer, Unanswered> {
        let id = HeaderValue::from_bytes(id.as_bytes())
            .map_err(|_| Unanswered("its id cannot be sent".to_owned()))?;
        let sent = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(DELIVERY, id)
            .header(SIGNATURE, signature(&self.secret, unix_seconds, body))
            .body(body.to_owned())
            .send()
            .await;
        let answer = sent.map_err(|error| unanswered(&error))?;
        Ok(Answer {
            status: answer.status().as_u16(),
            retry_after: retry_after(&answer),
            text: beginning(answer).await,
        })
    }
}

fn address(url: &str) -> Result<Url, String> {
    let url = Url::parse(url.trim())
        .map_err(|error| format!("{error}; for example https://host/path"))?;
    let host = url.host_str().ok_or("it names no host")?;
    let ip: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    let is_here = ip.map_or(host == "localhost", |ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        "http" => Err(
            "http:// would show what you trade to everybody on the way, and is allowed \
                       only to this machine; use https://"
                .to_owned(),
        ),
        scheme => Err(format!("{scheme}:// is not https://")),
    }
}

/// Without the address: its path may be secret.
fn unanswered(error: &reqwest::Error) -> Unanswered {
    let what = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        format!("no connection{}", cause(error))
    } else {
        format!("the connection broke{}", cause(error))
    };
    Unanswered(what)
}

/// The innermost cause, which is the system's or the TLS library's.
fn cause(error: &reqwest::Error) -> String {
    let mut next = std::error::Error::source(error);
    let mut innermost = None;
    while let Some(cause) = next {
        innermost = Some(cause);
        next = cause.source();
    }
    innermost.map_or_else(String::new, |cause| {
        format!(" ({})", line(&cause.to_string()))
    })
}

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let asks = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let header = answer.headers().get(RETRY_AFTER)?;
    let seconds: u64 = header.to_str().ok()?.parse().ok()?;
    asks.contains(&answer.status())
        .then(|| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

async fn beginning(mut answer: reqwest::Response) -> String {
    let mut read = Vec::new();
    let reading = async {
        // What cannot be read, nobody needs: the status has decided.
        while let Ok(Some(chunk)) = answer.chunk().await {
            read.extend_from_slice(&chunk);
            if read.len() >= READ_MOST {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(READ_WITHIN, reading).await;
    line(&String::from_utf8_lossy(&read))
}

/// A text of somebody else's as the beginning of one line.
fn line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().take(TOLD_MOST).collect();
    line.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str, secret: &str) -> Result<Webhook, WebhookError> {
        // Fails where another test of this process was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Webhook::new(WebhookPlan {
            url: url.to_owned(),
            secret: secret.to_owned().into(),
            ca_file: None,
            within: Duration::from_secs(1),
        })
    }

    const SECRET: &str = "0123456789abcdef";

    #[test]
    fn an_address_is_encrypted_or_here_and_only_its_host_is_told() {
        let webhook = with("https://user:pass@hooks.example.com/T0/secret", SECRET).unwrap();
        assert_eq!(format!("{webhook:?}"), "Webhook(hooks.example.com)");
        assert!(with("http://127.0.0.1:9/x", SECRET).is_ok());
        assert!(with("http://[::1]:9/x", SECRET).is_ok());
        for (url, field) in [
            ("http://example.com/x", "url"),
            ("ftp://example.com", "url"),
            ("example.com", "url"),
        ] {
            let error = with(url, SECRET).unwrap_err();
            assert_eq!(error.field, field, "{url}");
        }
        assert_eq!(with("https://e", "short").unwrap_err().field, "secret_file");
    }

    #[test]
    fn a_refusal_is_final_only_where_no_mending_helps() {
        let answer = |status| Answer {
            status,
            retry_after: None,
            text: String::new(),
        };
        for status in [200, 204, 299] {
            assert!(answer(status).is_taken());
        }
        for status in [199, 301, 400, 401, 404, 408, 410, 429, 500, 503] {
            assert!(!answer(status).is_taken(), "{status}");
            let expected = [400, 410, 413, 422].contains(&status);
            assert_eq!(answer(status).is_final(), expected, "{status}");
        }
        assert!(answer(302).to_string().contains("redirects"));
    }

    #[test]
    fn somebody_elses_text_is_one_short_line() {
        assert_eq!(line("a\n\u{1b}[31mb\r\n  c"), "a [31mb c");
        assert_eq!(line(&"x".repeat(999)).len(), TOLD_MOST);
    }
}
