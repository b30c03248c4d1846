//! `file:` addresses to paths and back.

use std::path::{Path, PathBuf};

use gen_lsp_types::Uri;

/// `None` for what is no local file, such as an unsaved document.
pub(crate) fn to_path(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    // A host stands before the path; `localhost` is this machine.
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    let decoded = decode(path)?;
    // `/c:/x` of Windows.
    let bytes = decoded.as_bytes();
    if cfg!(windows)
        && bytes.len() > 2
        && bytes.first() == Some(&b'/')
        && bytes.get(2) == Some(&b':')
    {
        return decoded.get(1..).map(PathBuf::from);
    }
    decoded.starts_with('/').then(|| PathBuf::from(decoded))
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

pub(crate) fn from_path(path: &Path) -> Uri {
    let mut out = String::from("file://");
    let text = path.to_string_lossy().replace('\\', "/");
    if !text.starts_with('/') {
        out.push('/');
    }
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~:@!$&'()*+,;=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Uri(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_come_back() {
        let path = Path::new("/a b/ü#%/c.yml");
        let uri = from_path(path);
        assert_eq!(uri.0, "file:///a%20b/%C3%BC%23%25/c.yml");
        assert_eq!(to_path(&uri.0).as_deref(), Some(path));
        assert_eq!(to_path("untitled:Untitled-1"), None);
        assert_eq!(to_path("file:///a%2"), None);
    }
}
