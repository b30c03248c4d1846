//! Source files as salsa inputs. Text is the input: a build hashes exactly what it compiled.
//!
//! Queries never read a file; they see only what was put here. Salsa setters do not compare, so
//! every write goes through the guarded functions of this module.

use std::collections::BTreeMap;
use std::sync::Arc;

use salsa::{Durability, Setter as _};

/// What is known of a file's content.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    Text(Arc<str>),
    /// It was there and is not any more; the handle stays valid.
    Missing,
    /// It is there but cannot be read as text; the reason is for the user.
    Unreadable(Arc<str>),
}

/// One file of the project.
#[salsa::input(debug)]
pub struct SourceFile {
    /// Relative to the project root, with `/`.
    #[returns(deref)]
    pub path: String,
    #[returns(ref)]
    pub content: Content,
}

impl SourceFile {
    /// The text, or the empty text of a file that has none.
    pub fn text(self, db: &dyn salsa::Database) -> &str {
        match self.content(db) {
            Content::Text(text) => text,
            Content::Missing | Content::Unreadable(_) => "",
        }
    }
}

/// The files of the project by path. A singleton input; only discovery and name lookup read it.
#[salsa::input(singleton, debug)]
pub struct FileSet {
    #[returns(ref)]
    pub files: BTreeMap<String, SourceFile>,
    /// The same files in shares of about equal size, each an input of its own.
    #[returns(ref)]
    pub shelves: Vec<Shelf>,
    /// Handles of files that are not there any more: an input cannot be given back, so a file that
    /// returns, as with every change of branches, gets its old one. No query reads this.
    #[returns(ref)]
    pub gone: BTreeMap<String, SourceFile>,
}

/// A share of the files, by path. What is collected from all files is collected from each shelf first:
/// after an edit of one file, those of its shelf are looked at, and the other shelves as a whole.
#[salsa::input(debug)]
pub struct Shelf {
    #[returns(ref)]
    pub files: Vec<SourceFile>,
}

/// With ten thousand files, a shelf holds as many as there are shelves.
const SHELVES: usize = 100;

/// Which shelf a path belongs to: the same one on every machine.
fn shelf_of(path: &str) -> usize {
    let hash = path.bytes().fold(5381_usize, |hash, byte| {
        hash.wrapping_mul(33) ^ usize::from(byte)
    });
    hash % SHELVES
}

impl FileSet {
    /// An empty set, the one of a database.
    pub fn prepare<Db: salsa::Database>(db: &Db) -> Self {
        let shelves = (0..SHELVES)
            .map(|_| {
                Shelf::builder(Vec::new())
                    .durability(Durability::HIGH)
                    .new(db)
            })
            .collect();
        Self::builder(BTreeMap::new(), shelves, BTreeMap::new())
            .durability(Durability::HIGH)
            .new(db)
    }
}

/// Brings the inputs in line with a reading of the file system. Returns the paths that changed.
pub fn sync<Db: salsa::Database>(db: &mut Db, current: BTreeMap<String, Content>) -> Vec<String> {
    let set = match FileSet::try_get(db) {
        Some(set) => set,
        None => FileSet::prepare(db),
    };
    let mut files = set.files(db).clone();
    let mut gone = set.gone(db).clone();
    let mut changed = Vec::new();
    for (path, file) in &files {
        if !current.contains_key(path) {
            gone.insert(path.clone(), *file);
            if set_content(db, *file, Content::Missing) {
                changed.push(path.clone());
            }
        }
    }
    files.retain(|path, _| current.contains_key(path));
    for (path, content) in current {
        match files.get(&path) {
            Some(file) => {
                if set_content(db, *file, content) {
                    changed.push(path);
                }
            }
            None => {
                let file = match gone.remove(&path) {
                    Some(file) => {
                        set_content(db, file, content);
                        file
                    }
                    None => SourceFile::builder(path.clone(), content)
                        .durability(Durability::HIGH)
                        .new(db),
                };
                files.insert(path.clone(), file);
                changed.push(path);
            }
        }
    }
    if *set.files(db) != files {
        let mut shares = vec![Vec::new(); SHELVES];
        for (path, file) in &files {
            shares[shelf_of(path)].push(*file);
        }
        for (shelf, share) in set.shelves(db).clone().into_iter().zip(shares) {
            if *shelf.files(db) != share {
                shelf.set_files(db).to(share);
            }
        }
        set.set_files(db).to(files);
    }
    if *set.gone(db) != gone {
        set.set_gone(db).to(gone);
    }
    changed.sort();
    changed
}

/// Sets one file's content unless it is the same. Returns whether it changed.
pub fn set_content<Db: salsa::Database>(db: &mut Db, file: SourceFile, content: Content) -> bool {
    if *file.content(db) == content {
        return false;
    }
    file.set_content(db)
        .with_durability(Durability::HIGH)
        .to(content);
    true
}

/// [`set_content`] for a file that is being edited: nothing that does not depend on such files is
/// looked at after a change of one.
pub fn edit<Db: salsa::Database>(db: &mut Db, file: SourceFile, text: &str) -> bool {
    if matches!(file.content(db), Content::Text(known) if **known == *text) {
        return false;
    }
    file.set_content(db)
        .with_durability(Durability::LOW)
        .to(Content::Text(text.into()));
    true
}

/// Expects a file to be changed by [`edit`].
pub fn open<Db: salsa::Database>(db: &mut Db, file: SourceFile) {
    let content = file.content(db).clone();
    file.set_content(db)
        .with_durability(Durability::LOW)
        .to(content);
}
