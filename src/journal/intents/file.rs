//! The file of intents: made in full before it is needed, and overwritten in place, so that it can be
//! written while the disk is full.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{HALVES, frame};

/// How much is written at once while the file is made.
const CHUNK: usize = 64 * 1024;

/// Where the file of a data folder is, and how many bytes it shall have.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) size: u64,
}

/// The open file, and where its next frame goes.
#[derive(Debug)]
pub(super) struct IntentsFile {
    file: File,
    /// Bytes of one half.
    half: u64,
    generation: u64,
    /// Of the next frame, from the beginning of the half that counts.
    at: u64,
    number: u32,
}

impl IntentsFile {
    /// Opens the file, or makes it (mode 0600), and reads what stands in it.
    ///
    /// # Errors
    /// What the system says; [`ErrorKind::InvalidData`] for a file that is none of ours.
    pub(super) fn open(place: &Place) -> Result<(Self, Vec<Vec<u8>>)> {
        let existing = OpenOptions::new().read(true).write(true).open(&place.path);
        let file = match existing {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => make(place)?,
            Err(error) => return Err(error),
        };
        let (opened, found) = Self::read(file)?;
        let wanted = place.size / HALVES;
        if opened.half == wanted || !found.is_empty() {
            return Ok((opened, found));
        }
        // Of another size by now, and empty.
        Self::read(make(place)?)
    }

    /// Reads what stands in the file of somebody else, and leaves it alone.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn look(path: &Path) -> Result<Vec<Vec<u8>>> {
        Ok(Self::read(File::open(path)?)?.1)
    }

    fn read(mut file: File) -> Result<(Self, Vec<Vec<u8>>)> {
        let mut bytes = vec![];
        file.read_to_end(&mut bytes)?;
        let half = bytes.len() / HALVES as usize;
        let (first, second) = bytes.split_at(half);
        let generation = |bytes| frame::generation(bytes, half as u64);
        let counts = [first, second]
            .into_iter()
            .filter_map(|bytes| Some((generation(bytes)?, bytes)))
            .max_by_key(|(generation, _)| *generation);
        let Some((generation, bytes)) = counts else {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "it is damaged, or no file of intents: move it away to go on without what stood in it",
            ));
        };
        let (payloads, taken) = frame::payloads(&bytes[frame::HEADER..], generation);
        let found: Vec<_> = payloads.into_iter().map(<[u8]>::to_vec).collect();
        let opened = Self {
            file,
            half: half as u64,
            generation,
            at: (frame::HEADER + taken) as u64,
            number: number(found.len())?,
        };
        Ok((opened, found))
    }

    /// Writes frames behind those that stand; they are durable when it returns. After an error none
    /// of them counts until it is written again.
    ///
    /// # Errors
    /// [`ErrorKind::StorageFull`] where the half has no room for them: see [`Self::renew`].
    pub(super) fn append(&mut self, payloads: &[Vec<u8>]) -> Result<()> {
        let bytes = self.frames(self.generation, self.number, payloads)?;
        self.fits(self.at, &bytes)?;
        let begin = self.begin(self.generation);
        self.file.write_all_at(&bytes, begin + self.at)?;
        self.file.sync_data()?;
        self.at += bytes.len() as u64;
        self.number += number(payloads.len())?;
        Ok(())
    }

    /// Begins a new generation in the other half, with these frames alone. Until it stands as a whole
    /// the old one counts.
    ///
    /// # Errors
    /// [`ErrorKind::StorageFull`] where a half has no room for them.
    pub(super) fn renew(&mut self, payloads: &[Vec<u8>]) -> Result<()> {
        let generation = self.generation + 1;
        let bytes = self.frames(generation, 0, payloads)?;
        self.fits(frame::HEADER as u64, &bytes)?;
        let begin = self.begin(generation);
        self.file
            .write_all_at(&bytes, begin + frame::HEADER as u64)?;
        self.file.sync_data()?;
        let header = frame::header(generation, self.half);
        self.file.write_all_at(&header, begin)?;
        self.file.sync_data()?;
        self.generation = generation;
        self.at = (frame::HEADER + bytes.len()) as u64;
        self.number = number(payloads.len())?;
        Ok(())
    }

    /// Bytes that are written of the half that counts, and how many it has.
    pub(super) fn filled(&self) -> (u64, u64) {
        (self.at, self.half)
    }

    fn frames(&self, generation: u64, first: u32, payloads: &[Vec<u8>]) -> Result<Vec<u8>> {
        let mut bytes = vec![];
        for (number, payload) in (first..).zip(payloads) {
            self.fits(0, payload)?;
            bytes.extend(frame::frame(generation, number, payload));
        }
        Ok(bytes)
    }

    fn fits(&self, at: u64, bytes: &[u8]) -> Result<()> {
        if at + bytes.len() as u64 <= self.half {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::StorageFull,
            "the file of intents is full: raise journal.intents_kib",
        ))
    }

    /// Generations take turns in the halves.
    fn begin(&self, generation: u64) -> u64 {
        generation % HALVES * self.half
    }
}

fn number(count: usize) -> Result<u32> {
    u32::try_from(count).map_err(Error::other)
}

/// Writes a new file under another name first: one that was not written to its end is never met.
/// Zeros are written, not only reserved: what is only reserved may need room when it is written.
fn make(place: &Place) -> Result<File> {
    let half = place.size / HALVES;
    let unfinished = place.path.with_extension("new");
    let _ = std::fs::remove_file(&unfinished);
    let written = write_new(&unfinished, half);
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
        written?;
    }
    std::fs::rename(&unfinished, &place.path)?;
    if let Some(folder) = place.path.parent() {
        File::open(folder)?.sync_all()?;
    }
    OpenOptions::new().read(true).write(true).open(&place.path)
}

fn write_new(path: &Path, half: u64) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let zeros = vec![0; CHUNK];
    let mut left = half * HALVES;
    while left > 0 {
        let chunk = left.min(CHUNK as u64);
        file.write_all(&zeros[..usize::try_from(chunk).unwrap_or(CHUNK)])?;
        left -= chunk;
    }
    // The first generation lies in the first half, by its number.
    file.write_all_at(&frame::header(HALVES, half), 0)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place(folder: &tempfile::TempDir, size: u64) -> Place {
        Place {
            path: folder.path().join("intents"),
            size,
        }
    }

    fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn what_is_appended_stands_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder, 8192);
        let (mut file, found) = IntentsFile::open(&place).unwrap();
        assert!(found.is_empty());
        let mode = std::fs::metadata(&place.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file.append(&texts(&["one", "two"])).unwrap();
        file.append(&texts(&["three"])).unwrap();
        let (mut file, found) = IntentsFile::open(&place).unwrap();
        assert_eq!(found, texts(&["one", "two", "three"]));
        file.renew(&texts(&["two"])).unwrap();
        file.append(&texts(&["four"])).unwrap();
        let (mut file, found) = IntentsFile::open(&place).unwrap();
        assert_eq!(found, texts(&["two", "four"]));
        // Back in the half where the first generation has left its frames.
        file.renew(&[]).unwrap();
        assert_eq!(IntentsFile::open(&place).unwrap().1, texts(&[]));
        assert_eq!(std::fs::metadata(&place.path).unwrap().len(), 8192);
    }

    #[test]
    fn what_has_no_room_is_refused_and_all_else_stands() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(&folder, 2048);
        let (mut file, _) = IntentsFile::open(&place).unwrap();
        let one = vec![b'x'; 300];
        let mut stood = 0;
        while file.append(std::slice::from_ref(&one)).is_ok() {
            stood += 1;
        }
        assert_eq!(stood, 2);
        let error = file.append(std::slice::from_ref(&one)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(IntentsFile::open(&place).unwrap().1.len(), 2);
        let error = file.renew(&vec![one.clone(); 3]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(IntentsFile::open(&place).unwrap().1.len(), 2);
        file.renew(std::slice::from_ref(&one)).unwrap();
        file.append(std::slice::from_ref(&one)).unwrap();
    }

    #[test]
    fn an_empty_file_takes_its_new_size_and_one_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let small = place(&folder, 4096);
        let (mut file, _) = IntentsFile::open(&small).unwrap();
        let large = place(&folder, 8192);
        let (_, found) = IntentsFile::open(&large).unwrap();
        assert!(found.is_empty());
        assert_eq!(std::fs::metadata(&large.path).unwrap().len(), 8192);
        drop(file.append(&texts(&["into a file that has no name any more"])));
        std::fs::write(&large.path, vec![0; 4096]).unwrap();
        let error = IntentsFile::open(&large).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
