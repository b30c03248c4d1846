//! Character indexes, which the event parser reports, to byte offsets, which everything else here uses.

/// One checkpoint every this many characters.
const STEP: usize = 64;

pub(crate) struct Offsets<'t> {
    text: &'t str,
    /// Byte offset of every `STEP`th character; empty when the text is ASCII and the two counts agree.
    checkpoints: Vec<u32>,
}

impl<'t> Offsets<'t> {
    pub(crate) fn new(text: &'t str) -> Offsets<'t> {
        let checkpoints = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices()
                .step_by(STEP)
                .map(|(byte, _)| u32::try_from(byte).unwrap_or(u32::MAX))
                .collect()
        };
        Offsets { text, checkpoints }
    }

    /// The byte offset of character `index`, or the text's length when there are fewer characters.
    pub(crate) fn byte(&self, index: usize) -> usize {
        if self.checkpoints.is_empty() {
            return index.min(self.text.len());
        }
        let Some(&base) = self.checkpoints.get(index / STEP) else {
            return self.text.len();
        };
        let base = base as usize;
        self.text[base..]
            .char_indices()
            .nth(index % STEP)
            .map_or(self.text.len(), |(byte, _)| base + byte)
    }
}
