//! The head of the chain, noted outside of the database: in a file of the data folder, which a change
//! of the database alone does not reach. Noted, it outlives this process at once, and the machine's power
//! a second later ([`super::flush`]).

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Result};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::{EntityTrait, QueryOrder, QuerySelect};

use super::super::{Journal, JournalError};
use super::chain::Link;
use super::flush::{Flusher, synced};
use super::write::Written;
use crate::store::StoreError;
use crate::store::entity::audit::{self, Column};

/// The file's name in the data folder.
const FILE: &str = "audit.head";
/// The name under which a head is kept that the database does not bear out.
const DISPUTED: &str = "audit.head.disputed";
/// Bytes of a head in the file, padded. There are two places, taken by turns: a write that is cut
/// short harms only one.
const PLACE: usize = 128;
const PLACES: i64 = 2;

/// Notes heads; clones share it. Without a folder it only remembers.
#[derive(Clone, Debug, Default)]
pub(in crate::journal) struct Witness(Arc<Mutex<Noted>>);

/// What is wrong with the head that is noted outside of the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadTrouble {
    /// A head is kept that the database does not bear out: entries were changed or cut off.
    pub is_disputed: bool,
    /// What this process found noted was damaged.
    pub is_unreadable: bool,
    /// It cannot be noted, or does not reach the disk.
    pub is_unwritten: bool,
}

#[derive(Debug, Default)]
struct Noted {
    folder: Option<PathBuf>,
    file: Option<(File, Flusher)>,
    head: Option<Link>,
    is_told: bool,
    is_unreadable: bool,
    /// A head that is disputed and could not be kept in a file of its own.
    has_unkept: bool,
}

impl Witness {
    /// The last entry that is known to be committed.
    pub(in crate::journal) fn known(&self) -> Option<Link> {
        self.noted().head.clone()
    }

    /// Notes what was committed. What cannot be noted is told once, and is in nobody's way.
    pub(in crate::journal) fn note(&self, written: Written) {
        let mut noted = self.noted();
        if let Some(missing) = written.missing {
            noted.dispute(&missing);
        }
        // Answers may overtake each other.
        if noted
            .head
            .as_ref()
            .is_none_or(|head| head.seq < written.link.seq)
        {
            noted.keep(written.link);
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn trouble(&self) -> HeadTrouble {
        let kept = self.folder.as_ref().map(|folder| folder.join(DISPUTED));
        let refuses = self.file.as_ref().map(|(_, flusher)| flusher.has_failed());
        HeadTrouble {
            is_disputed: self.has_unkept || kept.is_some_and(|file| file.exists()),
            is_unreadable: self.is_unreadable,
            is_unwritten: self.is_told || refuses.unwrap_or_default(),
        }
    }

    fn keep(&mut self, link: Link) {
        let stands = self.write(&link);
        self.head = Some(link);
        match stands {
            Ok(()) => self.is_told = false,
            Err(error) if !self.is_told => {
                self.is_told = true;
                tracing::warn!(event = "audit.head_unwritten", %error, "a cut tail would not be seen");
            }
            Err(_) => {}
        }
    }

    fn write(&mut self, link: &Link) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let (file, flusher) = match &self.file {
            Some(file) => file,
            None => {
                let file = open(&folder.join(FILE))?;
                let flusher = Flusher::start(&file, folder)?;
                self.file.insert((file, flusher))
            }
        };
        let at = link.seq.rem_euclid(PLACES).cast_unsigned() * PLACE as u64;
        file.write_all_at(&padded(link), at)?;
        flusher.ring(link.seq);
        Ok(())
    }

    /// Says that the database does not bear a head out, and keeps that: later heads would hide it.
    fn dispute(&mut self, head: &Link) {
        tracing::error!(
            event = "audit.broken", head = %head,
            "an entry that stood in the audit log is not there as it was: `vigia audit verify`"
        );
        let Some(folder) = &self.folder else {
            return;
        };
        let kept = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.join(DISPUTED))
            .and_then(|file| {
                file.write_all_at(&padded(head), 0)?;
                // Seldom enough to be waited for.
                file.sync_all()?;
                synced(folder)
            });
        match kept {
            // The first one that is not borne out says most.
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                self.has_unkept = true;
                tracing::error!(event = "audit.head_unwritten", %error, head = %head);
            }
            _ => {}
        }
    }
}

impl Journal {
    /// Notes the head of the audit log in a file of a data folder from now on. A head that was noted
    /// there before and is not in the database is told loudly, and kept beside.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn witnessed(mut self, folder: &Path) -> std::result::Result<Self, JournalError> {
        let noted = read_heads(&folder.join(FILE));
        let mut witness = Noted {
            folder: Some(folder.to_owned()),
            ..Noted::default()
        };
        let noted = noted.unwrap_or_else(|error| {
            tracing::error!(event = "audit.head_unreadable", %error);
            witness.is_unreadable = true;
            None
        });
        let (head, stands) = self.head_beside(noted.as_ref()).await?;
        if let Some(noted) = noted.filter(|_| !stands) {
            witness.dispute(&noted);
        }
        if let Some(head) = head {
            witness.keep(head);
        }
        self.witness = Witness(Arc::new(Mutex::new(witness)));
        Ok(self)
    }

    /// The head of the chain as the database has it, where there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn head_beside(
        &self,
        noted: Option<&Link>,
    ) -> std::result::Result<(Option<Link>, bool), JournalError> {
        let hashes = || {
            let columns = [Column::Seq, Column::Hash];
            audit::Entity::find().select_only().columns(columns)
        };
        type Hashed = (i64, Option<String>);
        self.store
            .read(async |db| {
                let last = hashes().order_by_desc(Column::Seq).into_tuple::<Hashed>();
                let last = last.one(db).await.map_err(StoreError::from)?;
                let head = last.and_then(|(seq, hash)| Some(Link { seq, hash: hash? }));
                let Some(noted) = noted else {
                    return Ok((head, true));
                };
                let same = audit::Entity::find_by_id(noted.seq)
                    .select_only()
                    .columns([Column::Seq, Column::Hash])
                    .into_tuple::<Hashed>();
                let same = same.one(db).await.map_err(StoreError::from)?;
                let stands = same.is_some_and(|(_, hash)| hash.as_ref() == Some(&noted.hash));
                Ok((head, stands))
            })
            .await
    }

    /// The last entry that this process knows to be committed.
    pub fn audit_head(&self) -> Option<Link> {
        self.witness.known()
    }

    /// What is wrong with the head that is noted outside of the database. Looks into the data folder.
    pub fn audit_trouble(&self) -> HeadTrouble {
        self.witness.noted().trouble()
    }

    /// Whether the head, as far as this process knows it, has reached the disk.
    #[cfg(test)]
    pub(in crate::journal) fn audit_head_is_durable(&self) -> bool {
        let noted = self.witness.noted();
        let flushed = noted.file.as_ref().map(|(_, flusher)| flusher.flushed());
        flushed == noted.head.as_ref().map(|head| head.seq)
    }
}

/// The heads that were noted in a data folder, with the name of the file of each: the last one, and one
/// that is disputed.
///
/// # Errors
/// Where a file is there and cannot be read, or holds no head.
pub(super) fn heads(folder: &Path) -> Result<Vec<(&'static str, Link)>> {
    let mut heads = vec![];
    for name in [DISPUTED, FILE] {
        heads.extend(read_heads(&folder.join(name))?.map(|head| (name, head)));
    }
    Ok(heads)
}

/// The latest head of a file; `None` where there is no file.
fn read_heads(path: &Path) -> Result<Option<Link>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = vec![];
    file.take((PLACE as u64) * PLACES.cast_unsigned())
        .read_to_end(&mut text)?;
    let latest = text
        .chunks(PLACE)
        .filter_map(|place| std::str::from_utf8(place).ok()?.parse::<Link>().ok())
        .max_by_key(|head| head.seq);
    let unreadable = || {
        let path = path.display();
        let what = format!("{path} holds no head: it was changed or cut");
        std::io::Error::new(ErrorKind::InvalidData, what)
    };
    latest.map(Some).ok_or_else(unreadable)
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn padded(link: &Link) -> [u8; PLACE] {
    let mut place = [b' '; PLACE];
    let text = link.to_string();
    let length = text.len().min(PLACE - 1);
    place[..length].copy_from_slice(&text.as_bytes()[..length]);
    place[PLACE - 1] = b'\n';
    place
}
