//! "Did you mean": the guess of a diagnostic as a change of the text. It is offered to an author who
//! looks at it, and is no fix that a command may apply by itself.

use mxcp_base::{Diagnostic, SourceFile, TextRange, TextSize, suggest::meant};
use mxcp_compiler::Db;

use crate::actions::Action;
use crate::{Change, Place, TextChange};

/// The change that a diagnostic without a fix guesses at.
pub fn suggestion(db: &dyn Db, file: SourceFile, diagnostic: &Diagnostic) -> Option<Action> {
    if diagnostic.fix.is_some() {
        return None;
    }
    let meant = meant(diagnostic.help.as_deref()?)?;
    let range = diagnostic.primary.range()?;
    let text = file.text(db).get(std::ops::Range::<usize>::from(range))?;
    let place = names(&diagnostic.message)
        .find_map(|name| word(text, name))
        .map(|(start, end)| {
            let at = |n: usize| range.start() + TextSize::try_from(n).unwrap_or_default();
            TextRange::new(at(start), at(end))
        })?;
    Some(Action {
        title: format!("change to `{meant}`"),
        change: Change {
            edits: vec![TextChange {
                place: Place::new(file.path(db), place),
                text: meant.to_owned(),
            }],
            moves: Vec::new(),
        },
        diagnostic: Some(diagnostic.clone()),
    })
}

/// The texts in backticks; a parameter's without its sign.
fn names(message: &str) -> impl Iterator<Item = &str> {
    message
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|name| name.trim_start_matches('$'))
        .filter(|name| !name.is_empty())
}

/// Where a name stands in a text as a word of its own.
fn word(text: &str, name: &str) -> Option<(usize, usize)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name)
        .map(|(start, _)| (start, start + name.len()))
        .find(|(start, end)| {
            let before = text[..*start].chars().next_back();
            let after = text[*end..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
}
