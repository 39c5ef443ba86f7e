//! The tree as text: files by their path, and Rust code without its comments, strings and tests.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

/// Files by their path from the root of the repository.
pub struct Tree(BTreeMap<String, String>);

impl Tree {
    /// What is here.
    pub fn real() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut tree = Self(BTreeMap::new());
        for folder in ["src", "migrations/src", "docs"] {
            tree.read_folder(root, Path::new(folder));
        }
        for file in ["Cargo.toml", "Cargo.lock", "migrations/Cargo.toml"] {
            tree.read(root, Path::new(file));
        }
        for file in ["actors.md", "config/default.toml"] {
            tree.read(root, Path::new(file));
        }
        assert!(tree.0.len() > 50, "the tree was not found");
        tree
    }

    /// A made-up tree.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self(files.iter().map(owned).collect())
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) {
        for entry in fs::read_dir(root.join(folder)).expect("a folder of the tree") {
            let path = folder.join(entry.unwrap().file_name());
            if root.join(&path).is_dir() {
                self.read_folder(root, &path);
            } else {
                self.read(root, &path);
            }
        }
    }

    fn read(&mut self, root: &Path, path: &Path) {
        let text = fs::read_to_string(root.join(path));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.0.insert(path.to_str().unwrap().to_owned(), text);
    }

    /// The text of a file; empty where there is none.
    pub fn text(&self, path: &str) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }

    /// All Rust files but those that only tests are built with, as code: see [`Code`].
    pub fn code(&self) -> Vec<(&str, Code)> {
        let rust = || self.0.iter().filter(|(path, _)| path.ends_with(".rs"));
        let tests: HashSet<_> = rust()
            .flat_map(|(path, text)| Code::of(text).test_files(path))
            .collect();
        rust()
            .filter(|(path, _)| !tests.contains(*path))
            .map(|(path, text)| (path.as_str(), Code::of(text)))
            .collect()
    }
}

/// Rust code whose comments and literals are blank, and whose parts for tests alone
/// (`#[cfg(test)]`, failpoints) are blank too. Lines stand where they stood.
pub struct Code {
    /// The code.
    pub text: String,
    /// How many lines are not for tests alone, comments included.
    pub lines: usize,
    /// The parts for tests alone, as they were written.
    tests: Vec<String>,
}

impl Code {
    /// Blanks what is no code.
    pub fn of(written: &str) -> Self {
        let mut text = blank_literals(written.as_bytes());
        let mut tests = vec![];
        let mut from = 0;
        while let Some(at) = find(&text, b"#[cfg(", from) {
            from = at + 1;
            let end = closing(&text, at + 1);
            let condition = &written[at..end];
            let for_tests = condition.contains("test") || condition.contains("failpoints");
            if for_tests && !condition.contains("not(") {
                let end = end_of_item(&text, end);
                tests.push(written[at..end].to_owned());
                blank(&mut text[at..end]);
            }
        }
        let test_lines: usize = tests.iter().map(|item| item.lines().count()).sum();
        Self {
            lines: written.lines().count() - test_lines,
            text: String::from_utf8(text).unwrap(),
            tests,
        }
    }

    /// Lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .zip(1..)
            .map(|(line, number)| (number, line))
    }

    /// The files that hold the test modules declared in a file of this path.
    fn test_files(&self, path: &str) -> Vec<String> {
        let folder = module_folder(path);
        let beside = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut files = vec![];
        for item in &self.tests {
            let Some((_, name)) = item.trim_end_matches(';').rsplit_once("mod ") else {
                continue;
            };
            if let Some((_, path)) = item.split_once("path = \"") {
                files.push(format!("{beside}/{}", path.split('"').next().unwrap()));
            }
            files.push(format!("{folder}/{}.rs", name.trim()));
            files.push(format!("{folder}/{}/mod.rs", name.trim()));
        }
        files
    }
}

/// Where the children of a file's module lie.
fn module_folder(path: &str) -> String {
    let stem = path.trim_end_matches(".rs");
    let own = ["/mod", "/lib", "/main"]
        .iter()
        .find_map(|end| stem.strip_suffix(end));
    own.unwrap_or(stem).to_owned()
}

/// The path of a file's module: `src/domain/rules/mod.rs` is `domain`, `rules`.
pub fn module_path(path: &str) -> Vec<String> {
    let folder = module_folder(path);
    folder.split('/').skip(1).map(str::to_owned).collect()
}

fn find(text: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let found = text[from..]
        .windows(needle.len())
        .position(|window| window == needle);
    found.map(|at| from + at)
}

fn blank(part: &mut [u8]) {
    for byte in part.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

/// One past the bracket that closes the one at `open`.
pub fn closing(text: &[u8], open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in text.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// One past the item that follows: its body, or its semicolon.
fn end_of_item(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < text.len() {
        match text[at] {
            b';' => return at + 1,
            b'{' => return closing(text, at),
            b'(' | b'[' => at = closing(text, at),
            _ => at += 1,
        }
    }
    at
}

/// Blanks comments, strings and characters.
fn blank_literals(written: &[u8]) -> Vec<u8> {
    let mut text = written.to_vec();
    let mut at = 0;
    while at < text.len() {
        let end = literal_end(written, at);
        blank(&mut text[at..end]);
        at = end.max(at + 1);
    }
    text
}

/// Where the comment or literal that begins at `at` ends; `at` where none begins.
fn literal_end(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let end_of = |needle: &[u8], from: usize| {
        find(text, needle, from).map_or(text.len(), |found| found + needle.len())
    };
    let in_word = at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return find(text, b"\n", at).unwrap_or(text.len());
    }
    if rest.starts_with(b"/*") {
        return end_of(b"*/", at + 2);
    }
    let raw = rest.strip_prefix(b"r").or_else(|| rest.strip_prefix(b"br"));
    if let Some(raw) = raw.filter(|_| !in_word) {
        let hashes = raw.iter().take_while(|byte| **byte == b'#').count();
        if raw.get(hashes) == Some(&b'"') {
            let open = at + (rest.len() - raw.len()) + hashes + 1;
            let mut close = vec![b'"'];
            close.resize(hashes + 1, b'#');
            return end_of(&close, open);
        }
    }
    match rest {
        [b'"', ..] => quoted_end(text, at),
        [b'\'', b'\\', ..] => quoted_end(text, at),
        [b'\'', _, b'\'', ..] => at + 3,
        _ => at,
    }
}

/// One past the quote that closes the one at `open`.
fn quoted_end(text: &[u8], open: usize) -> usize {
    let quote = text[open];
    let mut at = open + 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

#[test]
fn comments_literals_and_tests_are_blank() {
    let written = "let a = \"todo!\"; // todo!\nlet b = r#\"a \"todo!\" b\"#; /* todo! */\n\
                   let c: &'static str = x('\"', '\\'');\n#[cfg(test)]\nmod tests {\n    todo!()\n}\nlet d;";
    let code = Code::of(written);
    assert!(!code.text.contains("todo"), "{}", code.text);
    assert!(
        code.text.contains("let c: &'static str = x(   ,     );"),
        "{}",
        code.text
    );
    assert_eq!(code.lines().last(), Some((8, "let d;")));
    assert_eq!(code.lines, 4);
}

#[test]
fn files_of_test_modules_are_no_code() {
    let tree = Tree::of(&[
        ("src/a/mod.rs", "#[cfg(test)]\nmod tests;\n"),
        ("src/a/tests.rs", ""),
        (
            "src/a/b.rs",
            "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;\n",
        ),
        ("src/a/b_tests.rs", ""),
    ]);
    let paths: Vec<_> = tree.code().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["src/a/b.rs", "src/a/mod.rs"]);
}
