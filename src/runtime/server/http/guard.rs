//! Which names a request may call this server by, and which web pages may send one.
//!
//! A page of any site can make a browser send requests to an address of its choice, a loopback
//! address included. The `Host` and `Origin` headers are what tells such a request from a real client's
//! (<https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning>).

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names and origins that are let in.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    public: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Host,
    Origin,
}

impl Guard {
    /// Loopback names are always let in, and the name that the server listens on. `*` among the
    /// hosts lets in every name, for servers behind something that checks it.
    pub(super) fn new(listening: &str, hosts: &[String], origins: &[String]) -> Self {
        let mut known: Vec<String> = LOOPBACK.map(str::to_owned).to_vec();
        if !matches!(listening, "0.0.0.0" | "::" | "[::]" | "") {
            known.push(bracketed(listening));
        }
        known.extend(hosts.iter().map(|host| bracketed(host)));
        Self {
            public: hosts.iter().any(|host| host == "*"),
            hosts: known.iter().map(|host| host.to_ascii_lowercase()).collect(),
            origins: origins
                .iter()
                .map(|o| o.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
        }
    }

    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        authority: Option<&Authority>,
    ) -> Result<(), Refused> {
        let host = match headers.get(HOST) {
            Some(host) => host.to_str().ok().and_then(|h| h.parse::<Authority>().ok()),
            None => authority.cloned(),
        };
        // One request, one name: a second header would be another's to read.
        if headers.get_all(HOST).iter().count() > 1 || !host.is_some_and(|host| self.is_ours(&host))
        {
            return Err(Refused::Host);
        }
        match headers.get(ORIGIN) {
            None => Ok(()),
            Some(origin) => origin
                .to_str()
                .ok()
                .filter(|origin| self.allows(origin))
                .map(|_| ())
                .ok_or(Refused::Origin),
        }
    }

    fn is_ours(&self, host: &Authority) -> bool {
        let (name, whole) = (
            host.host().to_ascii_lowercase(),
            host.as_str().to_ascii_lowercase(),
        );
        self.public
            || self
                .hosts
                .iter()
                .any(|known| *known == name || *known == whole)
    }

    /// Whether pages of this origin may talk to the server.
    pub(super) fn allows(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self
            .origins
            .iter()
            .any(|known| *known == origin || known == "*")
        {
            return true;
        }
        let Some((scheme, rest)) = origin.split_once("://") else {
            return false;
        };
        matches!(scheme, "http" | "https")
            && rest
                .parse::<Authority>()
                .is_ok_and(|authority| LOOPBACK.contains(&authority.host()))
    }
}

// An IPv6 address stands in brackets wherever a port may follow it.
fn bracketed(host: &str) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn strangers_are_told_from_clients() {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let local = Guard::new("localhost", &[], &[]);
        let open = Guard::new(
            "0.0.0.0",
            &texts(&["mcp.example.com"]),
            &texts(&["https://app.example.com"]),
        );
        let check = |guard: &Guard, host, origin| guard.check(&headers(host, origin), None);
        for host in ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000"] {
            assert_eq!(check(&local, host, None), Ok(()), "{host}");
            assert_eq!(
                check(&open, host, Some("http://localhost:6274")),
                Ok(()),
                "{host}"
            );
        }
        assert_eq!(check(&local, "mcp.example.com", None), Err(Refused::Host));
        assert_eq!(
            check(&local, "localhost.evil.example", None),
            Err(Refused::Host)
        );
        assert_eq!(check(&open, "mcp.example.com:443", None), Ok(()));
        assert_eq!(check(&open, "evil.example", None), Err(Refused::Host));
        for origin in [
            "http://evil.example",
            "null",
            "http://localhost.evil.example",
            "file://localhost",
        ] {
            assert_eq!(
                check(&open, "localhost", Some(origin)),
                Err(Refused::Origin),
                "{origin}"
            );
        }
        assert_eq!(
            check(&open, "localhost", Some("https://app.example.com")),
            Ok(())
        );
        assert_eq!(
            check(&open, "localhost", Some("http://app.example.com")),
            Err(Refused::Origin)
        );
        let any = Guard::new("0.0.0.0", &texts(&["*"]), &[]);
        assert_eq!(check(&any, "10.0.0.7:8000", None), Ok(()));
        assert_eq!(
            check(&any, "10.0.0.7:8000", Some("http://evil.example")),
            Err(Refused::Origin)
        );
    }
}
