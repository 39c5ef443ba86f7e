//! A tree of lines. What is said on one stays on it, whatever names are in it.

use crate::domain::text::plain;

/// What is said of something, and what hangs on it.
#[derive(Debug, Default)]
pub(super) struct Branch {
    text: String,
    more: Vec<String>,
    branches: Vec<Branch>,
}

impl Branch {
    /// One line.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: plain(&text.into()),
            ..Self::default()
        }
    }

    /// A further line about the same.
    pub(super) fn say(&mut self, line: impl Into<String>) {
        self.more.push(plain(&line.into()));
    }

    /// Something that hangs on it.
    pub(super) fn add(&mut self, branch: Branch) {
        self.branches.push(branch);
    }

    /// All lines, from the root on.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.text.clone()];
        self.below(String::new(), &mut lines);
        lines
    }

    fn below(&self, indent: String, lines: &mut Vec<String>) {
        let rail = if self.branches.is_empty() {
            "    "
        } else {
            "│   "
        };
        lines.extend(self.more.iter().map(|line| format!("{indent}{rail}{line}")));
        for (index, branch) in self.branches.iter().enumerate() {
            let is_last = index + 1 == self.branches.len();
            let (joint, further) = if is_last {
                ("└── ", "    ")
            } else {
                ("├── ", "│   ")
            };
            lines.push(format!("{indent}{joint}{}", branch.text));
            branch.below(format!("{indent}{further}"), lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_hang_where_they_belong() {
        let mut leaf = Branch::new("b1");
        leaf.say("of b1");
        let (mut a, mut b) = (Branch::new("a"), Branch::new("b"));
        a.say("of a");
        b.say("of b");
        b.add(leaf);
        let mut root = Branch::new("root");
        root.add(a);
        root.add(b);
        assert_eq!(
            root.lines().join("\n"),
            "root\n├── a\n│       of a\n└── b\n    │   of b\n    └── b1\n            of b1"
        );
    }
}
