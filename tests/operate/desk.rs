//! The operator's desk: HTTP and command line of the service on the stage.

use std::fmt::Debug;
use std::process::Command;

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;
use vigia::admin::Access;

use crate::stage::Stage;
use crate::watchman::{Watchman, run_to_end};

/// The service over HTTP, with the operator's token unless another is given.
pub struct Desk {
    client: reqwest::Client,
    address: std::net::SocketAddr,
    token: String,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    /// As it came.
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.body
    }

    /// The error it must be.
    #[track_caller]
    pub fn refused(self, status: u16, says: &[&str]) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let error = self.body["error"].as_str().unwrap_or_default();
        for part in says {
            assert!(error.contains(part), "{part}: {self:?}");
        }
        self.body
    }
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub notes: String,
}

impl Said {
    /// What a command says until it ends.
    pub async fn by(command: &mut Command) -> Self {
        let output = run_to_end(command).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            notes: text(output.stderr),
        }
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            let said = self.out.contains(part) || self.notes.contains(part);
            assert!(said, "{part}: {self:?}");
        }
        self
    }

    #[track_caller]
    pub fn refused(self, says: &[&str]) {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.says(says);
    }
}

impl Desk {
    /// Once it listens.
    pub async fn of(stage: &Stage, watchman: &Watchman) -> Self {
        watchman.until("admin.listening").await;
        let access = Access::read(stage.data_dir()).expect("it has said that it listens");
        Self {
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            address: access.address,
            token: access.token.expose_secret().to_owned(),
        }
    }

    pub fn bearing(&self, token: &str) -> Self {
        Self {
            client: self.client.clone(),
            address: self.address,
            token: token.to_owned(),
        }
    }

    pub async fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method, url);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status, body, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some(&body.to_string())).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask("PUT", path, Some(&body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask("DELETE", path, None).await
    }
}

impl Stage {
    /// Runs a command on this stage.
    pub async fn cli(&self, arguments: &[&str]) -> Said {
        Said::by(&mut self.command(arguments)).await
    }

    /// A file with credentials, as `--credentials-file` takes it.
    pub fn credentials_file(&self, name: &str, parts: [&str; 3]) -> String {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.config_file().with_file_name(name);
        let mut file = std::fs::OpenOptions::new();
        let mut file = file
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        std::io::Write::write_all(&mut file, parts.join("\n").as_bytes()).unwrap();
        path.display().to_string()
    }
}
