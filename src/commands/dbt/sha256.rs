//! SHA-256, which dbt's artifacts use for checksums of files.

use sha2::{Digest as _, Sha256};

/// The digest as 64 lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn the_known_digests() {
        for (text, want) in [
            (
                "",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                "abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
        ] {
            assert_eq!(hex(text.as_bytes()), want);
        }
        assert_eq!(hex(&[b'a'; 119]).len(), 64);
    }
}
