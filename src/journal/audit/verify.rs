//! Walking the chain.

use std::path::Path;

use serde::Serialize;

use super::super::{Journal, JournalError};
use super::chain::{Chain, Judged, Link, canonical};
use super::head::heads;
use super::rows::Exported;
use crate::store::StoreError;

/// How many flaws are told one by one.
const TOLD: usize = 20;

/// What is wrong with the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "flaw", rename_all = "snake_case")]
pub enum Flaw {
    /// An entry or its hash was changed.
    #[error("entry {seq} was changed")]
    Changed {
        /// Its number.
        seq: i64,
    },
    /// An entry does not follow on the one before it.
    #[error("{}", unlinked(*seq, *after))]
    Unlinked {
        /// Its number.
        seq: i64,
        /// The number of the one that stands before it.
        after: Option<i64>,
    },
    /// An entry without a hash follows on one that has one.
    #[error("entry {seq} has no hash: it was put in, or its hash was taken out")]
    Unhashed {
        /// Its number.
        seq: i64,
    },
    /// An entry was made under another master key.
    #[error("entry {seq} was made under another master key (mark {mark}): verify it with that one")]
    OtherKey {
        /// Its number.
        seq: i64,
        /// The mark of the other key.
        mark: String,
    },
    /// A head that was noted outside of the database is not in it.
    #[error(
        "entry {seq} stood in the log, as {noted} says, and is not there as it was: entries were cut off, \
         or an earlier state of the database was restored"
    )]
    HeadMissing {
        /// Its number.
        seq: i64,
        /// Where the head was noted.
        noted: String,
    },
    /// There are entries, and no head was noted.
    #[error(
        "no head is noted in {folder}: whether entries were cut off cannot be told; give one with --head"
    )]
    NoHead {
        /// The data folder.
        folder: String,
    },
}

fn unlinked(seq: i64, after: Option<i64>) -> String {
    match after {
        None => {
            format!("entry {seq} stands first and is not the first: those before it are missing")
        }
        Some(after) => format!(
            "entry {seq} does not follow on entry {after}: entries between them are missing, or were \
             put in, or stand in another order"
        ),
    }
}

/// What the walk has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Entries with a hash.
    pub entries: u64,
    /// Entries of the time before hashes: nothing is known of them.
    pub unhashed: u64,
    /// The last entry.
    pub head: Option<Link>,
    /// The first flaws.
    pub flaws: Vec<Flaw>,
    /// How many more flaws there are.
    pub more: u64,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.flaws.is_empty()
    }

    fn flaw(&mut self, flaw: Flaw) {
        if self.flaws.len() < TOLD {
            self.flaws.push(flaw);
        } else {
            self.more += 1;
        }
    }
}

impl Journal {
    /// Walks the whole chain, and holds it against the heads noted in a data folder and those given.
    /// `progress` is told how many entries were read.
    ///
    /// # Errors
    /// [`StoreError::Vault`] without the master key, [`StoreError::Refused`] for a file of the head
    /// that cannot be read, [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn verify_audit(
        &self,
        folder: &Path,
        given: &[Link],
        mut progress: impl FnMut(u64),
    ) -> Result<Verified, JournalError> {
        let chain = self.chain()?;
        // Before the entries: what is written meanwhile comes after these.
        let noted = heads(folder);
        let noted = noted.map_err(|error| StoreError::Refused(error.to_string()))?;
        let mut heads: Vec<_> = noted
            .into_iter()
            .map(|(name, head)| (folder.join(name).display().to_string(), head))
            .collect();
        heads.extend(given.iter().map(|head| ("--head".to_owned(), head.clone())));
        let mut walk = Walk::new(chain);
        let is_noted = !heads.is_empty();
        loop {
            let page = self.audit_page(walk.at).await?;
            if page.is_empty() {
                break;
            }
            for row in &page {
                walk.step(row);
                heads.retain(|(_, head)| !is(row, head));
            }
            progress(walk.found.entries + walk.found.unhashed);
        }
        let mut found = walk.found;
        for (noted, head) in heads {
            found.flaw(Flaw::HeadMissing {
                seq: head.seq,
                noted,
            });
        }
        if !is_noted && found.head.is_some() {
            let folder = folder.display().to_string();
            found.flaw(Flaw::NoHead { folder });
        }
        Ok(found)
    }

    pub(in crate::journal) fn chain(&self) -> Result<Chain, StoreError> {
        Ok(Chain::new(self.store.audit_key()?))
    }
}

fn is(row: &Exported, head: &Link) -> bool {
    row.seq == head.seq && row.hash.as_ref() == Some(&head.hash)
}

struct Walk {
    chain: Chain,
    found: Verified,
    /// The number of the last entry.
    at: i64,
}

impl Walk {
    fn new(chain: Chain) -> Self {
        Self {
            chain,
            found: Verified {
                entries: 0,
                unhashed: 0,
                head: None,
                flaws: vec![],
                more: 0,
            },
            at: i64::MIN,
        }
    }

    fn step(&mut self, row: &Exported) {
        self.at = row.seq;
        let before = self.found.head.take();
        let seq = row.seq;
        let Some(hash) = &row.hash else {
            match before {
                None => self.found.unhashed += 1,
                Some(_) => self.found.flaw(Flaw::Unhashed { seq }),
            }
            self.found.head = before;
            return;
        };
        self.found.entries += 1;
        let expected = before.as_ref().map(|link| link.hash.as_str());
        if row.prev_hash.as_deref() != expected {
            let after = before.map(|link| link.seq);
            self.found.flaw(Flaw::Unlinked { seq, after });
        }
        let data = canonical(&row.data);
        let judged = match &data {
            Some(data) => self
                .chain
                .judge(hash, row.prev_hash.as_deref(), row.said(data)),
            None => Judged::Changed,
        };
        match judged {
            Judged::Same => {}
            Judged::Changed => self.found.flaw(Flaw::Changed { seq }),
            Judged::OtherKey(mark) => self.found.flaw(Flaw::OtherKey { seq, mark }),
        }
        let hash = hash.clone();
        self.found.head = Some(Link { seq, hash });
    }
}
