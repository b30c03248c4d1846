//! Open editor buffers over a file system: what an author sees, whether or not it is saved.
//!
//! The compiler reads through this as through any other [`System`] and never learns of buffers.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::{Content, Stamp, System};

/// A file system whose reads prefer open buffers.
#[derive(Clone, Debug, Default)]
pub struct OverlaySystem<S> {
    inner: S,
    buffers: BTreeMap<String, Arc<str>>,
}

impl<S: System> OverlaySystem<S> {
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            buffers: BTreeMap::new(),
        }
    }

    pub fn open(&mut self, path: &str, text: Arc<str>) {
        self.buffers.insert(path.to_owned(), text);
    }

    pub fn close(&mut self, path: &str) {
        self.buffers.remove(path);
    }

    pub fn is_open(&self, path: &str) -> bool {
        self.buffers.contains_key(path)
    }
}

impl<S: System> System for OverlaySystem<S> {
    fn read_tree(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<BTreeMap<String, Content>> {
        let mut files = self.inner.read_tree(wanted)?;
        for (path, text) in &self.buffers {
            if wanted(path) {
                files.insert(path.clone(), Content::Text(text.clone()));
            }
        }
        Ok(files)
    }

    fn stamps(&self, wanted: &dyn Fn(&str) -> bool) -> io::Result<BTreeMap<String, Stamp>> {
        self.inner.stamps(wanted)
    }

    fn read_back(&self, path: &str, limit: u64) -> Option<String> {
        match self.buffers.get(path) {
            Some(text) => Some(text.to_string()),
            None => self.inner.read_back(path, limit),
        }
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        self.inner.write(path, text)
    }
}

#[cfg(test)]
mod tests {
    use super::OverlaySystem;
    use crate::{Content, MemorySystem, System as _};

    #[test]
    fn buffers_hide_files_until_they_are_closed() {
        let disk = MemorySystem::new([("a.sql", "SELECT 1"), ("b.sql", "SELECT 2")]);
        let mut system = OverlaySystem::new(disk);
        system.open("a.sql", "SELECT 10".into());
        system.open("new.sql", "SELECT 3".into());
        let read = |system: &OverlaySystem<MemorySystem>| -> Vec<String> {
            let files = system.read_tree(&|_| true).expect("memory can be read");
            files
                .into_iter()
                .map(|(path, content)| match content {
                    Content::Text(text) => format!("{path}: {text}"),
                    other => format!("{path}: {other:?}"),
                })
                .collect()
        };
        assert_eq!(
            read(&system),
            ["a.sql: SELECT 10", "b.sql: SELECT 2", "new.sql: SELECT 3"]
        );
        system.close("a.sql");
        system.close("new.sql");
        assert_eq!(read(&system), ["a.sql: SELECT 1", "b.sql: SELECT 2"]);
    }
}
