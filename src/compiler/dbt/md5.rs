//! MD5, for the names dbt derives from it (test ids, shortened test names, `local_md5`). Never for
//! anything that needs a safe digest.

use md5::{Digest as _, Md5};

/// The digest as 32 lower-case hexadecimal digits.
pub(super) fn hex(text: &str) -> String {
    let digest = Md5::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_digests() {
        assert_eq!(super::hex(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(super::hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
        let long =
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        assert_eq!(super::hex(long), "57edf4a22be3c955ac49da2e2107b67a");
    }
}
